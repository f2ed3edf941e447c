"""Register tiles for contractions in C programs: several rows and columns are summed up together.

A tile of sums stays in registers while all terms are added, so that each operand that was loaded
serves a whole row or column of the tile; operands that lie apart are copied side by side first
(Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008; copying: Lam,
Rothberg and Wolf, 1991). Without columns, sums are split into lanes. Sums are taken in another
order, and an element may be read before another is written; whether results depend on that is left
to the evaluation. Sizes of tiles are named constants, so that they can be tuned.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from breeder.proposers.edits.change import Change, Edit, Material, short
from breeder.proposers.edits.contractions import Contraction, contractions
from breeder.proposers.edits.counted import names
from breeder.proposers.edits.hints import WIDTHS
from breeder.proposers.edits.layout import laid_out
from breeder.proposers.edits.rewriting import (
    accesses,
    fresh,
    is_contiguous,
    mentions,
)
from breeder.proposers.edits.tile_code import Tile, laned, tiled
from breeder.proposers.trees import Node, Source

_ROWS = (2, 4, 4, 6, 8, 8, 12)
_COLUMNS = (16, 32, 32, 64)
_LANED_ROWS = (1, 2, 4, 4, 8)
_LANES = (16, 32, 64)
_ROOM = (1, 2, 4, 8)  # tiles that a block is raised to
_COPIED = 0.85  # chance that operands which lie apart are copied
_COPIED_ANYWAY = 0.25  # the same for those that lie side by side
_STEMS = (b"rows", b"columns", b"row", b"column", b"tile", b"packed")
_LANED_STEMS = (b"rows", b"lanes", b"row", b"lane", b"tile", b"rest")


def tile_contraction(material: Material) -> Edit | None:
    """Sum up a tile of rows and columns at a time, or several rows in lanes."""
    source, rng = material.source, material.rng
    every = [one for one in contractions(source, material.sites) if not _is_tile(source, one)]
    if source.table.name == "c":  # which has no word for the type of an element that parses here
        every = [one for one in every if one.scalar is not None]
    if not every:
        return None
    found = rng.choices(every, [1 if one.columns is None else 4 for one in every])[0]
    columns = found.columns is not None
    size = (
        rng.choice(_ROWS if columns else _LANED_ROWS),
        rng.choice(_COLUMNS if columns else _LANES),
    )
    rows, across, row, column, name, other = fresh(source, *(_STEMS if columns else _LANED_STEMS))
    wide = rng.choice(WIDTHS)
    tile = Tile(source, found, rows, across, row, column, name, other, size, wide=wide)
    if columns and source.table.name != "c":
        tile = replace(tile, copied=_copied(material, tile))
    lines = tiled(tile) if columns else laned(tile)
    node = found.outer.node
    text = laid_out(source, node, lines)
    what = f"{size[0]} x {size[1]}"
    more = f", {len(tile.copied)} copied" if tile.copied else ""
    more += f",{wide.decode()}" if wide else ""
    note = f"tile sums {source.place(node)}: {short(source.of(found.statement))} by {what}{more}"
    changes = (Change(node.begin, node.end, text), *_room(material, found, size))
    return Edit(changes, note)


def _is_tile(source: Source, found: Contraction) -> bool:
    """Whether a loop over rows or columns is short and fixed, as those within a tile are."""
    for loop in (found.rows, found.columns):
        bound = loop.bound if loop is not None else None
        if bound is not None and bound.type == "identifier":
            bound = next(iter(_values(source).get(source.of(bound), [])), bound)
        if bound is not None and bound.type == "number_literal":
            return True
    return False


def _room(material: Material, found: Contraction, size: tuple[int, int]) -> list[Change]:
    """Raise constants that keep the loops of a nest shorter than a tile."""
    source, rng = material.source, material.rng
    changes: dict[int, Change] = {}
    for loop, least in ((found.rows, size[0]), (found.columns or found.terms, size[1])):
        for literal in _limits(source, loop.bound):
            text = source.of(literal)
            if text.isdigit() and 0 < int(text) < least and not found.outer.node.contains(literal):
                raised = b"%d" % (least * rng.choice(_ROOM))
                changes[literal.begin] = Change(literal.begin, literal.end, raised)
    return list(changes.values())


def _limits(source: Source, bound: Node) -> list[Node]:
    """The evolvable literals that a bound is made of, by way of constants and locals."""
    values = _values(source)
    found, seen, waiting = [], set[bytes](), [bound]
    while waiting:
        node = waiting.pop()
        for name in sorted(names(source, node) - seen):
            seen.add(name)
            waiting += values.get(name, [])
        if node.type == "number_literal" and source.evolvable(node):
            found.append(node)
    return found


@lru_cache(maxsize=64)
def _values(source: Source) -> dict[bytes, list[Node]]:
    """What names of a file are declared to be: plain names only."""
    found: dict[bytes, list[Node]] = {}
    for node in source.root.walk():
        name, value = node.child("declarator"), node.child("value")
        if node.type == "init_declarator" and name is not None and value is not None:
            found.setdefault(source.of(name), []).append(value)
    return found


def _copied(material: Material, tile: Tile) -> tuple[tuple[Node, bytes], ...]:
    """Operands that do not depend on the row and are to be copied, in the order of the text."""
    found, source = tile.found, material.source
    columns = found.columns
    assert columns is not None
    chosen: list[tuple[Node, bytes]] = []
    for access in accesses(found.value):
        if mentions(source, access, found.rows.name, found.local):
            continue
        if not mentions(source, access, columns.name, found.local):
            continue
        side_by_side = is_contiguous(source, access, columns.name, found.local)
        if material.rng.random() < (_COPIED_ANYWAY if side_by_side else _COPIED):
            suffix = b"abcdefgh"[len(chosen) : len(chosen) + 1]
            chosen.append((access, tile.other + suffix))
    return tuple(chosen)
