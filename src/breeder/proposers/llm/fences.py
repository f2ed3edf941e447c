"""Quoting foreign text in a prompt: programs, and what programs printed, are data.

A program is put between fences longer than any run of back-ticks in it, so that it cannot end its
own fence. What an evaluation printed is also cut to size, cleaned of control characters and marked.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[@-Z\\-_]")
_TICKS = re.compile(r"`{3,}")
_SPACE = re.compile(r"\s+")

FENCE_NAMES = {"shell": "sh", "text": ""}
"""Languages whose name on a fence is not their own."""


def sound(text: str) -> str:
    """`text` as it survives UTF-8: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def fenced(text: str, language: str = "") -> str:
    """A fenced code block that ends with a newline; the fence is longer than any inside."""
    body = sound(text)
    longest = max((len(run) for run in _TICKS.findall(body)), default=2)
    fence = "`" * (longest + 1)
    if body and not body.endswith("\n"):
        body += "\n"
    return f"{fence}{FENCE_NAMES.get(language, language)}\n{body}{fence}\n"


def clean(text: str) -> str:
    """Text without control characters, terminal sequences and lone surrogates."""
    return sound(_CONTROL.sub("", _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))))


def clipped(text: str, limit: int) -> str:
    """At most `limit` characters: the head and, as errors stand at the end, the longer tail."""
    if len(text) <= limit:
        return text
    mark = f"\n[{len(text) - limit} characters left out]\n"
    room = max(limit - len(mark), 0)
    head = room // 3
    return text[:head] + mark + text[len(text) - (room - head) :]


def line(text: str, limit: int) -> str:
    """Foreign text as one line of at most `limit` characters, without back-ticks in threes."""
    # Cut first: a line is wanted, and foreign text may be megabytes.
    flat = _SPACE.sub(" ", clean(text[: 8 * limit + 64])).strip()
    flat = _TICKS.sub("``", flat)
    return flat if len(flat) <= limit else flat[: max(limit - 3, 0)].rstrip() + "..."


def quoted(name: str, text: str, limit: int) -> str:
    """What an evaluation printed, as a titled block of at most about `limit` characters."""
    # An eighth more than is kept at either end is read, whatever the size of the text.
    reach = limit + limit // 8
    ends = text if len(text) <= 2 * reach else clipped(text, 2 * reach)
    return f"{line(name, 60)}:\n{fenced(clipped(clean(ends).strip(), limit))}"
