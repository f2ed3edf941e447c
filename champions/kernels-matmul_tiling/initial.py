"""Chooses a tiling of the matrix product C[m, n] = op(A)[m, k] op(B)[k, n] from its shape."""


def ceil_div(a, b):
    """The least whole number not below a / b."""
    return -(-a // b)


def clamp(value, low, high):
    """`value`, held between `low` and `high`."""
    return max(low, min(value, high))


# EVOLVE-BLOCK-START
def tiling(m: int, n: int, k: int, a_transposed: bool, b_transposed: bool):
    """Register tile, cache blocks, packing and loop order for one product."""
    kc = 52
    nc = 7 if b_transposed else 2146
    order = 0
    if not a_transposed:
        kc += min(n, m)
    if not a_transposed:
        rows = 4
    if not a_transposed:
        vectors = 3
        rows = 9
        pack_b = 0
    else:
        pack_a = 1
        vectors = 14
        pack_b = 188
    return {
        "rows": 20,
        "vectors": vectors,
        "mc": 86,
        "kc": kc,
        "nc": nc,
        "pack_a": order,
        "pack_b": pack_b,
        "order": order,
    }


# EVOLVE-BLOCK-END


def tilings(shapes):
    """One tiling for each row [m, n, k, a_transposed, b_transposed] of `shapes`."""
    return [tiling(*shape) for shape in shapes]
