"""Small generated expressions over names in scope, in the idiom of the language."""

from __future__ import annotations

import random
import re
from collections import Counter

from breeder.proposers.edits.change import Material
from breeder.proposers.scope import NUMERIC, Binding, Scope
from breeder.proposers.trees import Node, Source

_ARRAYS = {"numpy": b"np", "jax.numpy": b"jnp", "torch": b"torch"}
_MATHS_HEADER = re.compile(rb"#\s*include\s*<c?math(\.h)?>")


def constant(rng: random.Random, *, integer: bool) -> bytes:
    """A small constant of either kind; floats spread over three decades."""
    if integer:
        return b"%d" % rng.choice((1, 2, 3, 4, 5, 8, 10, 16))
    value = float(f"{10 ** rng.uniform(-2, 1):.2g}")
    return repr(value).encode()


def expression(material: Material, target: Node) -> bytes | None:
    """A generated numeric expression for the place of `target`; None without names to use.

    It is not put in parentheses: the caller fits it in.
    """
    rng = material.rng
    names = _names(material, target)
    if not names:
        return None
    a = rng.choice(names)
    b = rng.choice([n for n in names if n != a] or names)
    whole = _integral(material, target, a, b)
    k = constant(rng, integer=whole)
    if rng.random() < 0.5:
        return _arithmetic(rng, a, b, k, whole=whole, family=material.source.table.family)
    calls = _calls(material.source, material.scope, target)
    if calls and not whole:
        return rng.choice(calls)(a, b)
    return _choice(material, a, b)


def condition(material: Material, target: Node) -> bytes | None:
    """A generated comparison of names that surely hold single numbers, or None.

    Those are names that conditions of this program compare, and parameters that are annotated as
    numbers, or as true or false, which need no comparison. Others may hold arrays, whose truth
    value is an error in Python.
    """
    rng = material.rng
    visible = material.scope.visible(target)
    switches = [b.name for b in visible.values() if b.type == "boolean"]  # declared true or false
    names = [n for n in _names(material, target) if _scalar(material, visible.get(n), n)]
    if not names and not switches:
        return None
    a = rng.choice([*names, *switches])
    if a in switches:
        return a if rng.random() < 0.5 else material.source.table.booleans[2] + a
    b = rng.choice(names)
    integer = _integral(material, target, a, a)
    right = b if b != a and rng.random() < 0.5 else _threshold(rng, integer=integer)
    return b"%s %s %s" % (a, rng.choice((b"<", b"<=", b">", b">=")), right)


def _threshold(rng: random.Random, *, integer: bool) -> bytes:
    """What a name is compared with: whole numbers may be sizes, and spread over four decades."""
    if integer and rng.random() < 0.5:
        return b"%d" % round(2 ** rng.uniform(0, 13))
    return constant(rng, integer=integer)


def _names(material: Material, target: Node) -> list[bytes]:
    names = material.scope.numbers(target)
    kept = [n for n in names if not material.scope.uses.get(n, Counter())["sequence"]]
    return names if not kept or material.source.table.family == "python" else kept


def _scalar(material: Material, binding: Binding | None, name: bytes) -> bool:
    if material.source.table.family != "python":
        return True
    numeric = binding is not None and binding.type in NUMERIC
    if numeric and binding is not None and binding.holder.type == "function_definition":
        return True  # an annotated parameter; a local may be bound again, to an array
    source = material.source
    for read in material.scope.reads:
        if source.of(read) != name or read.parent is None:
            continue
        kind = read.parent.type
        holder = next(
            (a for a in read.ancestors() if a.field == "condition" or a.type == "for_statement"),
            None,
        )
        if kind == "comparison_operator" and holder is not None and holder.contains(read):
            return True
    return False


def _integral(material: Material, target: Node, a: bytes, b: bytes) -> bool:
    """Whether the expression should stay whole: both names hold integers."""
    visible: dict[bytes, Binding] = material.scope.visible(target)
    return all(n in visible and visible[n].type == "integer" for n in (a, b))


def _arithmetic(
    rng: random.Random, a: bytes, b: bytes, k: bytes, *, whole: bool, family: str
) -> bytes:
    forms = [
        b"%s * %s + %s" % (k, a, b),
        b"%s - %s * %s" % (a, k, b),
        b"%s + %s" % (a, k),
        b"%s * %s" % (a, a),
        b"%s * %s" % (a, b),
        b"%s - %s" % (a, b),
    ]
    if not whole:
        forms.append(b"%s / (%s + %s)" % (a, b, k))
    if family == "python":
        forms.append(b"%s ** 2" % a)
        forms.append(b"%s // %s" % (a, k) if whole else b"%s ** 0.5" % a)
    return rng.choice(forms)


def _choice(material: Material, a: bytes, b: bytes) -> bytes:
    rng = material.rng
    if material.source.table.family == "python":
        return rng.choice((b"min(%s, %s)", b"max(%s, %s)")) % (a, b) if a != b else b"abs(%s)" % a
    if a == b:
        return b"%s < 0 ? -%s : %s" % (a, a, a)
    return b"%s %s %s ? %s : %s" % (a, rng.choice((b"<", b">")), b, a, b)


def array_module(scope: Scope, target: Node) -> bytes | None:
    """The name under which an array library is visible at a node."""
    for b in scope.visible(target).values():
        if b.kind == "module" and b.type in _ARRAYS:
            return b.name
    return None


class _Call:
    """A call of one or two names."""

    def __init__(self, form: bytes) -> None:
        self.form = form

    def __call__(self, a: bytes, b: bytes) -> bytes:
        return self.form.replace(b"{a}", a).replace(b"{b}", b)


def _calls(source: Source, scope: Scope, target: Node) -> list[_Call]:
    if source.table.family == "python":
        module = array_module(scope, target)
        if module is not None:
            forms: tuple[bytes, ...] = (
                b"minimum({a}, {b})", b"maximum({a}, {b})", b"abs({a})", b"sqrt(%m.abs({a}))",
                b"log1p(%m.abs({a}))", b"exp(-%m.abs({a}))", b"where({a} < {b}, {a}, {b})",
                b"square({a})",
            )  # fmt: skip
            return [_Call(module + b"." + f.replace(b"%m", module)) for f in forms]
        maths = [b.name for b in scope.visible(target).values() if b.type == "math"]
        forms = (b"log1p(abs({a}))", b"sqrt(abs({a}))", b"exp(-abs({a}))")
        return [_Call(maths[0] + b"." + f) for f in forms] if maths else []
    if not _MATHS_HEADER.search(source.text):
        return []
    prefix = b"std::" if source.table.name == "cpp" else b""
    forms = (b"log1p(%mfabs({a}))", b"sqrt(%mfabs({a}))", b"fmin({a}, {b})", b"fmax({a}, {b})")
    return [_Call(prefix + f.replace(b"%m", prefix)) for f in forms]
