"""Where a SEARCH text stands in a program: exactly, then with growing tolerance, never ambiguously.

Each level of tolerance is tried on the whole program before the next one. The first level with a
match decides: one place that may be changed is used, several are an ambiguity, and places outside
the evolvable block are refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from breeder.proposers.llm.verdicts import Reason, RefusalError
from breeder.regions import END, START

DRIFT = 0.9
"""Least similarity of a line that is taken for another (`difflib` ratio)."""

_MOST_MATCHES = 20
_LONGEST_PART = 400
_MOST_LINES = 4000
"""Programs and SEARCH texts of more lines are not searched for similar lines: it costs too much."""


class File(NamedTuple):
    """A file to search.

    Attributes:
        path: its name.
        lines: its lines, without line ends.
        regions: evolvable ranges of lines [begin, end).
    """

    path: str
    lines: list[str]
    regions: tuple[tuple[int, int], ...]


class Match(NamedTuple):
    """Lines [begin, end) of a file, and the lines to stand there."""

    file: File
    begin: int
    end: int
    lines: list[str]


_Span = tuple[int, int]
_Level = Callable[[Sequence[str], Sequence[str]], Iterator[_Span]]


def locate(search: Sequence[str], replace: Sequence[str], files: Sequence[File]) -> Match:
    """The one place of a SEARCH text, with the replacement indented for it.

    Raises:
        RefusalError: not found, found in several places, or only outside the evolvable block.
    """
    old, new = _trimmed(search), list(replace)
    if not old:
        return _insertion(new, files)
    known = sum(len(line) + 1 for file in files for line in file.lines)
    levels = (_exact, _unindented, None, _loose, _similar)
    # A text much longer than the program is not in it.
    for level in levels if sum(map(len, old)) <= 2 * known else ():
        matches = (
            list(_inline(old, new, files))
            if level is None
            else [
                Match(file, begin, end, _indented(old, new, file.lines[begin:end]))
                for file in files
                for begin, end in level(old, file.lines)
            ]
        )
        if matches:
            return _only(matches, old)
    raise RefusalError(
        Reason.NOT_FOUND,
        f"the SEARCH text is not in the program; it begins with {_quoted(old)}."
        " Copy the lines to replace exactly",
        nearest(old, files),
    )


def nearest(search: Sequence[str], files: Sequence[File], *, around: int = 1) -> str:
    """The evolvable lines most like the first telling line of a SEARCH text, numbered."""
    wanted = max(_trimmed(search)[:5], key=lambda line: len(line.strip()), default="").strip()[:200]
    best, shown = 0.0, ""
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    for file in files:
        for begin, end in file.regions:
            for i in range(begin, min(end, begin + _MOST_LINES)):
                matcher.set_seq1(file.lines[i].strip()[:200])
                if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
                    ratio = matcher.ratio()
                    if ratio > best:
                        best = ratio
                        low, high = max(begin, i - around), min(end, i + len(search) + around)
                        shown = "\n".join(file.lines[low : min(high, low + 12)])
    return shown


def _only(matches: list[Match], old: Sequence[str]) -> Match:
    allowed = [m for m in map(_confined, matches) if m is not None]
    if len(allowed) == 1:
        return allowed[0]
    if allowed:
        raise RefusalError(
            Reason.AMBIGUOUS,
            f"the SEARCH text beginning with {_quoted(old)} stands at {len(allowed)} places of the"
            " evolvable block; add lines before or after it until it stands at one only",
        )
    first = matches[0]
    raise RefusalError(
        Reason.FROZEN,
        f"the lines beginning with {_quoted(old)} lie outside the evolvable block"
        f" ({first.file.path}, line {first.begin + 1}) and must not be changed",
    )


def _confined(match: Match) -> Match | None:
    """The part of a match that really changes; None when that is not within one region."""
    file, begin, end, new = match
    while begin < end and new and file.lines[begin].rstrip() == new[0].rstrip():
        begin, new = begin + 1, new[1:]
    while begin < end and new and file.lines[end - 1].rstrip() == new[-1].rstrip():
        end, new = end - 1, new[:-1]
    if any(START in line or END in line for line in new):
        return None
    for low, high in file.regions:
        if low <= begin and end <= high:
            return Match(file, begin, end, new)
    return None


def _insertion(new: list[str], files: Sequence[File]) -> Match:
    """An empty SEARCH has a place only where the evolvable block is empty."""
    blank = [
        Match(file, begin, end, new)
        for file in files
        for begin, end in file.regions
        if not any(line.strip() for line in file.lines[begin:end])
    ]
    if len(blank) == 1:
        return blank[0]
    raise RefusalError(
        Reason.AMBIGUOUS,
        "the SEARCH part is empty, so that nobody knows where the lines belong;"
        " repeat a line of the program there, in both parts",
    )


def _trimmed(lines: Sequence[str]) -> list[str]:
    filled = [i for i, line in enumerate(lines) if line.strip()]
    return list(lines[filled[0] : filled[-1] + 1]) if filled else []


def _quoted(lines: Sequence[str]) -> str:
    return repr(lines[0].strip()[:80])


def _windows(needle: Sequence[str], lines: Sequence[str]) -> Iterator[int]:
    """Indices where consecutive lines equal the needle; linear, by searching the joined text."""
    hay, wanted = "\n" + "\n".join(lines) + "\n", "\n" + "\n".join(needle) + "\n"
    position, line, counted, found = hay.find(wanted), 0, 0, 0
    while position >= 0 and found < _MOST_MATCHES:
        line += hay.count("\n", counted, position)
        counted, found = position, found + 1
        yield line
        position = hay.find(wanted, position + 1)


def _exact(search: Sequence[str], lines: Sequence[str]) -> Iterator[_Span]:
    """Equal but for white space at line ends."""
    for i in _windows([s.rstrip() for s in search], [line.rstrip() for line in lines]):
        yield i, i + len(search)


def _unindented(search: Sequence[str], lines: Sequence[str]) -> Iterator[_Span]:
    """Equal but for indentation, shifted by the same width (the first line may differ)."""
    for i in _windows([s.strip() for s in search], [line.strip() for line in lines]):
        pairs = zip(search[1:], lines[i + 1 :], strict=False)
        if len({_width(b) - _width(a) for a, b in pairs if a.strip()}) <= 1:
            yield i, i + len(search)


def _loose(search: Sequence[str], lines: Sequence[str]) -> Iterator[_Span]:
    """Equal but for white space, comments and blank lines."""
    needle = [key for key in map(_key, search) if key]
    kept = [(i, key) for i, key in enumerate(map(_key, lines)) if key]
    if needle:
        for i in _windows(needle, [key for _, key in kept]):
            yield kept[i][0], kept[i + len(needle) - 1][0] + 1


def _similar(search: Sequence[str], lines: Sequence[str]) -> Iterator[_Span]:
    """Every line nearly equal, none with other names; half of several lines quite equal."""
    needle = [key for key in map(_key, search) if key]
    kept = [(i, key) for i, key in enumerate(map(_key, lines)) if key]
    if not needle or len(kept) > _MOST_LINES or len(needle) > 200:
        return
    keys = [key for _, key in kept]
    found = 0
    for i in range(len(keys) - len(needle) + 1):
        if found < _MOST_MATCHES and _alike(needle, keys[i : i + len(needle)]):
            found += 1
            yield kept[i][0], kept[i + len(needle) - 1][0] + 1


def _alike(needle: Sequence[str], keys: Sequence[str]) -> bool:
    differing = [(a, b) for a, b in zip(needle, keys, strict=True) if a != b]
    if 2 * len(differing) > max(len(needle), 2):
        return False
    for a, b in differing:
        matcher = difflib.SequenceMatcher(None, a[:500], b[:500], autojunk=False)
        if matcher.real_quick_ratio() < DRIFT or matcher.quick_ratio() < DRIFT:
            return False
        if matcher.ratio() < DRIFT or _names(a) != _names(b):
            return False
    return True


def _names(line: str) -> list[str]:
    return sorted(re.findall(r"[A-Za-z_]\w*", line))


def _key(line: str) -> str:
    return "".join(without_comment(line).split())


def without_comment(line: str) -> str:
    """A line without its `#` or `//` comment; quotes are respected as far as one line shows."""
    quote = ""
    for i, char in enumerate(line):
        if quote:
            if char == quote and line[i - 1] != "\\":
                quote = ""
        elif char in "\"'":
            quote = char
        elif _begins_comment(line, i):
            return line[:i]
    return line


def _begins_comment(line: str, at: int) -> bool:
    if line[at] == "#":
        return not line.lstrip().startswith(("#include", "#define", "#pragma"))
    before = line[:at].strip()
    # `a // b` is a division in Python.
    return line.startswith("//", at) and (not before or before.endswith((";", "{", "}")))


def _inline(old: Sequence[str], new: list[str], files: Sequence[File]) -> Iterator[Match]:
    """A SEARCH text of one line that is part of a line."""
    wanted = old[0].strip()
    if len(old) > 1 or not 2 <= len(wanted) <= _LONGEST_PART:
        return
    pattern = re.compile(
        (r"(?<!\w)" if wanted[0].isalnum() or wanted[0] == "_" else "")
        + re.escape(wanted)
        + (r"(?!\w)" if wanted[-1].isalnum() or wanted[-1] == "_" else "")
    )
    put = _trimmed(new)
    found = 0
    for file in files:
        for i, line in enumerate(file.lines):
            for part in pattern.finditer(line):
                found += 1
                if found > _MOST_MATCHES:
                    return
                text = "\n".join(put).strip() if len(put) <= 1 else "\n".join(put).lstrip()
                changed = line[: part.start()] + text + line[part.end() :]
                yield Match(file, i, i + 1, changed.split("\n"))


def _width(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip())].expandtabs(4))


def _indented(old: Sequence[str], new: Sequence[str], there: Sequence[str]) -> list[str]:
    """The replacement, moved by as much as the SEARCH text was off."""
    # Line by line where both have as many lines; else the first lines tell the shift.
    pairs = [(a, b) for a, b in zip(old, there, strict=False) if a.strip() and b.strip()]
    first = _width(pairs[0][1]) - _width(pairs[0][0])
    rest = _width(pairs[1][1]) - _width(pairs[1][0]) if len(pairs) > 1 else first
    tabs = any(line.startswith("\t") for line in there)
    same = all(_lead(a) == _lead(b) for a, b in pairs)
    if same:
        return list(new)
    lone = first != rest and new and _width(new[0]) == _width(old[0])
    moved = []
    for i, line in enumerate(new):
        width = max(0, _width(line) + (first if i == 0 and lone else rest))
        lead = "\t" * (width // 4) + " " * (width % 4) if tabs else " " * width
        moved.append(lead + line.lstrip() if line.strip() else "")
    return moved


def _lead(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]
