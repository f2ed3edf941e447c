"""Adaptation: makes code taken from one place valid at another, by its free names."""

from __future__ import annotations

import builtins

from breeder.proposers.edits.change import Material
from breeder.proposers.languages import words
from breeder.proposers.scope import Binding, scope, use
from breeder.proposers.trees import Node, Source

_BUILTINS = frozenset(name.encode() for name in dir(builtins))
_LOOPS = words("for_statement while_statement do_statement for_range_loop")
_JUMPS = frozenset({"break_statement", "continue_statement"})


def adapted(material: Material, donor: Source, node: Node, target: Node) -> bytes | None:
    """The text of `node`, of `donor`, with names that are in scope at `target`.

    A free name that is not visible there is renamed to a visible one of the same kind that is used
    alike; functions and modules are never renamed. None when that cannot be done, or when a jump
    would leave its loop.
    """
    if _stray_jump(node, target):
        return None
    visible = material.scope.visible(target)
    renamed: dict[bytes, bytes] = {}
    parts: list[bytes] = []
    position = node.begin
    for read in _free_names(donor, node):
        name = donor.of(read)
        if name in visible or _known(material.source, donor, name):
            continue
        if name not in renamed:
            substitute = _substitute(material, donor, read, visible)
            if substitute is None:
                return None
            renamed[name] = substitute
        parts += [donor.text[position : read.begin], renamed[name]]
        position = read.end
    return b"".join([*parts, donor.text[position : node.end]])


def _stray_jump(node: Node, target: Node) -> bool:
    if not any(n.type in _JUMPS for n in node.walk()):
        return False
    return not any(a.type in _LOOPS for a in target.ancestors())


def _free_names(donor: Source, node: Node) -> list[Node]:
    names = scope(donor)
    inside = {b.name for b in names.bindings if _is_within(b.holder, node)}
    bound = inside | {
        b.name for b in names.bindings if node.begin < b.begin <= node.end and b.kind == "value"
    }
    return [r for r in names.reads if node.contains(r) and donor.of(r) not in bound]


def _is_within(holder: Node, node: Node) -> bool:
    """Whether a scope lies in a node and is smaller: a block may span just its one statement."""
    return node.contains(holder) and (holder.begin, holder.end) != (node.begin, node.end)


def _known(source: Source, donor: Source, name: bytes) -> bool:
    """Whether a name that nothing binds may be taken along: a built-in or a library function."""
    if any(b.name == name for b in scope(source).bindings):
        return False
    if source.table.family == "python":
        return name in _BUILTINS
    return not any(b.name == name for b in scope(donor).bindings) and name in scope(source).uses


def _substitute(
    material: Material, donor: Source, read: Node, visible: dict[bytes, Binding]
) -> bytes | None:
    wanted = use(donor, read)
    if wanted in {"callee", "base"}:
        return None
    uses = material.scope.uses
    candidates = [b.name for b in visible.values() if b.kind == "value" and b.name in uses]
    alike = [name for name in candidates if uses[name][wanted]]
    if wanted in {"number", "value", "argument"}:
        alike = alike or [n for n in candidates if material.scope.numeric(n)]
    return material.rng.choice(alike) if alike else None
