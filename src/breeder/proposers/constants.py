"""Numeric constants of a program: where they stand, what they look like, how far they may move."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median

from breeder.proposers.literals import is_fixed, is_parameter
from breeder.proposers.proposer import Grammar
from breeder.proposers.scope import use
from breeder.proposers.sites import group, sites
from breeder.proposers.trees import Node, Source, byte_regions, decode, encode, read

_NUMBER = re.compile(rb"(?<![\w.])\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.])")
_SHAPES = re.compile(
    rb"(?:^|\.)(?:zeros|ones|empty|full|reshape|arange|linspace|eye|enumerate|range|malloc|calloc)$"
)
_LISTS = frozenset({"list", "tuple", "initializer_list"})
_LAYOUT = frozenset({b"axis", b"dim", b"ndim", b"shape", b"size", b"dtype", b"ndmin", b"seed"})
_SENTINEL = 1e9
_SMALL = 10


@dataclass(frozen=True, slots=True)
class Constant:
    """A number literal, its minus sign and the parentheses around that included.

    Attributes:
        begin, end: byte offsets in its file; `text`: what stands there.
        value: its value; `integer`: whether it must stay whole.
        suffix: type suffix of C literals, kept as it is.
        name: the name it is assigned or passed to, or compared with; "" when there is none.
        structural: it is part of the program's structure (an index, an axis, a loop bound, a
            power, a counter's start, a sentinel; in C a zero without a name of its own) and not a
            quantity to tune.
        width: it is a declared whole constant of a C program and a power of two: most likely a
            number of lanes, a block or an unrolling, where only another power of two differs.
        scale: of a coefficient (a factor with a decimal point), what moves of it are measured by:
            its magnitude, or the usual one of the program's coefficients if that is more; 0 of
            other constants. A weight in a sum may change its sign, and 0 is as good as 0.01.
    """

    begin: int
    end: int
    text: bytes
    value: float
    integer: bool
    suffix: bytes
    name: str
    structural: bool
    width: bool = False
    scale: float = 0.0

    def spelled(self, value: float) -> bytes:
        """A value in the spelling of this constant: six digits at most, integers whole."""
        if value == self.value:
            return self.text
        if self.integer:
            text = b"%d" % round(value)
        else:
            text = f"{value:.6g}".encode()
            if not any(c in text for c in b".e"):
                text += b".0"
        if text.startswith(b"-") and (self.value >= 0 or self.text.startswith(b"(")):
            return b"(" + text + self.suffix + b")"
        return text + self.suffix

    def at(self, x: float) -> float:
        """The value at internal coordinate `x`; the constant's own value at 0.

        Magnitudes move on a log scale and keep their sign, so that one step means the same for
        1e-3 and 1e6: `x` is the logarithm of the factor. Coefficients, zeros and small integers
        move linearly, widths from one power of two to another.
        """
        if self.scale:
            return self.value + x * self.scale
        if self.width:
            doublings = round(min(30.0, max(-30.0, x / math.log(2))))
            return max(1.0, self.value * 2.0**doublings)
        if self.integer and abs(self.value) < _SMALL:
            return float(round(self.value + x * 4))
        if self.value == 0:
            return x
        moved = self.value * math.exp(min(50.0, max(-50.0, x)))
        return float(round(moved)) if self.integer else moved

    @property
    def least_step(self) -> float:
        """The standard deviation in `x` below which an integer would no longer move."""
        if not self.integer:
            return 0.0
        if self.width:
            return 0.5
        return 0.12 if abs(self.value) < _SMALL else 0.4 / abs(self.value)


class Template:
    """A program with holes in the place of its tunable constants.

    Attributes:
        constants: path -> tunable constants of that file, in order.
        key: hash of everything but the constants' values; equal for programs of one structure.
    """

    def __init__(self, files: Mapping[str, str], grammar: Grammar) -> None:
        self.constants: list[tuple[str, Constant]] = []
        self._pieces: dict[str, list[bytes]] = {}
        hasher = hashlib.blake2b(digest_size=16)
        for path in sorted(files):
            data = encode(files[path])
            found = _scaled([c for c in find(files[path], path, grammar) if not c.structural])
            edges = [0, *(e for c in found for e in (c.begin, c.end)), len(data)]
            pieces = [data[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2)]
            self._pieces[path] = pieces
            self.constants += [(path, c) for c in found]
            hasher.update(encode(path) + b"\0" + b"\0#\0".join(pieces) + b"\0\0")
        self.key = hasher.hexdigest()

    def values(self) -> list[float]:
        """The constants' values."""
        return [c.value for _, c in self.constants]

    def filled(self, spellings: Sequence[bytes]) -> dict[str, str]:
        """The files with each constant spelled anew, in the order of `constants`."""
        rest = iter(spellings)
        files: dict[str, str] = {}
        for path, pieces in self._pieces.items():
            parts = [pieces[0]]
            for piece in pieces[1:]:
                parts += [next(rest), piece]
            files[path] = decode(b"".join(parts))
        return files


