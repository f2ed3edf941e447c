"""The stated grid of the family, the per-shape oracle over it, and the best single setting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tiling_family import Family, Shape, Tiling
from tiling_times import Speedups

TILES = ((8, 3), (9, 3), (14, 2), (10, 2), (14, 1), (6, 4), (4, 4), (5, 5), (4, 6))
BLOCKS = (
    (96, 384, 2048), (96, 256, 512), (192, 4096, 256), (192, 512, 512), (4096, 256, 4096),
    (48, 512, 128),
)  # fmt: skip
GROUP = 6  # tilings that share one textbook batch in a round
# Successive halving: (tilings kept, rounds that each of them then has).
SCHEDULE = ((24, 3), (10, 8), (4, 24))


def settings(family: Family) -> tuple[Tiling, ...]:
    """Every setting of the grid that the family has, snapped, without repeats."""
    members = {
        family.snap(
            {
                "rows": rows, "vectors": vectors, "mc": mc, "kc": kc, "nc": nc, "pack_a": pack_a,
                "pack_b": pack_b, "order": order, "threads": 1,
            }
        ): None
        for (rows, vectors), (mc, kc, nc), pack_a, pack_b, order in itertools.product(
            TILES, BLOCKS, (0, 1), (0, 1), (0, 1)
        )
    }  # fmt: skip
    return tuple(members)


def _top_up(speedups: Speedups, shape: Shape, tilings: Sequence[Tiling], rounds: int) -> None:
    """Bring every tiling to `rounds` rounds on `shape`."""
    lacking = [t for t in tilings if speedups.count(shape, t) < rounds]
    for start in range(0, len(lacking), GROUP):
        group = lacking[start : start + GROUP]
        have = min(speedups.count(shape, t) for t in group)
        speedups.sample(shape, group, rounds - have)


def oracle(speedups: Speedups, shape: Shape) -> Tiling:
    """The grid's best tiling for `shape`, by successive halving over rounds in the memo.

    Its own estimate is optimistic, being the best of many: time it afresh before quoting it.
    """
    family = speedups.family
    tilings = list(dict.fromkeys(family.on(shape, t) for t in settings(family)))
    _top_up(speedups, shape, tilings, 1)
    for keep, rounds in SCHEDULE:
        tilings = sorted(tilings, key=lambda t: speedups.pace(shape, t))[:keep]
        _top_up(speedups, shape, tilings, rounds)
    return max(tilings, key=lambda t: speedups.known(shape, t))


def best_single(speedups: Speedups, shapes: Sequence[Shape]) -> Tiling:
    """The one setting of the grid with the best geometric mean over `shapes`.

    Needs a round of every setting on every shape, which `oracle` leaves in the memo; the leaders
    are measured further before the choice.
    """

    def pace(setting: Tiling) -> float:
        return math.fsum(math.log(speedups.pace(shape, setting)) for shape in shapes)

    leaders: list[Tiling] = list(settings(speedups.family))
    for shape in shapes:
        _top_up(speedups, shape, list({speedups.family.on(shape, t): 0 for t in leaders}), 1)
    for keep, rounds in ((12, 4), (4, 12)):
        leaders = sorted(leaders, key=pace)[:keep]
        for shape in shapes:
            _top_up(
                speedups, shape, list({speedups.family.on(shape, t): 0 for t in leaders}), rounds
            )
    return min(leaders, key=pace)
