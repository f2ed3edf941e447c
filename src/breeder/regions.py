"""Evolvable regions: the text between `EVOLVE-BLOCK-START` and `EVOLVE-BLOCK-END` lines.

A child program is always `frozen text + new regions + frozen text`: markers and everything outside
them can never change. Markers stand on a line of their own, in a comment of the file's language.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

START = "EVOLVE-BLOCK-START"
END = "EVOLVE-BLOCK-END"


class Region(NamedTuple):
    """One evolvable region of a text: `text[begin:end]`, whole lines, markers excluded."""

    begin: int
    end: int


class MarkerError(ValueError):
    """The markers of a text are missing, unpaired or nested. The text says which, and the line."""


def find_regions(text: str) -> tuple[Region, ...]:
    """Return the evolvable regions of `text`, in order.

    Raises:
        MarkerError: no marker, an unpaired one, or nested ones.
    """
    regions: list[Region] = []
    begin: int | None = None
    position = 0
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if START in line:
            if begin is not None:
                raise MarkerError(f"line {number}: {START} inside an open block")
            begin = position + len(line)
        elif END in line:
            if begin is None:
                raise MarkerError(f"line {number}: {END} without a {START}")
            regions.append(Region(begin, position))
            begin = None
        position += len(line)
    if begin is not None:
        raise MarkerError(f"{START} is never closed by {END}")
    if not regions:
        raise MarkerError(f"no {START} / {END} pair")
    return tuple(regions)


def evolvable(text: str, *, whole: bool = False) -> tuple[Region, ...]:
    """Return the regions of `text`; the whole text as one region when `whole` and unmarked."""
    if whole and START not in text and END not in text:
        return (Region(0, len(text)),)
    return find_regions(text)


def extract(text: str, regions: Sequence[Region]) -> tuple[str, ...]:
    """Return the text of each region."""
    return tuple(text[r.begin : r.end] for r in regions)


def splice(text: str, regions: Sequence[Region], replacements: Sequence[str]) -> str:
    """Return `text` with its regions replaced, in order; everything else stays.

    Raises:
        MarkerError: a replacement contains a marker, which would move the frozen text.
    """
    parts: list[str] = []
    position = 0
    for region, new in zip(regions, replacements, strict=True):
        if START in new or END in new:
            raise MarkerError("a replacement contains a marker")
        parts += [text[position : region.begin], new]
        if new and not new.endswith("\n") and text[region.end :]:
            parts.append("\n")
        position = region.end
    return "".join([*parts, text[position:]])


def frozen_text(text: str, regions: Sequence[Region]) -> tuple[str, ...]:
    """Return the pieces of `text` outside its regions; equal for a program and all its children."""
    pieces: list[str] = []
    position = 0
    for region in regions:
        pieces.append(text[position : region.begin])
        position = region.end
    return (*pieces, text[position:])
