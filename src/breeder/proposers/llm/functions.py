"""Putting functions of an answer into the parent: replaced by name, helpers and imports beside."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from breeder.proposers.edits.change import Change
from breeder.proposers.edits.layout import indent_of
from breeder.proposers.llm.bodies import body_lines, indentation, moved, region_body
from breeder.proposers.llm.units import (
    Layout,
    Piece,
    imported,
    layout,
    members,
    pieces,
    signature,
    tokens,
)
from breeder.proposers.llm.verdicts import Reason, RefusalError
from breeder.proposers.trees import Node, Source, function_name


@dataclass
class _Merge:
    """What an answer's pieces are for the parent."""

    source: Source
    answer: Source
    parent: Layout
    replaced: list[tuple[Piece, Piece]] = field(default_factory=list)
    bodies: list[tuple[tuple[int, int], Node, Piece]] = field(default_factory=list)
    helpers: list[Piece] = field(default_factory=list)
    methods: list[tuple[Piece, Piece]] = field(default_factory=list)
    imports: list[bytes] = field(default_factory=list)


def merge(source: Source, answer: Source) -> tuple[list[Change], str]:
    """Changes that put the answer's functions, classes and constants into the parent.

    Pieces of the parent that the answer does not name stay. Pieces that repeat frozen ones are
    left out; statements that are no definitions (calls, prints, main guards) are too.

    Returns:
        The changes, not overlapping, and a note.

    Raises:
        RefusalError: no function of the parent is in the answer, or a piece has no legal place.
    """
    plan = _Merge(source, answer, layout(source))
    for piece in pieces(answer):
        _sort(plan, piece)
    if not plan.replaced and not plan.bodies and not plan.methods:
        _rename(plan)
    plan.imports = _new_imports(plan)
    names = [_shown(old.name) for old, _ in plan.replaced]
    names += [_shown(new.name) for _, _, new in plan.bodies]
    names += [_shown(new.name) for _, new in plan.methods]
    return _changes(plan), "rewrite " + ", ".join(dict.fromkeys(names))


def _shown(name: bytes) -> str:
    return name.decode(errors="replace")


def _sort(plan: _Merge, piece: Piece) -> None:
    if piece.kind not in ("function", "class", "constant") or not piece.name:
        return
    found = _named(plan.parent.targets, piece)
    enclosing = [
        (region, node)
        for region, node in plan.parent.inner
        if piece.kind == "function" and function_name(plan.source, node) == piece.name
    ]
    if piece.kind == "class" and (not found or not _complete(plan, found[0], piece)):
        _sort_class(plan, piece, known=bool(found))
    elif len(found) > 1:
        raise RefusalError(
            Reason.AMBIGUOUS,
            f"several evolvable definitions are called {_shown(piece.name)};"
            " write the class that holds the one you mean",
        )
    elif found:
        plan.replaced.append((found[0], piece))
    elif enclosing:
        plan.bodies.append((*enclosing[0], piece))
    else:
        _sort_foreign(plan, piece)


def _named(targets: tuple[Piece, ...], piece: Piece) -> list[Piece]:
    """Evolvable pieces of the name; a later definition of the same name and class wins."""
    same = [
        t
        for t in targets
        if t.name == piece.name and (t.kind == "class") == (piece.kind == "class")
    ]
    owned = [t for t in same if t.owner == piece.owner] or (same if not piece.owner else [])
    return list({t.owner: t for t in owned}.values())


def _complete(plan: _Merge, old: Piece, new: Piece) -> bool:
    mine = {m.name for m in members(plan.source, old) if m.kind == "function"}
    return mine <= {m.name for m in members(plan.answer, new)}


def _sort_class(plan: _Merge, piece: Piece, *, known: bool) -> None:
    """Take the methods of a class whose other parts stay."""
    owners = [p for p in plan.parent.frozen if p.kind == "class" and p.name == piece.name]
    if not known and not owners:
        plan.helpers.append(piece)
        return
    for method in members(plan.answer, piece):
        if method.kind != "function":
            continue
        found = _named(plan.parent.targets, method)
        if found:
            plan.replaced.append((found[0], method))
        elif known:
            holder = next(
                t for t in plan.parent.targets if t.kind == "class" and t.name == piece.name
            )
            plan.methods.append((holder, method))
        else:
            _refuse_frozen(plan, method)


