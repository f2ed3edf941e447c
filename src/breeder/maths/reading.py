"""Reads constructions that may be hostile into exact numbers.

What counts as a number: an integer, a float (the binary fraction it stands for), or a string "p/q"
of decimal digits. Nothing else does: no booleans, no complex numbers, no other strings, nothing
that is not finite, nothing so large or so small that it only serves to exhaust or to confuse.
Whatever else a file says (a value it claims, a comment) is not looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from breeder.maths.refusal import RefusedError

LARGEST = 1 << 256  # numbers are at most this, and at least its inverse or 0
DENSEST = 1 << 512  # largest denominator
_QUOTIENT = re.compile(r"(-?[0-9]{1,155})/([0-9]{1,155})")

Json = int | float | str | list["Json"] | dict[str, "Json"]


def listing(data: object, key: str, most: int) -> list[object]:
    """Return the entries of a list, a tuple or an array, or of `data[key]` where data is a mapping.

    Args:
        data: what came out of a file or from a candidate.
        key: the entry of a mapping that holds the construction.
        most: number of entries above which it is refused unread.

    Raises:
        RefusedError: it is something else, is empty, or has more entries.
    """
    if isinstance(data, Mapping):
        if key not in data:
            raise RefusedError(f"there is no entry {key!r}")
        data = data[key]
    entries = _unpacked(data, most)
    if entries is None:
        raise RefusedError(f"{key}: expected a list, got {_kind(data)}")
    if not entries:
        raise RefusedError(f"{key}: is empty")
    if len(entries) > most:
        raise RefusedError(f"{key}: more than {most} entries")
    return entries


def numbers(data: object, key: str, most: int) -> list[Fraction]:
    """Return the numbers of a list; see `listing` and `number`."""
    return [number(entry, f"{key}[{i}]") for i, entry in enumerate(listing(data, key, most))]


def rows(data: object, key: str, width: int, most: int) -> list[list[Fraction]]:
    """Return the rows, `width` numbers each, of a list of rows; see `listing` and `number`.

    Raises:
        RefusedError: a row has another length, or an entry is no number.
    """
    return [
        [number(entry, f"{key}[{i}]") for entry in row_entries(row, f"{key}[{i}]", width)]
        for i, row in enumerate(listing(data, key, most))
    ]


def integer_rows(data: object, key: str, width: int, most: int) -> list[list[int]]:
    """Return the rows, `width` integers each, of a list of rows; see `listing` and `integer`."""
    return [
        [integer(entry, f"{key}[{i}]") for entry in row_entries(row, f"{key}[{i}]", width)]
        for i, row in enumerate(listing(data, key, most))
    ]


def row_entries(row: object, where: str, width: int) -> list[object]:
    """Return the entries of one row.

    Raises:
        RefusedError: it is no list, or has another length than `width`.
    """
    entries = _unpacked(row, width)
    if entries is None:
        raise RefusedError(f"{where}: expected a list of {width}, got {_kind(row)}")
    if len(entries) != width:
        raise RefusedError(f"{where}: expected {width} entries, got {len(entries)}")
    return entries


def number(entry: object, where: str) -> Fraction:
    """Return the exact value of a number.

    Raises:
        RefusedError: it is not one, is not finite, or is absurdly large or small.
    """
    value = _exact(entry, where)
    if value and not (abs(value.numerator) <= LARGEST * value.denominator):
        raise RefusedError(f"{where}: is above 2**256 in size")
    if value and value.denominator > LARGEST * abs(value.numerator):
        raise RefusedError(f"{where}: is below 2**-256 in size, but not 0")
    if value.denominator > DENSEST:
        raise RefusedError(f"{where}: its denominator is above 2**512")
    return value


def integer(entry: object, where: str) -> int:
    """Return an integer; a float that is one counts.

    Raises:
        RefusedError: it is no integer, or above 2**256 in size.
    """
    value = number(entry, where)
    if value.denominator != 1:
        raise RefusedError(f"{where}: {entry} is no integer")
    return value.numerator


def plain(value: Fraction | int) -> int | float | str:
    """Return a number as `number` reads it back: an integer, an equal float, or "p/q"."""
    value = Fraction(value)
    if value.denominator == 1:
        return value.numerator
    if value.denominator <= LARGEST * LARGEST and Fraction(float(value)) == value:
        return float(value)
    return f"{value.numerator}/{value.denominator}"


def _exact(entry: object, where: str) -> Fraction:
    if isinstance(entry, bool | np.bool_):
        raise RefusedError(f"{where}: a boolean is no number")
    if isinstance(entry, int | np.integer):
        return Fraction(int(entry))
    if isinstance(entry, float | np.floating):
        if not math.isfinite(entry):
            raise RefusedError(f"{where}: {entry} is not finite")
        return Fraction(float(entry))
    if isinstance(entry, str):
        quotient = _QUOTIENT.fullmatch(entry)
        if quotient is None or not int(quotient[2]):
            raise RefusedError(f"{where}: a string is no number unless it reads p/q")
        return Fraction(int(quotient[1]), int(quotient[2]))
    raise RefusedError(f"{where}: expected a number, got {_kind(entry)}")


def _unpacked(data: object, most: int) -> list[object] | None:
    """The entries of a sequence; an array is only unpacked where it is not too long."""
    if isinstance(data, np.ndarray):
        if data.dtype.kind not in "iuf" or data.ndim == 0:
            return None
        # The rows of an array stay arrays: one that is too wide is not unpacked either.
        return list(data[: most + 1])
    return list(data) if isinstance(data, list | tuple) else None


def _kind(data: object) -> str:
    if isinstance(data, np.ndarray):
        return f"an array of {data.dtype} with {data.ndim} dimensions"
    return type(data).__name__
