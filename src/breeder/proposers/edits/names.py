"""Edits of identifiers, attribute names, subscripts and number literals."""

from __future__ import annotations

from breeder.proposers.edits.change import Edit, Material, fitted, replacing
from breeder.proposers.scope import Binding, use
from breeder.proposers.trees import Node


def change_identifier(material: Material) -> Edit | None:
    """Replace a name by another one in scope, preferably one that is used alike."""
    names = material.sites.names
    if not names:
        return None
    target = material.rng.choice(names)
    source = material.source
    wanted = use(source, target)
    old = source.of(target)
    visible = material.scope.visible(target)
    if wanted == "base" and (old not in visible or visible[old].kind != "value"):
        return None
    candidates = [
        (b.name, w)
        for b in visible.values()
        if b.name != old and (w := _likeness(material, b, wanted, visible.get(old))) > 0
    ]
    if wanted == "callee":
        alike = {source.of(n) for n in material.scope.reads if arity(n) == arity(target)}
        candidates = [c for c in candidates if c[0] in alike]
    if not candidates:
        return None
    chosen = material.rng.choices([c for c, _ in candidates], [w for _, w in candidates])[0]
    return replacing(material, target, chosen, "change identifier")


def _likeness(material: Material, other: Binding, wanted: str, old: Binding | None) -> float:
    """Weight of a name as a replacement: 0 when its kind does not fit the use."""
    if wanted == "callee":
        called = material.scope.uses.get(other.name)
        fits = other.kind == "function" and called is not None and called["callee"] > 0
        return 1.0 if fits else 0.0
    if other.kind != "value":
        return 0.0
    if old is not None and old.type and other.type and old.type != other.type:
        mixed = {old.type, other.type} == {"integer", "float"}
        return 0.1 if mixed and wanted != "index" else 0.0
    uses = material.scope.uses.get(other.name)
    if uses is None:
        return 0.05
    return 0.05 + float(uses[wanted] > 0) + 0.5 * float(wanted != "index" and uses["number"] > 0)


def change_access(material: Material) -> Edit | None:
    """Use another attribute or subscript that this program uses with the same base."""
    source = material.source
    found: dict[bytes, list[Node]] = {}
    for node in material.sites.accesses:
        base, member = _parts(node)
        if base is not None and member is not None:
            found.setdefault(_key(source.of(base), node), []).append(member)
    choices = [members for members in found.values() if len({source.of(m) for m in members}) > 1]
    if not choices:
        return None
    members = material.rng.choice(choices)
    target, other = material.rng.choice(members), material.rng.choice(members)
    visible = material.scope.visible(target)
    inner = [n for n in other.walk() if n.type == "identifier" and n.field != "attribute"]
    by_name = target.type in {"identifier", "field_identifier"} and target.field != "subscript"
    if not by_name and any(source.of(n) not in visible for n in inner):
        return None
    return replacing(material, target, source.of(other), "change access")


def _key(base: bytes, node: Node) -> bytes:
    return b"%s %s %d" % (base, node.type.encode(), arity(node))


def arity(node: Node) -> int:
    """Number of arguments of the call whose callee the node is; -1 when it is none."""
    if node.parent is None or node.field != "function":
        return -1
    arguments = node.parent.child("arguments")
    return len(arguments.named_children()) if arguments is not None else 0


def _parts(node: Node) -> tuple[Node | None, Node | None]:
    if node.type == "attribute":
        return node.child("object"), node.child("attribute")
    if node.type == "subscript":
        return node.child("value"), node.child("subscript")
    if node.type == "field_expression":
        return node.child("argument"), node.child("field")
    return node.child("argument"), node.child("index") or node.child("indices")


def change_number(material: Material) -> Edit | None:
    """Scale, perturb or replace a number literal; integers move by small steps."""
    targets = material.sites.numbers
    if not targets:
        return None
    target = material.rng.choice(targets)
    old = material.source.of(target)
    text = moved(material, old)
    if text is None:
        return None
    return replacing(material, target, fitted(text, target, atom=text[:1] != b"-"), "change number")


def moved(material: Material, old: bytes) -> bytes | None:
    """A literal near `old`, or another one of its program; None where it cannot be read."""
    rng = material.rng
    if rng.random() < 0.15:
        near = [material.source.of(n) for n in material.sites.numbers]
        return rng.choice([n for n in near if n.isdigit() == old.isdigit()])
    if old.isdigit():
        value = int(old[:18])
        steps = (value + 1, value - 1, value * 2, value // 2, rng.randint(0, 10))
        step = rng.choice(steps)
        return b"%d" % (step if step >= 0 or rng.random() < 0.3 else 0)
    body = old.rstrip(b"fFlL") if not old.lower().startswith(b"0x") else b"-"
    try:
        number = float(body)
    except ValueError:
        return None
    moved_to = number * 2 ** rng.gauss(0, 1) if rng.random() < 0.5 else number * rng.gauss(1, 0.2)
    if rng.random() < 0.05:
        moved_to = -moved_to
    if number == 0:
        moved_to = rng.gauss(0, 1)
    text = f"{moved_to:.4g}"
    spelled = text if any(c in text for c in ".en") else text + ".0"
    if "n" in spelled:
        return None
    return spelled.encode() + old[len(body) :]
