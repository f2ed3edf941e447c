"""Functions that a task calls: they keep their names and can be called as before."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from breeder.proposers.llm.units import Piece, identifiers, layout, signature
from breeder.proposers.llm.verdicts import Reason, RefusalError
from breeder.proposers.proposer import Grammar
from breeder.proposers.trees import Source, encode, sources


def entry_names(files: Mapping[str, str], grammar: Grammar) -> frozenset[str]:
    """Names in the evolvable blocks that the rest depends on, by name.

    These are the names that frozen text uses. Where it uses none (the evaluator calls the function
    itself), they are the functions that no other evolvable function calls.
    """
    found = sources(files, grammar)
    return frozenset(
        name.decode(errors="replace")
        for source in found.values()
        for name in entries_of(source, found.values())
    )


def entries_of(source: Source, everything: Collection[Source]) -> set[bytes]:
    """The names of one file that the task needs; see `entry_names`."""
    targets = [t for t in layout(source).targets if t.name and not t.owner]
    names = {t.name for t in targets}
    used = set[bytes]()
    for other in everything:
        frozen = [p for p in layout(other).frozen if p.node]
        for piece in frozen:
            used |= _outside(other, piece)
    if names & used:
        return names & used
    called = set[bytes]().union(
        *(identifiers(source, t.node) - {t.name} for t in targets if t.kind != "import")
    )
    return {t.name for t in targets if t.kind == "function"} - called


def _outside(source: Source, piece: Piece) -> set[bytes]:
    """Names in a frozen piece, those within regions left out."""
    if not any(piece.node.begin < b and e <= piece.node.end for b, e in source.regions):
        return identifiers(source, piece.node)
    found = set[bytes]()
    stack = list(piece.node.children)
    while stack:
        node = stack.pop()
        if source.evolvable(node):
            continue
        if any(node.begin < e and b < node.end for b, e in source.regions):
            stack += node.children
        else:
            found |= identifiers(source, node)
    return found


def check_entries(
    files: Mapping[str, str],
    parent: Mapping[str, str],
    grammar: Grammar,
    entries: Collection[str] = (),
) -> None:
    """Check that a child still has what the task calls, callable as before.

    Raises:
        RefusalError: a name is gone, or its parameters no longer fit the calls.
    """
    before, after = sources(parent, grammar), sources(files, grammar)
    for path, source in before.items():
        child = after.get(path)
        if child is None or files[path] == parent[path]:
            continue
        wanted = entries_of(source, before.values()) | {encode(name) for name in entries}
        mine = _top(source)
        theirs = _top(child)
        for name in sorted(wanted & mine.keys()):
            _check(source, mine[name], child, theirs.get(name))


def _top(source: Source) -> dict[bytes, Piece]:
    return {t.name: t for t in layout(source).targets if t.name and not t.owner}


def _check(source: Source, old: Piece, child: Source, new: Piece | None) -> None:
    name = old.name.decode(errors="replace")
    if new is None:
        raise RefusalError(Reason.ENTRY, f"the task needs {name}, which is gone; keep it")
    if old.kind != "function" or new.kind != "function":
        return
    before, after = signature(source, old.core), signature(child, new.core)
    if not after.serves(before):
        raise RefusalError(
            Reason.ENTRY,
            f"the task calls {name}({before}), which {name}({after}) does not fit;"
            " keep its parameters" + (" and types" if before.types else ""),
        )