def _scaled(constants: Sequence[Constant]) -> list[Constant]:
    """The constants of a file, coefficients with the scale of their moves."""
    sizes = [abs(c.value) for c in constants if c.scale and c.value]
    usual = median(sizes) if sizes else 1.0
    return [replace(c, scale=max(abs(c.value), usual)) if c.scale else c for c in constants]


def template(files: Mapping[str, str], grammar: Grammar) -> Template:
    """The template of a program; kept while it is in use."""
    languages = tuple(sorted(grammar.languages.items()))
    return _template(tuple(sorted(files.items())), languages, whole=grammar.whole)


@lru_cache(maxsize=128)
def _template(
    files: tuple[tuple[str, str], ...], languages: tuple[tuple[str, str], ...], *, whole: bool
) -> Template:
    return Template(dict(files), Grammar(dict(languages), whole=whole))


def find(text: str, path: str, grammar: Grammar) -> tuple[Constant, ...]:
    """The number literals in the evolvable regions of a file, in order; booleans are none."""
    name = grammar.languages.get(path, "text")
    source = read(text, name, whole=grammar.whole)
    if source is not None:
        return _in_tree(source)
    data = encode(text)
    found = []
    for begin, end in byte_regions(text, whole=grammar.whole):
        for match in _NUMBER.finditer(data, begin, end):
            number = match.group()
            whole = number.isdigit()
            small = whole and int(number[:18]) <= 2
            found.append(
                Constant(
                    *match.span(), number, float(number), whole, b"", "", small or len(number) > 18
                )
            )
    return tuple(found)


@lru_cache(maxsize=256)
def _in_tree(source: Source) -> tuple[Constant, ...]:
    changed = _reassigned(source)
    read_all = (_constant(source, node, changed) for node in sites(source).numbers)
    return tuple(c for c in read_all if c is not None)


def _constant(source: Source, node: Node, changed: frozenset[bytes]) -> Constant | None:
    text = source.of(node)
    body = text.rstrip(b"fFlLuU")
    hexadecimal = text.lower().startswith((b"0x", b"0b", b"0o"))
    try:
        value = float(body) if not hexadecimal else float(int(text, 0))
    except ValueError:
        return None
    integer = not any(c in body for c in b".eE") or hexadecimal
    outer = node
    parent = node.parent
    if parent is not None and source.of(parent)[:1] == b"-" and len(parent.children) == 2:
        outer, value = parent, -value
    if integer and _among_floats(source, outer):
        integer = False
    structural = (
        hexadecimal
        or not math.isfinite(value)
        or abs(value) >= _SENTINEL
        or 0 < abs(value) < 1 / _SENTINEL
        or _is_structural(source, outer, value, changed, integer=integer)
    )
    name = _name(source, outer)
    width = integer and is_power_of_two(value) and source.table.family == "c"
    width = width and is_parameter(source, outer)
    if value < 0 and outer.parent is not None and outer.parent.type == "parenthesized_expression":
        outer = outer.parent  # they are there for the sign's sake
    spelling, suffix = source.of(outer), text[len(body) :]
    scale = 0.0 if integer or not _is_factor(source, outer) else 1.0
    return Constant(
        outer.begin, outer.end, spelling, value, integer, suffix, name, structural, width, scale
    )


