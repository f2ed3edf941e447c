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
    mc = 96
    kc = 384
    nc = 2048
    order = 0
    if m <= 32:
        rows = 8
        vectors = 3
        pack_a = 1
        pack_b = 1
    else:
        rows = 8
        vectors = 3
        pack_a = 1
        pack_b = 1
    return {
        "rows": rows,
        "vectors": vectors,
        "mc": mc,
        "kc": kc,
        "nc": nc,
        "pack_a": pack_a,
        "pack_b": pack_b,
        "order": order,
    }


# EVOLVE-BLOCK-END


def tilings(shapes):
    """One tiling for each row [m, n, k, a_transposed, b_transposed] of `shapes`."""
    return [tiling(*shape) for shape in shapes]
