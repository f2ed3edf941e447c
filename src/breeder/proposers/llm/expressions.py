"""One expression of a function at a time: prompts that a small model can hardly answer wrongly.

A model of half a billion parameters that writes a whole function invents names, mixes up arrays
and numbers and forgets what to return. Here the answer is begun for it up to one assignment or
`return`, an idea stands as a comment above that line, a grammar (GBNF) offers it the names that are
bound there, arithmetic and a few functions, and then dictates the rest of the function as it was.
So every answer is a whole function that parses and binds what it reads, and the model's part of it
is the formula alone.

Python only, read with the `ast` of the standard library; nothing is run.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from breeder.proposers.llm.excerpts import FunctionView, functions
from breeder.proposers.llm.grammars import literal
from breeder.proposers.llm.model import Prompt, Tail
from breeder.proposers.proposer import Grammar

_NUMPY = re.compile(r"^import numpy(?: as (\w+))?\s*(?:#.*)?$", re.MULTILINE)

_ELEMENTWISE = ("exp", "square", "sign")
_MOST_NAMES = 16
_MOST_REST = 400
"""Characters behind the expression that a grammar may dictate: each token of them costs time."""


@dataclass(frozen=True, slots=True)
class Spot:
    """An expression that may be written anew.

    Attributes:
        before: the function's text up to the expression.
        old: the expression.
        after: the function's text behind it.
        names: what is bound there and reads like a value, most recent last.
        indexed: `sequence[index]` as the function reads them, where both are bound.
        arrays: those of the names that certainly hold numpy arrays.
        numpy: the name that numpy is imported under, where the function computes with whole arrays.
        fresh: names that bring in an argument which the expression does not depend on yet.
    """

    before: str
    old: str
    after: str
    names: tuple[str, ...]
    indexed: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()
    numpy: str = ""
    fresh: tuple[str, ...] = ()


def spots(function: str, *, numpy: str = "") -> tuple[Spot, ...]:
    """The expressions of a function that may be written anew, in order.

    Right-hand sides of assignments to a name, and what is returned, on one line each; no displays,
    no calls of anything but arithmetic, as those build what the rest of the function relies on.

    Args:
        function: text of one Python function that starts in the first column.
        numpy: the name that numpy is imported under in the program; empty when it is not.
    """
    try:
        node = ast.parse(function).body[0]
    except (SyntaxError, ValueError, IndexError):
        return ()
    if not isinstance(node, ast.FunctionDef):
        return ()
    found = (_spot(function, node, one, numpy) for one in ast.walk(node))
    return tuple(sorted((s for s in found if s is not None), key=lambda s: len(s.before)))


def focused(prompt: Prompt, spot: Spot, idea: str, *, negated: bool = False) -> Prompt:
    """The prompt with its answer begun up to a spot and held to a grammar from there.

    Args:
        prompt: a prompt for the whole function, prefilled with a fence and the signature.
        spot: where.
        idea: put as a comment above the spot's line; none when empty.
        negated: the answer is begun with a minus and a bracket: what is asked for is the reverse.
    """
    if negated:
        spot = replace(spot, before=f"{spot.before}-(", after=f"){spot.after}")
    head, newline, line = spot.before.rpartition("\n")
    indent = line[: len(line) - len(line.lstrip())]
    comment = f"{indent}# {' '.join(idea.split())}\n" if idea else ""
    fence = prompt.prefill.partition("\n")[0]
    begun = f"{head}{newline}{comment}{line}".rstrip(" ")
    rules = grammar(spot, space="" if negated else " ")
    # Expressions hold no line break: whatever comes after the first one is dictated.
    rest = _dictated(spot)
    tail = Tail(rest[rest.index("\n") :], "\n")
    prefill = f"{fence}\n{begun}"
    return replace(prompt, prefill=prefill, grammar=rules, stop=("\n```",), tail=tail)


def grammar(spot: Spot, *, space: str = " ") -> str:
    """GBNF of an expression over a spot's names, three levels deep, and of the text behind it.

    At least one operation is asked for: a name alone seldom changes anything; and one argument that
    had no part in the expression, if there is any: a formula over the same ones often orders
    alternatives as the old one did. What fails for some numbers is offered in a form that does not:
    divisors are kept from zero, roots from negatives.

    Args:
        spot: where.
        space: what stands before the expression.
    """
    atoms = [*_literals(spot.names), *_literals(spot.indexed), "number"]
    # Numbers give a number and arrays an array: what holds an array must come in first there.
    new = [name for name in spot.fresh if name in spot.arrays or not spot.numpy]
    leads = _literals(new) or _literals(spot.arrays) or ["atom"]
    absolute = literal(f"{spot.numpy}.abs(" if spot.numpy else "abs(")
    rules = [
        f"root ::= {literal(space)} sum {literal(_dictated(spot))}",
        f"atom ::= {' | '.join(atoms)}",
        f"lead ::= {' | '.join(leads)}",
        r'number ::= "0." [0-9]{1,3} | [1-9] [0-9]{0,2} ("." [0-9]{1,2})?',
        'op ::= " + " | " - " | " * "',
        f'over ::= " / (1e-9 + " {absolute} atom "))"',
        "flat ::= atom (op atom){0,2}",
        "main ::= lead (op atom){0,2} | atom op lead",
        'group ::= "(" atom op atom ")"',
        'first ::= "(" main ")" | lead',
        f"call ::= {' | '.join(_calls(spot.numpy, absolute))}",
        'compare ::= main (" < " | " > ") flat',
        'item ::= (atom | group) "**2"? | call',
        "more ::= op item | over",
        'sum ::= "-"? first "**2"? more{1,3} | "-"? call more{0,2} | "-"? first "**" [23]',
    ]
    rules[-1] += ' | "-" lead | atom op first more{0,1}'
    if not spot.numpy:
        rules[-1] += ' | first more{0,1} " if " compare " else " item'
    return "\n".join(rules) + "\n"


def _dictated(spot: Spot) -> str:
    """What follows the expression."""
    return f"{spot.after.rstrip()}\n```"


def _calls(numpy: str, absolute: str) -> list[str]:
    root = f'{absolute} main ")" "**0.5"?'
    if not numpy:
        return [root, '("min(" | "max(") main ", " flat ")"']
    one = " | ".join(literal(f"{numpy}.{name}(") for name in _ELEMENTWISE)
    two = f"{literal(numpy + '.minimum(')} | {literal(numpy + '.maximum(')}"
    chosen = f'{literal(numpy + ".where(")} compare ", " flat ", " flat ")"'
    return [root, f'({one}) main ")"', f'({two}) main ", " flat ")"', chosen]


def _literals(texts: Sequence[str]) -> list[str]:
    return [literal(text) for text in texts]


def _spot(text: str, function: ast.FunctionDef, node: ast.AST, numpy: str) -> Spot | None:
    value = _value(node)
    if value is None or value.lineno != value.end_lineno or not _arithmetic(value, numpy):
        return None
    begin, end = _offset(text, value.lineno, value.col_offset), value.end_col_offset
    stop = _offset(text, value.lineno, end or 0)
    before, after = text[:begin], text[stop:]
    if len(after) > _MOST_REST or not before.endswith(("= ", "return ")):
        return None
    if isinstance(node, ast.Assign) and not _read_later(node, function):
        return None
    if _lists(function) & {one.id for one in ast.walk(value) if isinstance(one, ast.Name)}:
        return None
    bound = _bound(function, value.lineno)
    elements = [
        (one.value.id, one.slice.id)
        for one in ast.walk(function)
        if isinstance(one, ast.Subscript)
        and isinstance(one.value, ast.Name)
        and isinstance(one.slice, ast.Name)
    ]
    sequences = {name for name, _ in elements}
    sources = _sources(function)
    informed = {name for name in bound if sources.get(name)}
    # What holds the same for all arguments is no operand, unless there is nothing else.
    bound = [name for name in bound if name in informed] if informed - sequences else bound
    reads = {f"{name}[{index}]" for name, index in elements if {name, index} <= set(bound)}
    names = tuple(name for name in bound if name not in sequences)[-_MOST_NAMES:]
    if not names:
        return None
    # Who reads single elements computes with numbers, whatever else is imported.
    whole = "" if elements else numpy
    arrays = tuple(name for name in names if whole and name in _arrays(function, whole))
    old = frozenset[str]().union(*(sources.get(name, ()) for name in _read(value)))
    fresh = tuple(name for name in names if not sources.get(name, old) <= old)
    return Spot(before, text[begin:stop], after, names, tuple(sorted(reads)), arrays, whole, fresh)


def _sources(function: ast.FunctionDef) -> dict[str, frozenset[str]]:
    """Name -> arguments that its value depends on; of one that is read for its length: none.

    Loops make this a fixed point; names are bound to the union over all that they are set to.
    """
    arguments = function.args
    found = {
        a.arg: frozenset([a.arg])
        for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    }
    sets: list[tuple[str, set[str]]] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.For):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            value = node.iter if isinstance(node, ast.For) else node.value
            read = _read(value) if value is not None else set()
            sets += [
                (one.id, read)
                for target in targets
                for one in ast.walk(target)
                if isinstance(one, ast.Name)
            ]
    before = None
    while before != found:
        before = dict(found)
        for name, read in sets:
            union = frozenset[str]().union(*(found.get(one, ()) for one in read))
            found[name] = found.get(name, frozenset()) | union
    return found


def _read(value: ast.AST) -> set[str]:
    """The names whose values an expression reads, not only their lengths."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "len":
        return set()
    own = {value.id} if isinstance(value, ast.Name) else set()
    return own.union(*(_read(one) for one in ast.iter_child_nodes(value)))