def _sort_foreign(plan: _Merge, piece: Piece) -> None:
    """A piece that the evolvable part does not have: frozen, or new."""
    same = [p for p in plan.parent.frozen if p.name == piece.name and not p.owner]
    if not same:
        plan.helpers.append(piece)
    else:
        _refuse_frozen(plan, piece)


def _refuse_frozen(plan: _Merge, piece: Piece) -> None:
    """Raise unless the piece repeats a frozen one, comments and annotations aside."""
    mine = tokens(plan.answer, piece.core)
    for frozen in plan.parent.frozen:
        if frozen.name == piece.name and tokens(plan.source, frozen.core) == mine:
            return
    if len(mine) <= 12 and mine[-1:] in ([b"pass"], [b"..."], [b"}"], [b";"]):
        return  # a stub that stands for the frozen one
    raise RefusalError(
        Reason.FROZEN,
        f"{_shown(piece.name)} lies outside the evolvable block and must not be changed;"
        " leave it out of the answer",
    )


def _rename(plan: _Merge) -> None:
    """Take a lone function of another name for the one that it must be, when that is plain."""
    mine = [t for t in plan.parent.targets if t.kind == "function"]
    theirs = [p for p in plan.helpers if p.kind == "function"]
    pairs = [
        (old, new)
        for old in mine
        for new in theirs
        if _version_of(new.name, old.name)
        or (
            len(mine) == len(theirs) == 1
            and signature(plan.source, old.core) == signature(plan.answer, new.core)
        )
    ]
    inner = [
        (region, node, new)
        for region, node in plan.parent.inner
        for new in theirs
        if _version_of(new.name, function_name(plan.source, node))
        or (len(theirs) == 1 and not mine
            and signature(plan.source, node).names == signature(plan.answer, new.core).names)
    ]  # fmt: skip
    if len(pairs) == 1 and not inner:
        plan.replaced.append(pairs[0])
        plan.helpers.remove(pairs[0][1])
    elif len(inner) == 1 and not pairs:
        plan.bodies.append(inner[0])
        plan.helpers.remove(inner[0][2])
    else:
        wanted = [_shown(t.name) for t in mine]
        wanted += [_shown(function_name(plan.source, n)) for _, n in plan.parent.inner]
        got = ", ".join(_shown(p.name) for p in theirs[:5])
        says = f"the answer defines {got}" if got else "the answer defines no function"
        raise RefusalError(
            Reason.ENTRY, f"{says}; write {' or '.join(wanted[:8]) or 'the evolvable block'}"
        )


def _version_of(name: bytes, wanted: bytes) -> bool:
    """Whether a name is `wanted` with a mark of a new version."""
    low = name.lower()
    tail = low.removeprefix(wanted.lower()).strip(b"_")
    head = low.removesuffix(wanted.lower()).strip(b"_")
    marks = (b"new", b"improved", b"better", b"optimized", b"optimised", b"updated", b"modified")
    return (tail != low and (tail.strip(b"v").isdigit() or tail in marks)) or (
        head != low and head in marks
    )


def _new_imports(plan: _Merge) -> list[bytes]:
    """Imports of the answer that the parent has not yet, one name each."""
    held = {
        line
        for p in (*plan.parent.frozen, *plan.parent.targets)
        if p.kind == "import"
        for line in imported(plan.source, p)
    }
    wanted = [
        line for p in pieces(plan.answer) if p.kind == "import" for line in imported(plan.answer, p)
    ]
    return [line for line in dict.fromkeys(wanted) if line not in held]


def _changes(plan: _Merge) -> list[Change]:
    """Turn the plan into changes; helpers and imports go before the first piece replaced."""
    source = plan.source
    at_top = [
        (old, new)
        for old, new in plan.replaced
        if not old.owner and _region(source, old.node.begin) is not None and not _inside_class(old)
    ]
    holder = at_top[0][0] if at_top else _outer(plan)
    before = _preamble(plan) if plan.helpers or plan.imports else []
    nest = bool(before) and holder is None
    changes: list[Change] = []
    for index, (old, new) in enumerate(plan.replaced):
        inner = before if nest and index == 0 else []
        changes.append(_replacement(plan, old, new, inner))
    for index, (region, node, new) in enumerate(plan.bodies):
        inner = before if nest and not plan.replaced and index == 0 else []
        text = region_body(source, region, node, plan.answer, new.core, inner)
        changes.append(Change(*region, text))
    for holder_class, method in plan.methods:
        body = holder_class.core.child("body")
        indent = indentation(source, body) if body is not None else b"    "
        text = b"\n\n" + b"\n".join(moved(_lines_of(plan.answer, method.node), indent))
        changes.append(Change(holder_class.node.end, holder_class.node.end, text))
    if before and holder is not None:
        changes.append(_before(source, holder, before))
    return _merged(changes)


