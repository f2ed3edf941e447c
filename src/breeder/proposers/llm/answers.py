"""Reading answers leniently: thoughts, fences, JSON, HTML escapes, line numbers, prose around code.

Every pattern is anchored at line starts or free of nested repetition, so that reading is linear in
the length of the answer whatever it holds.
"""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from breeder.proposers.llm.diffs import Hunk, hunks
from breeder.proposers.llm.verdicts import Reason, RefusalError


class Segment(NamedTuple):
    """A piece of an answer that may be code.

    Attributes:
        text: its lines, without the fences.
        label: language of the fence, lower case, or "".
        closed: its closing fence is there (always True for JSON strings).
        fenced: it stood in a fence or a JSON string rather than amid prose.
        hint: the line before the fence, where models name the file.
    """

    text: str
    label: str = ""
    closed: bool = True
    fenced: bool = True
    hint: str = ""


class Reading(NamedTuple):
    """One way to read an answer: edits, and pieces of code."""

    hunks: tuple[Hunk, ...]
    segments: tuple[Segment, ...]


_THOUGHTS = re.compile(r"<(think|thinking|thought|reasoning)>", re.IGNORECASE)
_END_OF_TEXT = re.compile(r"<\|(?:im_end|endoftext|eot_id|end_of_text|im_start)\|>|</s>\s*\Z")
_ESCAPED = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#39|#x27|#34);")
_HTML_PAGE = re.compile(r"\s*(?:<!doctype html|<html\b|<\?xml\b)", re.IGNORECASE)
_FENCE = re.compile(
    r"^[ \t]*+(?:[>*-][ \t]+)?(?P<ticks>`{3,}|~{3,})[ \t]*(?P<label>[\w+#.:/-]*)[^\n`]*$",
    re.MULTILINE,
)
_STARTS = re.compile(
    r"^[ \t]*+(?:(?:async[ \t]+)?def[ \t]+\w+[ \t]*\(|class[ \t]+\w+|import[ \t]+\w"
    r"|from[ \t]+[\w.]+[ \t]+import\b|@\w|#include\b|#define\b|template[ \t]*<|extern[ \t]+\"C\""
    r"|return\b[^.\n]*$"
    r"|(?:static|inline|const|void|int|float|double|auto|bool|size_t|u?int\d+_t)\b[^.\n]*[({;=]"
    r"|[A-Za-z_][\w.\[\]]*[ \t]*[-+*/]?=[ \t]*[^=\n]|(?:for|if|while|else)\b[^.\n]*[:{][ \t]*$)",
    re.MULTILINE,
)
_MOST_SEGMENTS = 12
_MOST_FENCES = 2000


def starts_code(text: str) -> bool:
    """Whether a line of the text looks like code."""
    return bool(_STARTS.search(text))


