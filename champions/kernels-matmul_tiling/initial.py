"""Chooses a tiling of the matrix product C[m, n] = op(A)[m, k] op(B)[k, n] from its shape."""


def ceil_div(a, b):
    """The least whole number not below a / b."""
    return -(-a // b)


def clamp(value, low, high):
    """`value`, held between `low` and `high`."""
    return max(low, min(value, high))


# EVOLVE-BLOCK-START
def tiling(m, n, k, a_transposed, b_transposed):
    """Register tile, cache blocks, packing and loop order for one product."""
    mc = 29
    term1 = 18
    kc = m * term1
    nc = 2048
    order = 0
    if m > 0.022:
        vectors = 3
        nc = 1294
        pack_a = 1
        rows = 8
        pack_b = 0
    else:
        rows = 4
        vectors = 3
        pack_a = 1
        if m >= 0.022:
            pass
        pack_b = min(pack_a, m)
    return {
        "rows": rows,
        "vectors": vectors,
        "mc": 1294,
        "kc": kc,
        "nc": nc,
        "pack_a": pack_a / (0.2 * m),
        "pack_b": pack_b,
        "order": order,
    }


# EVOLVE-BLOCK-END


def tilings(shapes):
    """One tiling for each row [m, n, k, a_transposed, b_transposed] of `shapes`."""
    return [tiling(*shape) for shape in shapes]