def _inside_class(piece: Piece) -> bool:
    return any(
        a.type in ("class_definition", "field_declaration_list") for a in piece.node.ancestors()
    )


def _outer(plan: _Merge) -> Piece | None:
    """The evolvable class before which helpers of a method can stand."""
    owners = {old.owner for old, _ in plan.replaced} | {h.name for h, _ in plan.methods}
    for target in plan.parent.targets:
        if target.kind == "class" and target.name in owners and not target.owner:
            return target
    return None


def _region(source: Source, position: int) -> tuple[int, int] | None:
    return next((r for r in source.regions if r[0] <= position < r[1]), None)


def _lines_of(source: Source, node: Node) -> list[bytes]:
    """The lines of a node, the first with its indentation."""
    indent = indent_of(source, node)
    return ((indent or b"") + source.of(node)).split(b"\n")


def _preamble(plan: _Merge) -> list[bytes]:
    """Imports and helpers as lines without indentation."""
    native = plan.source.table.family != "python"
    if native and plan.bodies and not plan.replaced:
        what = "an #include" if plan.imports else "a further function"
        raise RefusalError(
            Reason.IMPORT if plan.imports else Reason.ENTRY,
            f"the evolvable block lies within a function, where {what} cannot stand;"
            " write everything within the function, with what is included already",
        )
    lines = list(plan.imports)
    for piece in plan.helpers:
        if lines and piece.kind != "constant":
            lines.append(b"")
        lines += moved(_lines_of(plan.answer, piece.node), b"")
        if piece.kind != "constant":
            lines.append(b"")
    return lines


def _before(source: Source, piece: Piece, lines: list[bytes]) -> Change:
    start = source.text.rfind(b"\n", 0, piece.node.begin) + 1
    region = _region(source, piece.node.begin)
    start = max(start, region[0]) if region else start
    return Change(start, start, b"\n".join(lines) + b"\n")


def _replacement(plan: _Merge, old: Piece, new: Piece, inner: list[bytes]) -> Change:
    """One piece in the place of another; the parent's decorators stay unless new ones came."""
    source, answer = plan.source, plan.answer
    keep = old.node is not old.core and new.node is new.core
    place = old.core if keep else old.node
    indent = indent_of(source, place) or b""
    lines = _with_preamble(answer, new, inner) if inner else _lines_of(answer, new.node)
    text = b"\n".join(moved(lines, indent))
    if new.name != old.name:
        text = _renamed(text, new.name, old.name)
    return Change(place.begin, place.end, text[len(indent) :] if text.startswith(indent) else text)


def _renamed(text: bytes, old: bytes, new: bytes) -> bytes:

    return re.sub(rb"\b" + re.escape(old) + rb"\b", lambda _: new, text)


def _with_preamble(answer: Source, new: Piece, inner: list[bytes]) -> list[bytes]:
    """A Python function with helpers and imports at the top of its body."""
    body = new.core.child("body")
    if body is None or answer.table.family != "python":
        raise RefusalError(Reason.ENTRY, "a further function cannot stand here; write one only")
    indent = indentation(answer, body)
    head = answer.text[new.node.begin : body.begin].rstrip()
    lead = indent_of(answer, new.node) or b""
    return [
        *(lead + head).split(b"\n"),
        *moved(inner, indent),
        *moved(body_lines(answer, new.core), indent),
    ]


def _merged(changes: list[Change]) -> list[Change]:
    """Sorted; of two changes that overlap the larger stays, insertions at one place are joined."""
    kept: list[Change] = []
    for change in sorted(changes, key=lambda c: (c.begin, c.end)):
        if kept and change.begin < kept[-1].end:
            kept[-1] = max(kept[-1], change, key=lambda c: c.end - c.begin)
        elif kept and change[:2] == kept[-1][:2]:
            kept[-1] = Change(*change[:2], kept[-1].text + change.text)
        else:
            kept.append(change)
    return kept