def readings(text: str) -> Iterator[Reading]:
    """Ways to read an answer, the most literal first.

    Raises:
        RefusalError: it is empty, breaks off within its thoughts, or is a page of HTML.
    """
    plain = _without_thoughts(text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff"))
    if not plain.strip():
        raise RefusalError(Reason.EMPTY, "the answer is empty")
    if _HTML_PAGE.match(plain):
        raise RefusalError(Reason.LANGUAGE, "the answer is a page of HTML or XML, not code")
    structured = _from_json(plain)
    if structured is not None:
        yield structured
    yield _reading(plain)
    if _ESCAPED.search(plain):
        yield _reading(html.unescape(plain))
    if "\\n" in plain and plain.count("\\n") > plain.count("\n"):
        yield _reading(plain.replace("\\n", "\n").replace('\\"', '"').replace("\\t", "\t"))


def _without_thoughts(text: str) -> str:
    end = _END_OF_TEXT.search(text)
    text = text[: end.start()] if end else text
    for tag in ("think", "thinking", "thought", "reasoning"):
        # A template may have written the opening tag, so that the answer begins within thoughts.
        before, closing, after = text.rpartition(f"</{tag}>")
        if closing:
            opened = before.find(f"<{tag}>")
            text = (before[:opened] if opened > 0 else "") + after
    opened_again = _THOUGHTS.search(text)
    if opened_again and not text[: opened_again.start()].strip():
        raise RefusalError(Reason.TRUNCATED, "the answer ends within its thoughts, before any code")
    return text[: opened_again.start()] if opened_again else text


def _reading(text: str) -> Reading:
    return Reading(hunks(text), tuple(_segments(text)))


def _segments(text: str) -> list[Segment]:
    """Pieces of code; the fenced ones in order, or what looks like code when there are none."""
    fences = list(itertools.islice(_FENCE.finditer(text), _MOST_FENCES))
    found: list[Segment] = []
    opened: re.Match[str] | None = None
    if (
        fences
        and not fences[0]["label"]
        and len(fences) % 2
        and _STARTS.search(text[: fences[0].start()])
    ):
        # The opening fence was part of the prompt, or forgotten.
        found.append(Segment(_trimmed(text[: fences[0].start()]), fenced=True))
        fences = fences[1:]
    for fence in fences:
        if opened is None:
            opened = fence
            continue
        if fence["ticks"][0] != opened["ticks"][0] or len(fence["ticks"]) < len(opened["ticks"]):
            continue
        found.append(_fenced(text, opened, fence.start(), closed=True))
        # A labelled fence inside an open one: the closing one was forgotten.
        opened = fence if fence["label"] else None
    if opened is not None:
        found.append(_fenced(text, opened, len(text), closed=False))
    found = [s for s in found if s.text.strip()]
    if not found and (first := _STARTS.search(text)):
        found = [Segment(text[first.start() :], closed=False, fenced=False)]
    return found[-_MOST_SEGMENTS:]


def _trimmed(text: str) -> str:
    first = _STARTS.search(text)
    return text[first.start() :] if first else text


def _fenced(text: str, opened: re.Match[str], end: int, *, closed: bool) -> Segment:
    before = text[max(0, opened.start() - 200) : opened.start()].rstrip("\n").rpartition("\n")[2]
    body = text[opened.end() + 1 : end]
    return Segment(body, opened["label"].lower(), closed, hint=before)


_CODE_KEYS = (
    "code", "program", "function", "new_code", "updated_code", "implementation", "block", "file",
    "content", "source", "solution", "answer", "diff", "patch", "edit", "output", "python",
)  # fmt: skip
_EDIT_KEYS = (("search", "replace"), ("old", "new"), ("original", "updated"), ("find", "replace"))


def _from_json(text: str) -> Reading | None:
    """An answer wrapped in JSON, bare or in a fence; None when it is none.

    Raises:
        RefusalError: it is JSON that breaks off or cannot be read.
    """
    body = text.strip()
    fence = _FENCE.search(text)
    if fence and fence["label"].lower() in ("json", "json5", "jsonc"):
        end = _FENCE.search(text, fence.end())
        body = text[fence.end() : end.start() if end else len(text)].strip()
    if not body.startswith(("{", "[{")) or '"' not in body[:200]:
        return None
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(body)
    except json.JSONDecodeError as error:
        return _damaged_json(body, error)
    except (RecursionError, ValueError):
        return None
    found: list[Hunk] = []
    texts: list[str] = []
    _collect(value, found, texts, depth=0)
    segments: list[Segment] = []
    for code in texts:
        inner = _reading(code.replace("\r\n", "\n"))
        found += inner.hunks
        fenced = [s for s in inner.segments if s.fenced]
        segments += fenced or [Segment(code)]
    return Reading(tuple(found), tuple(segments)) if found or segments else None


def _damaged_json(body: str, error: json.JSONDecodeError) -> Reading | None:
    named = re.match(r'[\[{\s]*"(\w{1,40})"\s*:', body)
    if named is None or named[1].lower() not in (*_CODE_KEYS, "edits", "search", "changes"):
        return None  # Python may begin with a brace too.
    breaks_off = error.msg.startswith(("Unterminated", "Expecting ',' delimiter"))
    if breaks_off and (error.msg.startswith("Unterminated") or error.pos >= len(body) - 1):
        raise RefusalError(Reason.TRUNCATED, "the JSON of the answer breaks off within a text")
    raise RefusalError(
        Reason.MALFORMED,
        f"the JSON of the answer cannot be read ({error.msg}, line {error.lineno});"
        " answer with plain code in a fence",
    )


def _collect(value: object, found: list[Hunk], texts: list[str], *, depth: int) -> None:
    if depth > 4:
        return
    if isinstance(value, list):
        for item in value[:100]:
            _collect(item, found, texts, depth=depth + 1)
    if not isinstance(value, dict):
        return
    for old, new in _EDIT_KEYS:
        if isinstance(value.get(old), str) and isinstance(value.get(new), str):
            path = value.get("path") or value.get("file")
            found.append(
                Hunk(_split(value[old]), _split(value[new]), path if isinstance(path, str) else "")
            )
            return
    for key in _CODE_KEYS:
        if isinstance(value.get(key), str):
            texts.append(value[key])
            return
    for item in value.values():
        _collect(item, found, texts, depth=depth + 1)


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.replace("\r\n", "\n").removesuffix("\n").split("\n")) if text else ()


_NUMBERED = re.compile(r"^[ \t]*+(\d{1,6})(?:[ \t]*[|:│→][ ]?|\t)(.*)$")


def without_line_numbers(lines: list[str], *, least: int = 2) -> list[str] | None:
    """The lines without `12 | ` in front; None when they do not all carry growing numbers."""
    filled = [line for line in lines if line.strip()]
    found = [_NUMBERED.match(line) for line in filled]
    if len(filled) < least or not all(found):
        return None
    numbers = [int(m[1]) for m in found if m]
    if any(a >= b for a, b in itertools.pairwise(numbers)):
        return None
    return [m[2] if (m := _NUMBERED.match(line)) else line for line in lines]
