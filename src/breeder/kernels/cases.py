"""The shapes of a timed kernel task: which are searched, which held out, which only verified."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from breeder.errors import EvaluatorError
from breeder.kernels.inputs import Inputs

Array = np.ndarray[Any, Any]

_SCALES = {"zero": 0.0, "tiny": 1e-20, "huge": 2.5e17}
_SPECIAL = {"NaN": np.nan, "infinite": -np.inf}
_UNLISTED = 8


class Case(NamedTuple):
    """What one call of a kernel is given.

    Attributes:
        shape: sizes, in the order that the task names them.
        kind: what stands in the input: `normal`, one of `array_of`, or one of the task's own.
        function: which function of the program is called; empty where there is only one.
    """

    shape: tuple[int, ...]
    kind: str = "normal"
    function: str = ""

    def __str__(self) -> str:
        size = " x ".join(map(str, self.shape))
        kind = "" if self.kind == "normal" else self.kind
        return " ".join(filter(None, (self.function, size, kind)))


class Timed(Protocol):
    """What a case of a timed task says, whatever else there is to it; `str` names it for people."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes; no case that is searched has those of one that is held out."""
        ...

    @property
    def function(self) -> str:
        """Which function of the program is called; empty where there is only one."""
        ...


Some = TypeVar("Some", bound=Timed)


@dataclass(frozen=True, slots=True)
class Cases(Generic[Some]):
    """All cases of a task. One that is named twice counts twice in the mean.

    Attributes:
        quick: small and odd sizes with a few extremes among them, checked before anything is timed,
            so that the search does not follow programs that verification refuses.
        glance: what the first stage times.
        search: what the score is taken over.
        held_out: other shapes of the same operation, timed only after the search.
        verified: odd, empty and extreme inputs that only a verification tries.
        unlisted: draws further cases that nobody can have prepared for.

    Raises:
        EvaluatorError: a shape is both searched and held out.
    """

    quick: Sequence[Some]
    glance: Sequence[Some]
    search: Sequence[Some]
    held_out: Sequence[Some]
    verified: Sequence[Some]
    unlisted: Callable[[np.random.Generator], Sequence[Some]]

    def __post_init__(self) -> None:
        both = {case.shape for case in self.search} & {case.shape for case in self.held_out}
        if both:
            shape = " x ".join(map(str, min(both)))
            raise EvaluatorError(f"shape {shape} is both searched and held out; change one")

    def everything(self, rng: np.random.Generator) -> list[Some]:
        """What a verification checks: all cases, and unlisted ones from `rng`."""
        return [*self.verified, *self.quick, *self.search, *self.held_out, *self.unlisted(rng)]


def cases_of(
    shapes: Iterable[tuple[int, ...]], *kinds: str, functions: Sequence[str] = ("",)
) -> list[Case]:
    """Every function on every shape with every kind (`normal` where none is named)."""
    listed = list(shapes)
    return [
        Case(shape, kind, function)
        for function in functions
        for kind in kinds or ("normal",)
        for shape in listed
    ]


def unlisted_rows(
    widest: int, functions: Sequence[str] = ("",)
) -> Callable[[np.random.Generator], list[Case]]:
    """Make what draws eight shapes per function: up to `widest` columns (log-uniform), and rows."""

    def draw(rng: np.random.Generator) -> list[Case]:
        drawn = []
        for function in functions:
            for columns in np.exp(rng.uniform(0.0, math.log(widest), _UNLISTED)).astype(int):
                rows = int(rng.integers(1, 2 + 20_000 // columns))
                drawn.append(Case((rows, int(columns)), "normal", function))
        return drawn

    return draw


def array_of(
    inputs: Inputs,
    case: Case,
    shape: tuple[int, ...] | None = None,
    *,
    least: float = 1e-3,
    most: float = 1e2,
) -> Array:
    """Draw a float32 array as the kind of a case says.

    Args:
        inputs: where from.
        case: kinds known here are `zero`, `tiny` (1e-20), `huge` (2.5e17: squares of 256 elements
            sum up to less than the largest float), `NaN` and `infinite` (one element of the middle
            row, minus infinity); anything else is normal, of a scale between `least` and `most`.
        shape: of the array; that of the case by default.
        least: smallest scale.
        most: largest scale.
    """
    scale = _SCALES.get(case.kind)
    shape = case.shape if shape is None else shape
    x = inputs.normal(*shape, scale=inputs.magnitude(least, most) if scale is None else scale)
    if case.kind in _SPECIAL and x.size:
        row = x.reshape(shape[0], -1)[shape[0] // 2]
        row[inputs.rng.integers(row.size)] = _SPECIAL[case.kind]
    return x
