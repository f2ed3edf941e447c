"""Numeric constants of a program text in any language, to tell tuning from restructuring."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"(?P<number>(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)\w*)"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<space>[ \t]+)"
    r"|(?P<other>.|\n)"
)
_ASSIGNED = re.compile(r"([A-Za-z_][\w.\[\]]*)\s*(?::[^=]+)?[-+*/]?=(?!=)")
_OPERATORS = frozenset("=(,[{:<>+-*/%?&|!;\n")


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant that differs between two texts of equal structure.

    Attributes:
        line: line number in the new text, from 1.
        name: what it is assigned to, or the code of its line.
        before: the old literal.
        after: the new literal.
    """

    line: int
    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class _Literal:
    text: str
    line: int
    column: int


def changed_constants(before: str, after: str) -> tuple[Constant, ...] | None:
    """Return the constants that differ; None when more than constants differ.

    Two texts have the same structure when they are equal but for numeric literals and the signs
    in front of them.
    """
    shape_before, literals_before = _scan(before)
    shape_after, literals_after = _scan(after)
    if shape_before != shape_after:
        return None
    lines = after.splitlines()
    return tuple(
        Constant(new.line, _name(lines[new.line - 1], new.column), old.text, new.text)
        for old, new in zip(literals_before, literals_after, strict=True)
        if old.text != new.text
    )


def _scan(text: str) -> tuple[list[str], list[_Literal]]:
    shape: list[str] = []
    literals: list[_Literal] = []
    line, line_begin = 1, 0
    previous = "\n"  # the last token that is not blank
    sign_at = -1  # where in `shape` a sign stands that would belong to a following number
    for match in _TOKEN.finditer(text):
        token = match.group()
        if match.lastgroup == "number":
            sign = shape.pop(sign_at) if sign_at >= 0 else ""
            literals.append(_Literal(sign + token, line, match.start() - line_begin))
            shape.append("#")
        else:
            shape.append(token)
        if match.lastgroup == "space":
            continue
        is_sign = token == "-" and (previous in _OPERATORS or previous == "return")
        sign_at = len(shape) - 1 if is_sign else -1
        previous = token
        if token == "\n":
            line, line_begin = line + 1, match.end()
    return shape, literals


def _name(line: str, column: int) -> str:
    names = [m for m in _ASSIGNED.finditer(line) if m.end() <= column]
    code = line.strip()
    # A bare `name = 0.5` is named by its target; in longer code the line itself says more.
    if names and re.fullmatch(
        r"[-+]?[\w.]*[,;)]?\s*(?:(#|//).*)?", line[names[-1].end() :].strip()
    ):
        return names[-1].group(1)
    return code if len(code) <= 60 else code[:57] + "..."