def _arrays(function: ast.FunctionDef, numpy: str) -> set[str]:
    """Names whose length is taken, and names that are set from those or from numpy's functions."""
    found = {
        node.args[0].id
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "len"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Name)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value
            made = isinstance(value, ast.Call) and ast.unparse(value.func).startswith(f"{numpy}.")
            mixed = isinstance(value, ast.BinOp) and any(
                isinstance(one, ast.Name) and one.id in found for one in ast.walk(value)
            )
            if made or mixed:
                found.add(node.targets[0].id)
    return found


def _read_later(assignment: ast.Assign, function: ast.FunctionDef) -> bool:
    """Whether anything depends on what is set: in a loop, that may be a line above."""
    targets = {one.id for one in assignment.targets if isinstance(one, ast.Name)}
    own = {id(node) for node in ast.walk(assignment)}
    return any(
        isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and node.id in targets
        and id(node) not in own
        for node in ast.walk(function)
    )


def _value(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return node.value if isinstance(node.targets[0], ast.Name) else None
    if isinstance(node, ast.AugAssign | ast.Return):
        return node.value
    return None


def _arithmetic(value: ast.expr, numpy: str) -> bool:
    """Whether an expression is a number or an array of numbers, as far as one can tell."""
    refused = (ast.Tuple, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp,
               ast.GeneratorExp, ast.Lambda, ast.JoinedStr, ast.Await, ast.Yield)  # fmt: skip
    for node in ast.walk(value):
        if isinstance(node, refused):
            return False
        if isinstance(node, ast.Constant) and not isinstance(node.value, int | float):
            return False
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if not (called.startswith(f"{numpy}.") and numpy) and called not in _BUILTINS:
                return False
    return True


_BUILTINS = frozenset({"abs", "float", "int", "len", "max", "min", "pow", "round", "sum"})


def _bound(function: ast.FunctionDef, line: int) -> list[str]:
    """Names that are certainly or probably bound on a line: parameters, and what was set above."""
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    stored = sorted(
        (node.lineno, node.col_offset, node.id)
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.lineno < line
    )
    lists = _lists(function)
    return [n for n in dict.fromkeys([*names, *(name for *_, name in stored)]) if n not in lists]


def _lists(function: ast.FunctionDef) -> set[str]:
    """Names that are set to a display: no operands of arithmetic."""
    displays = (ast.List, ast.Dict, ast.Set, ast.Tuple, ast.ListComp, ast.DictComp, ast.SetComp)
    return {
        target.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and isinstance(node.value, displays)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _offset(text: str, line: int, column: int) -> int:
    """Characters before a position that `ast` gives in lines and UTF-8 bytes."""
    lines = text.splitlines(keepends=True)
    prefix = lines[line - 1].encode()[:column].decode()
    return sum(len(one) for one in lines[: line - 1]) + len(prefix)


class Place(NamedTuple):
    """A spot and the function that it is in."""

    view: FunctionView
    spot: Spot


def rewritable(files: Mapping[str, str], grammar: Grammar) -> tuple[Place, ...]:
    """The expressions of a program's Python functions that may be written anew."""
    return tuple(
        Place(view, spot)
        for view in functions(files, grammar)
        if view.language == "python"
        for spot in spots(view.short, numpy=numpy_name(files[view.path]))
    )


def choose(found: Sequence[Place], rng: random.Random) -> Place | None:
    """One of the places; those that end a computation more often than those that begin one."""
    if not found:
        return None
    return rng.choices(found, [1.0 + index for index in range(len(found))])[0]


def numpy_name(text: str) -> str:
    """The name that a program imports numpy under; empty when it does not."""
    found = _NUMPY.search(text)
    return (found[1] or "numpy") if found else ""