def _is_factor(source: Source, node: Node) -> bool:
    """Whether a number multiplies something that is no number."""
    parent = node.parent
    while parent is not None and parent.type == "parenthesized_expression":
        node, parent = parent, parent.parent
    operator = parent.child("operator") if parent is not None else None
    if parent is None or operator is None or operator.type != "*":
        return False
    other = parent.child("right" if node.field == "left" else "left")
    numbers = source.table.integers | source.table.floats
    return other is not None and other.type not in numbers


def is_power_of_two(value: float) -> bool:
    """Whether a value is 1, 2, 4, 8 and so on."""
    return value >= 1 and math.frexp(value)[0] == 0.5


def _is_named(source: Source, node: Node) -> bool:
    """Whether a literal is all that a name stands for, or one of the numbers in a list."""
    parent = node.parent
    if parent is None or parent.type in _LISTS or parent.type in {"keyword_argument", "pair"}:
        return True
    target = parent.child("left") or parent.child("declarator")
    return node.field in {"right", "value"} and target is not None and target.type == "identifier"


def _is_structural(
    source: Source, node: Node, value: float, changed: frozenset[bytes], *, integer: bool
) -> bool:
    parent = node.parent
    if parent is None or group(source, node) == "index" or use(source, node) == "sequence":
        return True
    if parent.type == "alignas_qualifier":
        return True
    if parent.type in _LISTS:
        return False
    if parent.type == "keyword_argument":
        name = parent.child("name")
        return name is not None and source.of(name) in _LAYOUT
    if source.table.family == "c":
        if value == 0 and not _is_named(source, node):
            return True
        if integer and value > 0 and is_parameter(source, node):
            return False
        if is_fixed(source, node, integer=integer):
            return True
    return _is_count(source, node, value, changed, integer=integer)


def _is_count(
    source: Source, node: Node, value: float, changed: frozenset[bytes], *, integer: bool
) -> bool:
    """Whether a number is a power, a shape, the start of a counter or the bound of a loop."""
    parent = node.parent
    if parent is None:
        return False
    operator = parent.child("operator")
    if operator is not None and operator.type == "**" and node.field == "right" and integer:
        return True
    if parent.type == "argument_list" and _shapes(source, parent):
        return True
    if value in {0, 1, -1} and (integer or _assigned_to(source, node) in changed):
        return True
    return integer and _in_loop_head(node)


def _shapes(source: Source, arguments: Node) -> bool:
    callee = arguments.parent.child("function") if arguments.parent is not None else None
    return callee is not None and _SHAPES.search(source.of(callee)) is not None


def _in_loop_head(node: Node) -> bool:
    for ancestor in (node, *node.ancestors()):
        parent = ancestor.parent
        if parent is None or ancestor.field == "body":
            return False
        if parent.type == "for_statement":
            return ancestor.field in {"initializer", "condition", "update", "right"}
    return False


def _among_floats(source: Source, node: Node) -> bool:
    parent = node.parent
    if parent is None or parent.type not in _LISTS:
        return False
    return any("float" in n.type or b"." in source.of(n) for n in parent.named_children())


def _assigned_to(source: Source, node: Node) -> bytes:
    parent = node.parent
    if parent is None or node.field not in {"right", "value"}:
        return b""
    target = parent.child("left") if parent.type == "assignment" else parent.child("declarator")
    return source.of(target) if target is not None else b""


def _reassigned(source: Source) -> frozenset[bytes]:
    """Names that are assigned more than once: their first value is a start, not a parameter."""
    seen: set[bytes] = set()
    again: set[bytes] = set()
    for node in source.root.walk():
        if node.type in {"assignment", "assignment_expression", "augmented_assignment"}:
            target = node.child("left")
        elif node.type == "init_declarator":
            target = node.child("declarator")
        else:
            continue
        if target is not None:
            name = source.of(target)
            (again if name in seen or node.type == "augmented_assignment" else seen).add(name)
    return frozenset(again)


def _name(source: Source, node: Node) -> str:
    parent = node.parent
    if parent is None:
        return ""
    if parent.type == "keyword_argument":
        target = parent.child("name")
    elif node.field in {"right", "value"} and parent.child("left") is not None:
        target = parent.child("left")
    else:
        target = parent.child("declarator") or parent.child("right")
    if target is None or target is node or target.type != "identifier":
        return ""
    return source.of(target).decode("utf-8", "replace")
