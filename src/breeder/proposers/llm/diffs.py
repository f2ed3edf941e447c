"""Edits in an answer: SEARCH/REPLACE blocks in the styles that models write, and unified diffs.

The block style is that of AlphaEvolve (Novikov et al., 2025), which took it from Aider. Scanning is
by lines and by patterns anchored at line starts, so that it stays linear in the answer.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Hunk(NamedTuple):
    """One replacement.

    Attributes:
        search: lines to be found in the program; empty for an insertion without a place.
        replace: lines to stand there.
        path: a file name that the answer put before it, or "".
        closed: its end marker is there.
    """

    search: tuple[str, ...]
    replace: tuple[str, ...]
    path: str = ""
    closed: bool = True


_LEAD = r"^[ \t]*+(?:>[ \t])?"
_MARKER = re.compile(
    _LEAD + r"(?:"
    r"(?P<open><{3,12}[ \t]*(?:SEARCH|ORIGINAL|OLD|BEFORE|HEAD|FIND|CURRENT|START)?\b[^\n<>]*"
    r"|-{5,12}[ \t]*(?:SEARCH|ORIGINAL|OLD|FIND)\b[^\n]*"
    r"|</?(?:search|original|old_code|find)>)"
    r"|(?P<middle>={3,12}[^\n=]{0,20}|\|{7}[^\n]*|<(?:replace|updated|new_code)>)"
    r"|(?P<close>>{3,12}[ \t]*(?:REPLACE|REPLACED|UPDATED|NEW|AFTER|END|MODIFIED|HEAD)?\b[^\n<>]*"
    r"|>{5,12}[ \t]*"
    r"|\+{5,12}[ \t]*(?:REPLACE|UPDATED|NEW)\b[^\n]*"
    r"|</(?:replace|updated|new_code)>)"
    r")[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_FENCE = re.compile(r"^[ \t]*+(?:`{3,}|~{3,})[^\n`]*$", re.MULTILINE)
_LABELLED = re.compile(
    r"^[ \t*#]*+(?P<what>SEARCH|FIND|ORIGINAL|OLD|BEFORE|REPLACE(?: WITH)?|NEW|AFTER|UPDATED)"
    r"(?: (?:code|block|text))?[ \t*]*:[ \t*]*\n[ \t]*(?:`{3,}|~{3,})[^\n`]*\n",
    re.MULTILINE | re.IGNORECASE,
)
_FILE = re.compile(r"^[ \t*#`/]*(?:file:[ \t]*)?([\w./-]{1,200}\.\w{1,8})[`:*]*[ \t]*$", re.I)
_OLD_WORDS = frozenset({"search", "find", "original", "old", "before"})
_MOST_HUNKS = 100


def has_markers(text: str) -> bool:
    """Whether a text holds the start of a SEARCH/REPLACE block."""
    return any(m["open"] and _is_open(m) for m in _MARKER.finditer(text))


def hunks(text: str) -> tuple[Hunk, ...]:
    """Every edit in an answer, in order; of the first style that is found. May be empty."""
    return _blocks(text) or _labelled(text) or _unified(text)


def _is_open(marker: re.Match[str]) -> bool:
    """A bare `<<<<<<<` opens too, but only when it is long enough not to be an operator."""
    text = marker["open"].strip()
    return not text.startswith("<" * 3) or len(text) > text.count("<") or len(text) >= 5


def _blocks(text: str) -> tuple[Hunk, ...]:
    found: list[Hunk] = []
    opened: re.Match[str] | None = None
    middle: re.Match[str] | None = None
    for marker in _MARKER.finditer(text):
        if marker["open"] and marker["open"].startswith("</"):
            continue  # </search>: the <replace> tag follows
        if marker["open"] and _is_open(marker):
            if opened is not None and middle is not None:
                found.append(_hunk(text, opened, middle, marker.start(), closed=True))
            opened, middle = marker, None
        elif marker["middle"] and opened is not None and middle is None:
            middle = marker
        elif marker["close"] and opened is not None and middle is not None:
            found.append(_hunk(text, opened, middle, marker.start(), closed=True))
            opened = middle = None
        if len(found) >= _MOST_HUNKS:
            break
    if opened is not None:
        found.append(_unfinished(text, opened, middle))
    return tuple(found)


def _hunk(
    text: str, opened: re.Match[str], middle: re.Match[str], end: int, *, closed: bool
) -> Hunk:
    # A closing tag between the two parts belongs to neither.
    search = re.sub(r"\n?[ \t]*</\w{3,10}>\s*$", "", text[opened.end() + 1 : middle.start()])
    replace = text[middle.end() + 1 : end]
    old, new = _lines(search), _lines(replace)
    if closed and new and not new[-1].strip() and not (old and not old[-1].strip()):
        new = new[:-1]
    return Hunk(old, new, _path_before(text, opened.start()), closed)


def _unfinished(text: str, opened: re.Match[str], middle: re.Match[str] | None) -> Hunk:
    """A block without its end marker: a closing fence ends it as well, the end of the text not."""
    if middle is None:
        return Hunk(_lines(text[opened.end() + 1 :]), (), _path_before(text, opened.start()), False)
    fence = _FENCE.search(text, middle.end())
    if fence is None:
        return _hunk(text, opened, middle, len(text), closed=False)
    return _hunk(text, opened, middle, fence.start(), closed=True)


def _lines(text: str) -> tuple[str, ...]:
    """Lines of one part, without the fences that some models put round it."""
    lines = text.removesuffix("\n").split("\n") if text else []
    fences = [i for i, line in enumerate(lines) if _FENCE.match(line)]
    if fences and fences[0] == 0:
        lines = lines[1:]
        fences = [i - 1 for i in fences[1:]]
    if fences and not any(line.strip() for line in lines[fences[-1] + 1 :]):
        lines = lines[: fences[-1]]
    return tuple(lines)


def _path_before(text: str, position: int) -> str:
    """The file name on one of the two lines before a block, or ""."""
    before = text[max(0, position - 400) : position].split("\n")[-4:]
    for line in reversed(before):
        found = _FILE.match(line)
        if found:
            return found[1]
    return ""


def _labelled(text: str) -> tuple[Hunk, ...]:
    """`SEARCH:` and `REPLACE:` headings, each followed by a fenced block."""
    parts: list[tuple[bool, tuple[str, ...], bool]] = []
    for heading in _LABELLED.finditer(text):
        fence = _FENCE.search(text, heading.end())
        body = text[heading.end() : fence.start() if fence else len(text)]
        old = heading["what"].lower() in _OLD_WORDS
        parts.append((old, tuple(body.removesuffix("\n").split("\n")), fence is not None))
        if len(parts) >= 2 * _MOST_HUNKS:
            break
    return tuple(
        Hunk(parts[i][1], parts[i + 1][1], "", parts[i][2] and parts[i + 1][2])
        for i in range(len(parts) - 1)
        if parts[i][0] and not parts[i + 1][0]
    )


_HEADER = re.compile(r"^@@[^\n]*$|^(?:---|\+\+\+|\*\*\*) [^\n]*$", re.MULTILINE)
_DIFF_FENCE = re.compile(r"^[ \t]*+(?:`{3,}|~{3,})[ \t]*(?:diff|patch|udiff)\b", re.M | re.I)


def _unified(text: str) -> tuple[Hunk, ...]:
    """Unified diffs; line numbers are ignored, models get them wrong."""
    fenced = _DIFF_FENCE.search(text)
    header = _HEADER.search(text)
    if fenced is None and (header is None or "\n@@" not in "\n" + text[header.start() :]):
        return ()
    begin = fenced.start() if fenced else header.start() if header else 0
    lines = text[begin:].split("\n")[1 if fenced else 0 :]
    found: list[Hunk] = []
    path, old, new, changed = "", list[str](), list[str](), False
    for line in [*lines, "```"]:
        fence = line.lstrip().startswith(("```", "~~~"))
        if fence or line.startswith(("@@", "--- ", "+++ ", "*** ", "diff ", "index ")):
            if changed and len(found) < _MOST_HUNKS:
                found.append(Hunk(tuple(old), tuple(new), path))
            old, new, changed = [], [], False
            if line.startswith("+++ "):
                path = line[4:].split("\t")[0].strip().removeprefix("b/")
            if fence and found:
                break
            continue
        mark, rest = line[:1], line[1:]
        changed = changed or mark in ("+", "-")
        if mark != "+":
            old.append(rest if mark in ("-", " ") else line)
        if mark != "-":
            new.append(rest if mark in ("+", " ") else line)
    return tuple(found)
