"""Two programs compared, file by file, evolvable regions only."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from breeder.core import Program
from breeder.regions import MarkerError, Region, evolvable
from breeder.report.constants import Constant, changed_constants

CONTEXT = 3
_DEFINITION = re.compile(
    r"\s*(?:async\s+def|def|class|fn|pub\s+fn|func|function)\b|[A-Za-z_$][^;=]*\([^;]*$"
)


class Line(NamedTuple):
    """One line of a hunk: `kind` is ` `, `-` or `+`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """Neighbouring changes with their context.

    Attributes:
        before: first line number in the old file, from 1.
        after: first line number in the new file, from 1.
        scope: header of the function or class around it; empty at top level.
        lines: context, removed and added lines.
    """

    before: int
    after: int
    scope: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """What changed in one file. `constants` is None when more than constants changed."""

    path: str
    added: int
    removed: int
    constants: tuple[Constant, ...] | None
    hunks: tuple[Hunk, ...]


def compare_files(before: Program, after: Program) -> tuple[FileDiff, ...]:
    """Return the differences between two programs, one entry per file that differs."""
    paths = dict.fromkeys([*before.files, *after.files])
    return tuple(
        _file_diff(path, before.files.get(path, ""), after.files.get(path, ""))
        for path in paths
        if before.files.get(path, "") != after.files.get(path, "")
    )


def describe_changes(files: Sequence[FileDiff]) -> str:
    """Say what changed, in a few words: `3 constants in score.py`, `+12 -4 lines in score.py`."""
    if not files:
        return "the same program"
    return ", ".join(_describe(file) for file in files)


def _describe(file: FileDiff) -> str:
    if file.constants:
        count = len(file.constants)
        return f"{count} constant{'s' if count > 1 else ''} in {file.path}"
    return f"+{file.added} -{file.removed} lines in {file.path}"


def _file_diff(path: str, before: str, after: str) -> FileDiff:
    hunks = tuple(_hunks(before, after))
    kinds = [line.kind for hunk in hunks for line in hunk.lines]
    constants = changed_constants(before, after)
    return FileDiff(path, kinds.count("+"), kinds.count("-"), constants or None, hunks)


def _hunks(before: str, after: str) -> Iterator[Hunk]:
    old_regions, new_regions = _regions(before), _regions(after)
    if len(old_regions) != len(new_regions):
        old_regions, new_regions = (Region(0, len(before)),), (Region(0, len(after)),)
    new_lines = after.splitlines()
    for old, new in zip(old_regions, new_regions, strict=True):
        a = before[old.begin : old.end].splitlines()
        b = after[new.begin : new.end].splitlines()
        a_offset = before.count("\n", 0, old.begin) + 1
        b_offset = after.count("\n", 0, new.begin) + 1
        matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
        for group in matcher.get_grouped_opcodes(CONTEXT):
            begin = group[0][3] + b_offset
            changed = next(op[3] for op in group if op[0] != "equal") + b_offset
            yield Hunk(
                before=group[0][1] + a_offset,
                after=begin,
                scope=_scope(new_lines, begin, changed),
                lines=tuple(_lines(group, a, b)),
            )


def _lines(
    group: Sequence[tuple[str, int, int, int, int]], a: Sequence[str], b: Sequence[str]
) -> Iterator[Line]:
    for tag, a1, a2, b1, b2 in group:
        if tag == "equal":
            yield from (Line(" ", text) for text in a[a1:a2])
            continue
        yield from (Line("-", text) for text in a[a1:a2])
        yield from (Line("+", text) for text in b[b1:b2])


def _regions(text: str) -> tuple[Region, ...]:
    try:
        return evolvable(text, whole=True)
    except MarkerError:
        return (Region(0, len(text)),)


def _scope(lines: Sequence[str], begin: int, changed: int) -> str:
    """Return the definition around line `changed` unless the hunk, from `begin`, shows it."""
    depth = _indent(lines[changed - 1]) if changed <= len(lines) else 0
    for number in range(min(changed, len(lines)) - 1, 0, -1):
        line = lines[number - 1]
        if not line.strip() or _indent(line) >= max(depth, 1):
            continue
        if _DEFINITION.match(line):
            return "" if number >= begin else line.strip()
        depth = _indent(line)
    return ""


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
