"""What a number literal of a C program is there for: a parameter, or part of the structure."""

from __future__ import annotations

from functools import lru_cache

from breeder.proposers.languages import words
from breeder.proposers.trees import Node, Source

_EXACT_DIGITS = 7
_POWERS = frozenset({b"pow", b"powf", b"ldexp", b"ldexpf", b"scalbn", b"scalbnf"})
_CONSTANT = frozenset({b"const", b"constexpr"})
_FACTORS = frozenset({"*", "/", "%"})
_SUBSCRIPTS = words("subscript_argument_list subscript_expression")


def is_parameter(source: Source, node: Node) -> bool:
    """Whether a literal is all that a declared constant is: `const int lanes = 1;`.

    Such a constant was given a name to be changed by, so that even a 1 is a quantity.
    """
    owner = node.parent
    declaration = owner.parent if owner is not None else None
    if owner is None or owner.type != "init_declarator" or node.field != "value":
        return False
    if declaration is None or declaration.type != "declaration":
        return False
    return any(source.of(child) in _CONSTANT for child in declaration.children)


def is_fixed(source: Source, node: Node, *, integer: bool) -> bool:
    """Whether a program of the C family would be another computation with another number there."""
    if _is_exact(source.of(node)) or _is_exponent(source, node):
        return True
    return integer and _scales_address(source, node)


def _is_exact(text: bytes) -> bool:
    """Whether a literal has so many digits that it was worked out, as a polynomial's coefficient.

    Tuned constants have six significant digits at most, so that none of them looks like this.
    """
    mantissa = text.lower().rstrip(b"fl").partition(b"e")[0]
    digits = mantissa.replace(b".", b"").replace(b"-", b"").strip(b"0")
    return b"." in mantissa and len(digits) >= _EXACT_DIGITS


def _is_exponent(source: Source, node: Node) -> bool:
    """Whether a literal is the exponent in a call of `pow` or one of its kin."""
    arguments = node.parent
    call = arguments.parent if arguments is not None else None
    callee = call.child("function") if call is not None else None
    if arguments is None or callee is None or arguments.type != "argument_list":
        return False
    name = source.of(callee).rpartition(b"::")[2]
    return name in _POWERS and arguments.named_children()[-1] is node


def _scales_address(source: Source, node: Node) -> bool:
    """Whether a literal multiplies or divides what an array is indexed by: the 2 in `2 * half`."""
    parent = node.parent
    operator = parent.child("operator") if parent is not None else None
    if operator is None or operator.type not in _FACTORS:
        return False
    for ancestor in node.ancestors():
        declared = ancestor.child("declarator") or ancestor.child("left")
        if ancestor.type in {"init_declarator", "assignment_expression"}:
            return declared is not None and source.of(declared) in _addresses(source)
        if ancestor.type not in source.table.expressions:
            return False
    return False


@lru_cache(maxsize=256)
def _addresses(source: Source) -> frozenset[bytes]:
    """Names that are part of a subscript somewhere in a source."""
    found: set[bytes] = set()
    for node in source.root.walk():
        if node.type in _SUBSCRIPTS:
            inside = [c for c in node.children if c.field != "argument"]
            found |= {source.of(n) for c in inside for n in c.walk() if n.type == "identifier"}
    return frozenset(found)
