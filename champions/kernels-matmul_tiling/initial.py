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
    mc = 69
    kc = 6540
    nc = 2074
    order = 0
    if (max(kc, m) <= 43) or (m <= 21):
        kc = 114
        rows = 7
        vectors = 9
        pack_a = 0
        pack_b = 1
    else:
        rows = 18
        vectors = 3
        term1 = kc ** 2
        term2 = min(kc, m)
        pack_a = 1 - (term1 + term2)
        pack_b = 1
    return {
        "rows": rows,
        "vectors": vectors,
        "mc": mc,
        "kc": kc + (m),
        "nc": nc,
        "pack_a": pack_a,
        "pack_b": m - (abs(m)),
        "order": order,
    }


# EVOLVE-BLOCK-END


def tilings(shapes):
    """One tiling for each row [m, n, k, a_transposed, b_transposed] of `shapes`."""
    return [tiling(*shape) for shape in shapes]
