"""Loops over a slice, written anew as functions of the slice: a vectorisation begun for the model.

A small model that is told to make a loop faster copies it, or loses what it computes. Here the
answer is begun for it with the loop left out: for every name that the loop sets, a grammar (GBNF)
asks for one function of the slices that the loop reads, then dictates the rest of the function as
it was. Which function gives what the loop gave is the model's part of it.

Python only, read with the `ast` of the standard library; nothing is run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from breeder.proposers.llm.excerpts import FunctionView, functions
from breeder.proposers.llm.expressions import numpy_name
from breeder.proposers.llm.grammars import literal
from breeder.proposers.llm.model import Prompt, Tail
from breeder.proposers.proposer import Grammar

_BUILT_IN = ("sum", "max", "min", "len")
_NUMPY = ("sum", "mean", "max", "min", "prod", "median", "ptp", "argmax", "argmin", "std")
_MOST_NAMES = 4
_MOST_REST = 400
"""Characters behind the loop that a grammar may dictate: each token of them costs time."""


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop whose results may be written as functions of slices.

    Attributes:
        before: the function's text up to the loop, the names' first values left out.
        after: the text behind the loop.
        indent: indentation of the loop.
        names: what the loop sets, in order of their first values.
        slices: texts of the slices that it reads, `sequence[begin:end]`.
        numpy: the name that numpy is imported under; empty when it is not.
    """

    before: str
    after: str
    indent: str
    names: tuple[str, ...]
    slices: tuple[str, ...]
    numpy: str = ""

    @property
    def idea(self) -> str:
        """What is asked for, in one line."""
        return f"functions of {' and '.join(f'`{one}`' for one in self.slices)} in place of a loop"


class Site(NamedTuple):
    """A loop and the function that it is in."""

    view: FunctionView
    loop: Loop


def loops(function: str, *, numpy: str = "") -> tuple[Loop, ...]:
    """The loops of a function over `range(begin, end)` that fold elements of sequences into names.

    Their bodies only assign to names, which get their first values right before the loop, and read
    sequences at the loop's index alone.

    Args:
        function: text of one Python function that starts in the first column.
        numpy: the name that numpy is imported under in the program; empty when it is not.
    """
    try:
        root = ast.parse(function)
    except (SyntaxError, ValueError):
        return ()
    return tuple(loop for block in _blocks(root) for loop in _of(function, block, numpy))


def reducible(files: Mapping[str, str], grammar: Grammar) -> tuple[Site, ...]:
    """The loops of a program's Python functions that may be written as functions of slices."""
    return tuple(
        Site(view, loop)
        for view in functions(files, grammar)
        if view.language == "python"
        for loop in loops(view.short, numpy=numpy_name(files[view.path]))
    )


def unrolled(prompt: Prompt, loop: Loop, *, named: bool) -> Prompt:
    """The prompt with its answer begun up to where the loop was, and held to a grammar from there.

    Args:
        prompt: a prompt for the whole function, prefilled with a fence and the signature.
        loop: where.
        named: the slices get names first; else each function reads them from the sequence.
    """
    operands, lines = loop.slices, [f"{loop.indent}# {loop.idea}\n"]
    if named:
        taken = {one.partition("[")[0] for one in loop.slices} | set(loop.names)
        free = (name for name in ("part", "other", "third", "fourth") if name not in taken)
        operands = tuple(name for name, _ in zip(free, loop.slices, strict=False))
        lines += [
            f"{loop.indent}{name} = {one}\n"
            for name, one in zip(operands, loop.slices, strict=False)
        ]
    fence = prompt.prefill.partition("\n")[0]
    begun = f"{fence}\n{loop.before}{''.join(lines)}{loop.indent}{loop.names[0]} ="
    rules, stop = grammar(loop, operands), ("\n```",)
    return replace(prompt, prefill=begun, grammar=rules, stop=stop, tail=_tail(loop))


