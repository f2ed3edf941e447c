"""Pieces of an answer that parse as code of a file of the parent."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator
from typing import NamedTuple

from breeder.proposers.checks import editable
from breeder.proposers.languages import language
from breeder.proposers.llm.answers import Reading, Segment, starts_code, without_line_numbers
from breeder.proposers.llm.diffs import Hunk, has_markers
from breeder.proposers.llm.problems import problem
from breeder.proposers.llm.units import layout, pieces
from breeder.proposers.llm.verdicts import Reason, RefusalError, Rejected
from breeder.proposers.proposer import Grammar
from breeder.proposers.trees import Node, Source, encode, read
from breeder.regions import END, START

LARGEST_CODE = 128 * 1024
"""Pieces of code are read until they have this many characters together: a parse costs time."""


class Code(NamedTuple):
    """Code for one file.

    Attributes:
        path: the file that it is for.
        text: the code, dedented.
        source: its tree; None where the language has no grammar, or the text has markers only.
        fenced: it stood in a fence.
    """

    path: str
    text: str
    source: Source | None
    fenced: bool


def candidates(
    reading: Reading,
    parent: dict[str, str],
    grammar: Grammar,
    rejections: list[Rejected],
    *,
    cut: bool,
) -> Iterator[Code]:
    """Code in a reading, what fits best first; why others do not parse goes to `rejections`."""
    paths = editable(parent, grammar)
    names = {path: _names(parent[path], path, grammar) for path in paths}
    wanted = set().union(*names.values())
    segments = sorted(
        enumerate(reading.segments), key=lambda s: (-len(_defined(s[1].text) & wanted), -s[0])
    )
    pool = [*_joined(reading.segments), *(s for _, s in segments)]
    if reading.hunks:
        # Beside edits only whole functions count; the rest is pieces of the edits themselves.
        pool = [s for s in pool if s.fenced and _defined(s.text) & wanted]
        pool += [s for s in map(_whole, reading.hunks) if _defined(s.text) & wanted]
    left = LARGEST_CODE
    for segment in pool:
        if has_markers(segment.text) or segment.label in ("diff", "patch", "json"):
            continue
        if not segment.text.strip():
            continue
        left -= len(segment.text)
        if left < 0:
            size = len(segment.text)
            rejections.append(Rejected(Reason.TOO_LARGE, f"the code has {size} characters"))
            continue
        path = _path(segment, paths, names)
        try:
            yield _parsed(segment, path, parent[path], grammar, cut=cut)
        except RefusalError as refusal:
            rejections.append(refusal.rejected)


def _whole(hunk: Hunk) -> Segment:
    """The new text of an edit when it seems to be a whole function, else nothing."""
    lines = [line for line in hunk.replace if line.strip()]
    complete = hunk.closed and lines and re.match(r"\s+return\b|\}", lines[-1])
    return Segment("\n".join(hunk.replace) if complete else "")


def _joined(segments: tuple[Segment, ...]) -> Iterator[Segment]:
    """Several fences that define different functions, as one text."""
    defining = [s for s in segments if s.fenced and _defined(s.text)]
    names = [_defined(s.text) for s in defining]
    if 1 < len(defining) <= 6 and len(set().union(*names)) == sum(map(len, names)):
        text = "\n\n".join(textwrap.dedent(s.text).strip("\n") for s in defining)
        yield defining[0]._replace(text=text + "\n", closed=defining[-1].closed)


_DEFINES = re.compile(
    r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)|^[\w:<>*& \t]{1,200}?\b(\w+)[ \t]*\([^;\n]*$",
    re.MULTILINE,
)


def _defined(text: str) -> set[str]:
    return {m[1] or m[2] for m in _DEFINES.finditer(text[:LARGEST_CODE])}


def _names(text: str, path: str, grammar: Grammar) -> set[str]:
    """Names that an answer for this file would define."""
    source = read(text, grammar.languages.get(path, "text"), whole=grammar.whole)
    if source is None:
        return _defined(text)
    found = layout(source)
    names = {t.name.decode(errors="replace") for t in found.targets if t.kind != "constant"}
    return names | {name for _, node in found.inner for name in _defined(_text(source, node))}


def _text(source: Source, node: Node) -> str:
    return source.of(node).decode(errors="replace")


def _path(segment: Segment, paths: list[str], names: dict[str, set[str]]) -> str:
    """The file that a piece of code is for: named before it, or defining the same names."""
    for path in paths:
        if path.rpartition("/")[2] in segment.hint or path in segment.label:
            return path
    defined = _defined(segment.text)
    return max(paths, key=lambda path: len(names[path] & defined))


def _parsed(segment: Segment, path: str, parent: str, grammar: Grammar, *, cut: bool) -> Code:
    name = grammar.languages.get(path, "text")
    if language(name) is None:
        if not segment.fenced and START not in segment.text:
            raise RefusalError(Reason.PROSE, "the answer holds no fenced code")
        return Code(path, textwrap.dedent(segment.text), None, segment.fenced)
    if not starts_code(segment.text) and START not in segment.text and not segment.label:
        raise RefusalError(Reason.PROSE, "the answer holds text but no code")
    for text in _variants(segment, name, parent):
        if not text.strip() or not _sound(text, name):
            continue
        source = read(text, name, whole=START not in text)
        if source is not None and any(p.kind != "comment" for p in pieces(source)):
            if cut and not segment.closed and segment.text.rstrip().endswith(text[-20:].rstrip()):
                return _without_last(Code(path, text, source, segment.fenced))
            return Code(path, text, source, segment.fenced)
    if START in segment.text and END in segment.text:
        # A region within a function may not parse on its own.
        return Code(path, textwrap.dedent(segment.text), None, segment.fenced)
    text = next(_variants(segment, name, parent))
    raise problem(text, name, label=segment.label, ends=cut or not segment.closed)


def _without_last(code: Code) -> Code:
    """Code without its last piece: the limit of tokens was reached there.

    Raises:
        RefusalError: no function is left.
    """
    assert code.source is not None
    *kept, last = pieces(code.source)
    if not any(p.kind in ("function", "class") for p in kept):
        raise RefusalError(
            Reason.TRUNCATED, "the code breaks off: the answer reached its limit of tokens"
        )
    text = code.source.text[: last.node.begin].decode("utf-8", "replace")
    return code._replace(text=text, source=read(text, code.source.table.name, whole=True))


def _sound(text: str, name: str) -> bool:
    """Whether Python's own grammar takes a text too; the other one takes empty bodies."""
    if name != "python":
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(encode(text), "<answer>", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True


def _variants(segment: Segment, name: str, parent: str) -> Iterator[str]:
    """The code as it stands, then mended in the ways in which models spoil it."""
    text = segment.text
    if name == "python" and "\n\t" not in parent and "\t" in text:
        text = re.sub(r"^[ ]*\t[ \t]*", lambda m: m[0].expandtabs(4), text, flags=re.MULTILINE)
    plain = textwrap.dedent(text).strip("\n") + "\n"
    if segment.fenced:
        yield plain
    numbered = without_line_numbers(plain.split("\n"))
    if numbered is not None:
        yield textwrap.dedent("\n".join(numbered)).strip("\n") + "\n"
    if (chunk := _chunk(plain, name)) != plain or not segment.fenced:
        yield chunk
    if prompts := _without_prompts(plain):
        yield prompts
    lines = plain.split("\n")
    follow = next((line for line in lines[1:] if line.strip()), "")
    lead = follow[: len(follow) - len(follow.lstrip())]
    if lead and not lines[0].startswith((" ", "\t")) and not lines[0].rstrip().endswith((":", "{")):
        # The first line lost its indentation.
        yield textwrap.dedent(lead + plain)


_GOES_ON = re.compile(
    r"[ \t]|$|(?:async[ \t]+)?def\b|class\b|import\b|from\b|@|#|[)\]}\"']|if\b[^.\n]*:|else:|elif\b"
    r"|for\b[^.\n]*:|while\b[^.\n]*:|return\b|try:|except\b|finally:|with\b[^.\n]*:"
    r"|[A-Za-z_][\w.\[\]]*[ \t]*(?:[-+*/%|&^]|//|\*\*)?=[^=]|[A-Za-z_][\w.]*\("
)
_GOES_ON_C = re.compile(r"[ \t]|$|[{}#/*]|.*[;{},(*]$|[\w:<>*& \t]+\([^.]*$")


def _chunk(text: str, name: str) -> str:
    """Code up to the first line at the left margin that reads like prose."""
    pattern = _GOES_ON if name == "python" else _GOES_ON_C
    lines = text.split("\n")
    end = next((i for i, line in enumerate(lines) if not pattern.match(line)), len(lines))
    return "\n".join(lines[:end]).rstrip() + "\n"


def _without_prompts(text: str) -> str:
    """Code without the prompts of the interactive interpreter, or ""."""
    if not re.search(r"^>>> ", text, re.MULTILINE):
        return ""
    lines = [m[1] for m in re.finditer(r"^(?:>>>|\.\.\.)[ ]?(.*)$", text, re.MULTILINE)]
    return "\n".join(lines) + "\n"
