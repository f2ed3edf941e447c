"""The products of small language models in training and decoding, for training and held out.

Sizes keep one product near or below two milliseconds on one core. The two lists draw on the same
kinds of product and share no shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tiling_family import Shape

TRAINING: dict[str, tuple[Shape, ...]] = {
    "square": (Shape(96, 96, 96), Shape(128, 128, 128), Shape(256, 256, 256), Shape(384, 384, 384)),
    "decode": (
        Shape(1, 1024, 512), Shape(4, 512, 1024), Shape(16, 768, 512), Shape(64, 512, 512),
    ),
    "forward": (
        Shape(256, 768, 256, b_transposed=True), Shape(128, 1024, 512, b_transposed=True),
        Shape(256, 256, 1024, b_transposed=True),
    ),
    "backward": (
        Shape(256, 256, 768), Shape(256, 768, 256, a_transposed=True),
        Shape(512, 512, 128, a_transposed=True),
    ),
    "head": (Shape(64, 4096, 256, b_transposed=True),),
    "thin": (Shape(512, 16, 512), Shape(512, 512, 16), Shape(32, 32, 4096)),
    "odd": (Shape(197, 197, 197), Shape(100, 300, 147)),
}  # fmt: skip

HELD_OUT: dict[str, tuple[Shape, ...]] = {
    "square": (Shape(64, 64, 64), Shape(160, 160, 160), Shape(320, 320, 320), Shape(448, 448, 448)),
    "decode": (
        Shape(1, 512, 1536), Shape(2, 768, 768), Shape(8, 1536, 512), Shape(32, 640, 640),
    ),
    "forward": (
        Shape(192, 1152, 384, b_transposed=True), Shape(128, 512, 1536, b_transposed=True),
        Shape(320, 640, 320, b_transposed=True),
    ),
    "backward": (
        Shape(192, 384, 1152), Shape(384, 1152, 192, a_transposed=True),
        Shape(640, 640, 96, a_transposed=True),
    ),
    "head": (Shape(80, 4608, 192, b_transposed=True),),
    "thin": (Shape(640, 8, 640), Shape(384, 768, 8), Shape(24, 48, 6144)),
    "odd": (Shape(211, 131, 317), Shape(57, 190, 363)),
}  # fmt: skip

# Verification alone: single elements, primes, long and thin ones, every layout.
UNUSUAL: tuple[Shape, ...] = (
    Shape(1, 1, 1), Shape(1, 1, 1, a_transposed=True, b_transposed=True), Shape(2, 3, 5),
    Shape(13, 17, 19, a_transposed=True), Shape(127, 131, 137),
    Shape(251, 7, 509, b_transposed=True), Shape(1, 4099, 61), Shape(2053, 1, 97),
    Shape(3, 5, 6151), Shape(769, 761, 1), Shape(1, 773, 769, b_transposed=True),
    Shape(97, 1009, 11, a_transposed=True, b_transposed=True),
)  # fmt: skip

# A cheap first look: one product of each kind that tilings differ on.
QUICK: tuple[Shape, ...] = (
    Shape(96, 96, 96), Shape(4, 512, 1024), Shape(64, 512, 512), Shape(256, 256, 768),
    Shape(512, 16, 512), Shape(197, 197, 197),
)  # fmt: skip


def flat(groups: Mapping[str, Sequence[Shape]]) -> tuple[Shape, ...]:
    """All shapes of `groups`, group by group."""
    return tuple(shape for shapes in groups.values() for shape in shapes)
