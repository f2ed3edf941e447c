"""Edits of lines, for languages without a grammar and for texts that do not parse."""

from __future__ import annotations

import random
import re

from breeder.proposers.edits.change import short
from breeder.proposers.trees import encode

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")


def edit_lines(text: str, rng: random.Random) -> tuple[str, str] | None:
    """Change one thing in a region's text: a number, or the order or number of its lines.

    Returns:
        The new text and a note; None when there is nothing to change.
    """
    numbers = list(_NUMBER.finditer(text))
    if numbers and rng.random() < 0.6:
        return _number(text, rng.choice(numbers), rng)
    lines = text.splitlines(keepends=True)
    filled = [i for i, line in enumerate(lines) if line.strip()]
    if not filled:
        return None
    i, j = rng.choice(filled), rng.choice(filled)
    shown = short(encode(lines[i]))
    how = rng.choice(("swap", "delete", "duplicate"))
    if how == "swap":
        first, second = _bare(lines[i]), _bare(lines[j])
        lines[i] = second + lines[i][len(first) :]
        lines[j] = first + lines[j][len(second) :]
    elif how == "delete":
        del lines[i]
    else:
        lines.insert(i, lines[i] if lines[i] != _bare(lines[i]) else lines[i] + "\n")
    return "".join(lines), f"{how} line {i + 1}: {shown}"


def _bare(line: str) -> str:
    return line.splitlines()[0]


def _number(text: str, found: re.Match[str], rng: random.Random) -> tuple[str, str]:
    old = found.group()
    if old.isdecimal():
        value = int(old[:18])
        new = str(max(0, rng.choice((value + 1, value - 1, value * 2, value // 2))))
    else:
        new = f"{float(old) * 2 ** rng.gauss(0, 0.7):.4g}"
    return text[: found.start()] + new + text[found.end() :], f"change number: {old} -> {new}"