def grammar(loop: Loop, operands: Sequence[str]) -> str:
    """GBNF of one function of the operands for each name, and of the text behind the loop.

    Args:
        loop: what is written anew.
        operands: how the slices are read.
    """
    calls = [*_BUILT_IN, *(f"{loop.numpy}.{name}" for name in _NUMPY if loop.numpy)]
    joint = [f"{literal(begun)} value" for begun in _assignments(loop)]
    end = literal(_tail(loop).text)
    return "\n".join(
        [
            f"root ::= value {' '.join((*joint, end))}",
            'value ::= " " (scaled | call)',
            'scaled ::= call (" * " | " / " | " + " | " - ") call',
            'call ::= function "(" operand ")" | method',
            f"function ::= {' | '.join(literal(name) for name in calls)}",
            f"operand ::= {' | '.join(literal(one) for one in operands)}",
            f"method ::= {_methods(loop)}",
            "",
        ]
    )


def _assignments(loop: Loop) -> list[str]:
    """How the lines of the names after the first begin."""
    return [f"\n{loop.indent}{name} =" for name in loop.names[1:]]


def _tail(loop: Loop) -> Tail:
    """The text behind the loop, known by as much of it as no line of a name begins with."""
    text, lines = f"\n{loop.after.rstrip()}\n```", _assignments(loop)
    lengths = range(1, len(text) + 1)
    own = next(n for n in lengths if not any(line.startswith(text[:n]) for line in lines))
    return Tail(text, text[:own])


def _methods(loop: Loop) -> str:
    if not loop.numpy:
        return 'function "(" operand ")"'
    return "operand (" + " | ".join(literal(f".{name}()") for name in _NUMPY[:4]) + ")"


def _blocks(root: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(root):
        for name in ("body", "orelse"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def _of(text: str, block: list[ast.stmt], numpy: str) -> Iterator[Loop]:
    for place, node in enumerate(block):
        bounds = _range(node)
        if bounds is None or not isinstance(node, ast.For):
            continue
        sequences = _folded(node)
        names = _assigned(node.body)
        first = place
        while first > 0 and _first_value(block[first - 1], names):
            first -= 1
        started = [_target(one) for one in block[first:place]]
        if not sequences or not names or set(started) != names or len(names) > _MOST_NAMES:
            continue
        begin, end = bounds
        slices = tuple(f"{name}[{begin}:{end}]" for name in sequences)
        lines = text.splitlines(keepends=True)
        before = "".join(lines[: block[first].lineno - 1])
        after = "".join(lines[node.end_lineno or 0 :])
        if len(after) <= _MOST_REST:
            indent = " " * node.col_offset
            yield Loop(before, after, indent, tuple(dict.fromkeys(started)), slices, numpy)


def _range(node: ast.stmt) -> tuple[str, str] | None:
    """Texts of the bounds of `for name in range(...)`; None for other statements."""
    if not (isinstance(node, ast.For) and isinstance(node.target, ast.Name) and not node.orelse):
        return None
    call = node.iter
    if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "range"):
        return None
    texts = [ast.unparse(one) for one in call.args]
    if len(texts) == 1:
        return "", texts[0]
    return (texts[0], texts[1]) if len(texts) == 2 else None


def _folded(loop: ast.For) -> tuple[str, ...]:
    """Sequences that the body reads at the index; none where it does anything else with that."""
    assert isinstance(loop.target, ast.Name)
    index, found, uses = loop.target.id, dict[str, None](), 0
    for statement in loop.body:
        for node in ast.walk(statement):
            allowed = (ast.Assign, ast.AugAssign, ast.If)
            if isinstance(node, ast.stmt) and not isinstance(node, allowed):
                return ()
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                inside = isinstance(node.slice, ast.Name) and node.slice.id == index
                if not inside or isinstance(node.ctx, ast.Store):
                    return ()
                found[node.value.id] = None
                uses -= 1
            uses += isinstance(node, ast.Name) and node.id == index
    return tuple(found) if not uses else ()


def _assigned(body: Sequence[ast.stmt]) -> set[str]:
    return {
        node.id
        for statement in body
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _first_value(statement: ast.stmt, names: set[str]) -> bool:
    return _target(statement) in names


def _target(statement: ast.stmt) -> str:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return target.id if isinstance(target, ast.Name) else ""
    return ""
