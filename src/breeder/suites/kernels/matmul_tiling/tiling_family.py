"""The family of matrix products: its parameters, their ranges, and the rule that snaps answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from breeder.evaluation import InvalidAnswerError

DEPTH_GRAIN = 8
LARGEST_MC, LARGEST_KC, LARGEST_NC = 4096, 4096, 8192


class Shape(NamedTuple):
    """One product C[m, n] = op(A)[m, k] op(B)[k, n], row-major.

    `a_transposed`: A is stored [k, m] (weight gradients). `b_transposed`: B is stored [n, k]
    (forward layers, whose weights are [out, in]).
    """

    m: int
    n: int
    k: int
    a_transposed: bool = False
    b_transposed: bool = False

    def __str__(self) -> str:
        layout = ("T" if self.a_transposed else "N") + ("T" if self.b_transposed else "N")
        return f"{self.m}x{self.n}x{self.k} {layout}"


class Tiling(NamedTuple):
    """One member of the family, in the order of the C interface.

    Attributes:
        rows: height of the register tile.
        vectors: its width, in vectors of `Family.lanes` floats.
        mc: rows of A in one block; kc: depth of a block; nc: columns of B in one block.
        pack_a: 1 copies A's block into panels, 0 reads it in place; pack_b: the same for B, which
            is always packed when it is stored transposed.
        order: 0 walks n, k, m from the outside in (B's block stays), 1 walks m, k, n.
        threads: how many threads share the longer side of C.
    """

    rows: int
    vectors: int
    mc: int
    kc: int
    nc: int
    pack_a: int
    pack_b: int
    order: int
    threads: int


# The textbook setting on 32 registers of 16 lanes: 8 rows x 48 columns, A's block in L2.
TEXTBOOK: Mapping[str, float] = {
    "rows": 8, "vectors": 3, "mc": 96, "kc": 384, "nc": 2048,
    "pack_a": 1, "pack_b": 1, "order": 0, "threads": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """The ranges on one machine.

    Attributes:
        lanes: floats in a vector.
        tallest: `tallest[v - 1]` is the height of the tallest tile of `v` vectors.
        threads: most threads that may be asked for.
    """

    lanes: int
    tallest: Sequence[int]
    threads: int = 1

    def snap(self, answer: object) -> Tiling:
        """Turn a candidate's answer into the nearest member of the family.

        Counts are rounded to the nearest integer and clamped to their range, blocks to whole tiles
        (`kc` to multiples of 8); switches (`pack_a`, `pack_b`, `order`) are on from 0.5.

        Raises:
            InvalidAnswerError: not a mapping with exactly the names of `Tiling` (`threads` may be
                left out and is 1 then), or a value that is not a finite number.
        """
        if not isinstance(answer, Mapping):
            raise InvalidAnswerError(f"a tiling is a dict of numbers, not {type(answer).__name__}")
        answer = {"threads": 1, **answer}
        wrong = set(answer) ^ set(Tiling._fields)
        if wrong:
            names = ", ".join(sorted(map(str, wrong)))
            raise InvalidAnswerError(f"missing or unknown names in the tiling: {names}"[:300])
        value = {name: _number(name, answer[name]) for name in Tiling._fields}
        vectors = _clamp(value["vectors"], 1, len(self.tallest))
        rows = _clamp(value["rows"], 1, self.tallest[vectors - 1])
        return Tiling(
            rows=rows,
            vectors=vectors,
            mc=_whole(value["mc"], rows, LARGEST_MC),
            kc=_whole(value["kc"], DEPTH_GRAIN, LARGEST_KC),
            nc=_whole(value["nc"], vectors * self.lanes, LARGEST_NC),
            pack_a=int(value["pack_a"] >= 0.5),
            pack_b=int(value["pack_b"] >= 0.5),
            order=int(value["order"] >= 0.5),
            threads=_clamp(value["threads"], 1, self.threads),
        )

    def textbook(self) -> Tiling:
        """The fixed default of every comparison, snapped to this machine."""
        return self.snap(TEXTBOOK)

    def on(self, shape: Shape, tiling: Tiling) -> Tiling:
        """What `tiling` amounts to on `shape`: equal results do the same work.

        Blocks along a side are made as equal as whole tiles allow, in the number that the asked
        size gives: no sliver is left over, and sizes that need equally many blocks are the same.
        """
        rows = min(tiling.rows, shape.m)
        vectors = min(tiling.vectors, -(-shape.n // self.lanes))
        mc = _even(tiling.mc, shape.m, rows)
        nc = _even(tiling.nc, shape.n, vectors * self.lanes)
        return tiling._replace(
            rows=rows,
            vectors=vectors,
            mc=mc,
            kc=min(_even(tiling.kc, shape.k, DEPTH_GRAIN), shape.k),
            nc=nc,
            pack_b=int(tiling.pack_b or shape.b_transposed),
            order=tiling.order if mc < shape.m or nc < shape.n else 0,
        )


def _number(name: str, value: object) -> float:
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidAnswerError(f"{name} is not a finite number: {type(value).__name__}")
    return number


def _clamp(value: float, low: int, high: int) -> int:
    return int(min(max(round(value), low), high))


def _whole(value: float, grain: int, most: int) -> int:
    """The multiple of `grain` nearest to `value`, at least one and at most `most` in size."""
    return grain * _clamp(value / grain, 1, max(1, most // grain))


def _even(block: int, length: int, grain: int) -> int:
    """The size of equal blocks of whole grains, as many as blocks of `block` would be."""
    grains = -(-length // grain)
    count = -(-grains // -(-block // grain))
    return -(-grains // count) * grain
