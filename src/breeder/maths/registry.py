"""Problem names -> problems. A new family of problems is one line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from breeder.errors import UserError
from breeder.maths.autocorrelation import (
    AbsoluteThirdAutocorrelation,
    FirstAutocorrelation,
    SecondAutocorrelation,
    ThirdAutocorrelation,
)
from breeder.maths.determinant import MaximalDeterminant
from breeder.maths.difference_basis import DifferenceBasis
from breeder.maths.distance_ratio import MaxMinRatio
from breeder.maths.erdos import MinimumOverlap
from breeder.maths.finite_fields import Kakeya, Nikodym
from breeder.maths.flat_polynomial import FlatPolynomial
from breeder.maths.heilbronn import HeilbronnConvex, HeilbronnTriangle
from breeder.maths.hexagons import HexagonPacking
from breeder.maths.isosceles import NoIsosceles
from breeder.maths.kissing import Kissing
from breeder.maths.matrix_multiplication import FORMATS, MatrixMultiplication
from breeder.maths.packing import CirclePacking, RectanglePacking
from breeder.maths.problem import Problem
from breeder.maths.ring_loading import RingLoading
from breeder.maths.sums_differences import SumsDifferences
from breeder.maths.tammes import Tammes
from breeder.maths.uncertainty import Uncertainty


class Family(NamedTuple):
    """Problems that differ in their parameters.

    Attributes:
        make: parameters -> problem; raises UserError where they make none.
        listed: the parameters of those that records are kept of.
    """

    make: Callable[..., Problem[Any]]
    listed: tuple[tuple[int, ...], ...]


_LISTED: tuple[tuple[type[Problem[Any]], tuple[tuple[int, ...], ...]], ...] = (
    (MinimumOverlap, ((),)),
    (FirstAutocorrelation, ((),)),
    (SecondAutocorrelation, ((),)),
    (ThirdAutocorrelation, ((),)),
    (AbsoluteThirdAutocorrelation, ((),)),
    (CirclePacking, ((26,), (32,))),
    (RectanglePacking, ((21,),)),
    (Kissing, ((11,), (12,))),
    (NoIsosceles, ((32,), (64,), (100,))),
    (RingLoading, ((15,),)),
    (MatrixMultiplication, FORMATS),
    (HeilbronnTriangle, ((11,),)),
    (HeilbronnConvex, ((13,), (14,))),
    (HexagonPacking, ((11,), (12,))),
    (MaxMinRatio, ((2, 16), (3, 14))),
    (Kakeya, tuple((3, p) for p in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31))),
    (Nikodym, ((3,), (5,), (7,))),
    (SumsDifferences, ((),)),
    (DifferenceBasis, ((),)),
    (MaximalDeterminant, ((29,),)),
    (Tammes, ((50,),)),
    (FlatPolynomial, ((69,),)),
    (Uncertainty, ((),)),
)

FAMILIES = {make.family: Family(make, listed) for make, listed in _LISTED}


def problems() -> tuple[Problem[Any], ...]:
    """Return the problems that records are kept of, in the order of the registry."""
    return tuple(
        family.make(*parameters) for family in FAMILIES.values() for parameters in family.listed
    )


def problem(name: str) -> Problem[Any]:
    """Return a problem by its name: a family, then its parameters, as in `kissing_11`.

    Any parameters that make sense will do, listed or not.

    Raises:
        UserError: there is no such problem; lists those there are.
    """
    parts = name.split("_")
    # The longest family first: `autocorrelation_3` is one, and no family takes a parameter 3.
    for count in range(len(parts), 0, -1):
        family = FAMILIES.get("_".join(parts[:count]))
        tail = parts[count:]
        if family is None or not all(_small_number(part) for part in tail):
            continue
        if len(tail) in {len(parameters) for parameters in family.listed}:
            return family.make(*map(int, tail))
    known = ", ".join(listed.name for listed in problems())
    raise UserError(f"{name!r} is no problem; there are {known}")


def _small_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4 and str(int(text)) == text
