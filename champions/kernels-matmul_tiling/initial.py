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
    mc = 1735
    kc = 1277
    nc = 295
    nc = max(nc, m)
    order = 0
    if m <= 20 - (min(m, nc)):
        rows = m
        vectors = 7
        pack_a = m + (max(m, nc))
    else:
        rows = max(9, 5)
        pack_a = 0.0784362 * m + nc
        vectors = 1
        pack_a = 0.662837 * m + nc
        rows = 10
    return {
        "rows": rows,
        "vectors": vectors,
        "mc": mc,
        "kc": nc,
        "nc": m,
        "pack_a": -nc,
        "pack_b": 0,
        "order": nc,
    }


# EVOLVE-BLOCK-END


def tilings(shapes):
    """One tiling for each row [m, n, k, a_transposed, b_transposed] of `shapes`."""
    return [tiling(*shape) for shape in shapes]
