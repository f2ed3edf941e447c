"""The code of register tiles: a nest of loops over a contraction, written anew."""

from __future__ import annotations

from dataclasses import dataclass

from breeder.proposers.edits.contractions import Contraction, scalar_name, scalar_value
from breeder.proposers.edits.counted import Counted, declared
from breeder.proposers.edits.layout import Line
from breeder.proposers.edits.rewriting import rewritten
from breeder.proposers.trees import Node, Source

_UNROLL = b"#pragma GCC unroll 16"
_SIMD = b"#pragma omp simd"


@dataclass(frozen=True, slots=True)
class Tile:
    """Names, sizes and what each name of the nest becomes in a tile.

    Attributes:
        found: the contraction.
        rows, columns: names of the sizes; `row`, `column`: counters within a tile.
        tile: the sums.
        other: stem of the names of copies, or counter of the terms that fill no lanes.
        size: numbers of rows and columns.
        copied: operands that are copied, with the names of their copies.
        wide: clause for the width of vectors, with a space before it.
    """

    source: Source
    found: Contraction
    rows: bytes
    columns: bytes
    row: bytes
    column: bytes
    tile: bytes
    other: bytes
    size: tuple[int, int]
    copied: tuple[tuple[Node, bytes], ...] = ()
    wide: bytes = b""

    def head(self, loop: Counted, start: bytes = b"", *, step: bytes = b"") -> bytes:
        """The head of a loop: from its own start, or going on with a counter from `start` on."""
        bound = self.bound(loop)
        if step:
            return b"for (%s; %s + %s <= %s; %s += %s) {" % (
                start, loop.name, step, bound, loop.name, step
            )  # fmt: skip
        return b"for (%s; %s < %s; %s++) {" % (start, loop.name, bound, loop.name)

    def begun(self, loop: Counted) -> bytes:
        """The declaration of a counter."""
        return b"%s %s = %s" % (loop.type, loop.name, self.start(loop))

    def start(self, loop: Counted) -> bytes:
        """Where a loop starts, as an operand."""
        assert loop.start is not None
        return _operand(self.source, loop.start)

    def bound(self, loop: Counted) -> bytes:
        """Where a loop ends, as an operand."""
        return _operand(self.source, loop.bound)

    def shifted(self, node: Node, *, row: bool = True, column: bool = False) -> bytes:
        """The text of a node for a row and a column of the tile."""
        names: dict[bytes, bytes | Node] = dict(self.found.local)
        if row:
            names[self.found.rows.name] = b"(%s + %s)" % (self.found.rows.name, self.row)
        moving = self.found.columns or self.found.terms
        if column:
            names[moving.name] = b"(%s + %s)" % (moving.name, self.column)
        return rewritten(self.source, node, names)

    def left(self, loop: Counted) -> list[bytes]:
        """The statements of a loop for a row of the tile, with their own locals."""
        statements = loop.statements(self.source)
        own = declared(self.source, statements)
        names: dict[bytes, bytes | Node] = {
            name: value for name, value in self.found.local.items() if name not in own
        }
        names[self.found.rows.name] = b"(%s + %s)" % (self.found.rows.name, self.row)
        return [rewritten(self.source, one, names) for one in statements]

    def value(self) -> bytes:
        """What is added to a sum of the tile, read from copies where there are some."""
        node, position = self.found.value, self.found.value.begin
        parts: list[bytes] = []
        for access, name in self.copied:
            parts += [self._between(position, access.begin, node), self.copy(name)]
            position = access.end
        if not parts:
            return self.shifted(node, column=True)
        return b"".join([*parts, self._between(position, node.end, node)])

    def copy(self, name: bytes) -> bytes:
        """An element of a copy: panels of columns, term by term."""
        columns, terms = self.found.columns, self.found.terms
        assert columns is not None
        return b"%s[%s * %s + %s * %s + %s]" % (
            name, self.behind(columns), self.length(terms), self.behind(terms), self.columns,
            self.column,
        )  # fmt: skip

    def length(self, loop: Counted) -> bytes:
        """The number of iterations of a loop."""
        start, bound = self.start(loop), self.bound(loop)
        return bound if start == b"0" else b"(%s - %s)" % (bound, start)

    def behind(self, loop: Counted) -> bytes:
        """The number of iterations of a loop that are done."""
        start = self.start(loop)
        return loop.name if start == b"0" else b"(%s - %s)" % (loop.name, start)

    def _between(self, begin: int, end: int, node: Node) -> bytes:
        """A piece of an expression, rewritten token by token."""
        pieces = [n for n in node.walk() if not n.children and begin <= n.begin and n.end <= end]
        parts: list[bytes] = []
        position = begin
        for piece in pieces:
            parts += [self.source.text[position : piece.begin], self.shifted(piece, column=True)]
            position = piece.end
        return b"".join([*parts, self.source.text[position:end]])


def tiled(tile: Tile) -> list[Line]:
    """The lines of a nest over rows and columns."""
    found = tile.found
    rows, columns, terms = found.rows, found.columns, found.terms
    assert columns is not None
    lines: list[Line] = [
        (1, b"const int %s = %d;" % (tile.rows, tile.size[0])),
        (1, b"const int %s = %d;" % (tile.columns, tile.size[1])),
    ]
    for access, name in tile.copied:
        lines += _copying(tile, access, name)
    lines += [
        (1, tile.begun(rows) + b";"),
        (1, tile.head(rows, step=tile.rows)),
        (2, tile.begun(columns) + b";"),
        (2, tile.head(columns, step=tile.columns)),
        *_opened(tile),
        (3, tile.head(terms, tile.begun(terms))),
        *_for_each(tile, 4, _adding(tile, tile.value())),
        (3, b"}"),
        *_closed(tile),
        (2, b"}"),
        (2, tile.head(columns)),
    ]
    return [*lines, *_remainders(tile, columns), (1, b"}")]


def _remainders(tile: Tile, columns: Counted) -> list[Line]:
    """What is left of the columns of a tile's rows, then of the rows."""
    found = tile.found
    rows, terms = found.rows, found.terms
    if found.scalar is not None:
        return [
            (3, _each_row(tile)),
            *((4, text) for text in tile.left(columns)),
            (3, b"}"),
            (2, b"}"),
            (1, b"}"),
            (1, tile.head(rows)),
            *((2, tile.source.of(one)) for one in rows.statements(tile.source)),
        ]
    return [
        (3, tile.head(terms, tile.begun(terms))),
        (4, _each_row(tile)),
        (5, tile.shifted(found.statement)),
        (4, b"}"),
        (3, b"}"),
        (2, b"}"),
        (1, b"}"),
        (1, tile.head(rows)),
        (2, tile.head(terms, tile.begun(terms))),
        (3, tile.head(columns, tile.begun(columns))),
        (4, tile.shifted(found.statement, row=False)),
        (3, b"}"),
        (2, b"}"),
    ]


def laned(tile: Tile) -> list[Line]:
    """The lines of a nest over rows alone: sums in lanes."""
    found = tile.found
    rows, terms, scalar = found.rows, found.terms, found.scalar
    assert scalar is not None
    name = scalar_name(tile.source, scalar)
    total = b"%s += %s[%s][%s];" % (name, tile.tile, tile.row, tile.column)
    each_lane = b"for (int %s = 0; %s < %s; %s++) {"
    each_left = b"for (%s %s = %s; %s < %s; %s++) {"
    left = (terms.type, tile.other, terms.name, tile.other, tile.bound(terms), tile.other)
    return [
        (1, b"const int %s = %d;" % (tile.rows, tile.size[0])),
        (1, b"const int %s = %d;" % (tile.columns, tile.size[1])),
        (1, tile.begun(rows) + b";"),
        (1, tile.head(rows, step=tile.rows)),
        (2, _declared(tile, _type(tile, scalar)) + b" = {};"),
        (2, tile.begun(terms) + b";"),
        (2, tile.head(terms, step=tile.columns)),
        *_for_each(tile, 3, _adding(tile, tile.shifted(found.value, column=True))),
        (2, b"}"),
        (2, _each_row(tile)),
        (3, tile.shifted(scalar)),
        (3, each_lane % (tile.column, tile.column, tile.columns, tile.column)),
        (4, total),
        (3, b"}"),
        (3, each_left % left),
        (
            4,
            rewritten(
                tile.source,
                found.statement,
                {
                    **found.local,
                    rows.name: b"(%s + %s)" % (rows.name, tile.row),
                    terms.name: tile.other,
                },
            ),
        ),
        (3, b"}"),
        *((3, tile.shifted(one)) for one in found.after),
        (2, b"}"),
        (1, b"}"),
        (1, tile.head(rows)),
        *((2, tile.source.of(one)) for one in rows.statements(tile.source)),
        (1, b"}"),
    ]


def _copying(tile: Tile, access: Node, name: bytes) -> list[Line]:
    """Copy an operand: panels of as many columns as a tile has, term by term."""
    found = tile.found
    columns, terms = found.columns, found.terms
    assert columns is not None
    first: dict[bytes, bytes | Node] = {
        **found.local,
        columns.name: tile.start(columns),
        terms.name: tile.start(terms),
    }
    kind = b"decltype(0 + %s)" % rewritten(tile.source, access, first)
    # One more of each, lest there be an array of no elements.
    count = b"(%s + 1) * (%s + 1)" % (tile.length(columns), tile.length(terms))
    return [
        (1, b"%s %s[%s];" % (kind, name, count)),
        (1, tile.head(columns, tile.begun(columns), step=tile.columns)),
        (2, tile.head(terms, tile.begun(terms))),
        (
            3,
            b"for (int %s = 0; %s < %s; %s++) {"
            % (tile.column, tile.column, tile.columns, tile.column),
        ),
        (4, b"%s = %s;" % (tile.copy(name), tile.shifted(access, row=False, column=True))),
        (3, b"}"),
        (2, b"}"),
        (1, b"}"),
    ]


def _opened(tile: Tile) -> list[Line]:
    """Declare a tile and begin its sums."""
    found = tile.found
    if found.scalar is not None:
        kind, value = _type(tile, found.scalar), scalar_value(found.scalar)
        assert value is not None
        begin = tile.shifted(value, column=True)
    else:
        begin = tile.shifted(found.target, column=True)
        assert found.columns is not None
        kind = b"decltype(0 + %s)" % rewritten(tile.source, found.target, found.local)
    return [(3, _declared(tile, kind) + b";"), *_for_each(tile, 3, _put(tile, begin))]


def _closed(tile: Tile) -> list[Line]:
    """Do with every sum of a tile what was done with one."""
    found = tile.found
    if found.scalar is None:
        target = tile.shifted(found.target, column=True)
        text = b"%s = %s[%s][%s];" % (target, tile.tile, tile.row, tile.column)
        return _for_each(tile, 3, [text])
    assert found.columns is not None
    names: dict[bytes, bytes | Node] = {
        **found.local,
        found.rows.name: b"(%s + %s)" % (found.rows.name, tile.row),
        found.columns.name: b"(%s + %s)" % (found.columns.name, tile.column),
        scalar_name(tile.source, found.scalar): b"%s[%s][%s]" % (tile.tile, tile.row, tile.column),
    }
    return _for_each(tile, 3, [rewritten(tile.source, one, names) for one in found.after])


def _type(tile: Tile, scalar: Node) -> bytes:
    kind = scalar.child("type")
    assert kind is not None
    return tile.source.of(kind)


def _declared(tile: Tile, kind: bytes) -> bytes:
    return b"%s %s[%s][%s]" % (kind, tile.tile, tile.rows, tile.columns)


def _put(tile: Tile, value: bytes) -> list[bytes]:
    return [b"%s[%s][%s] = %s;" % (tile.tile, tile.row, tile.column, value)]


def _adding(tile: Tile, value: bytes) -> list[bytes]:
    assignment = tile.found.statement.named_children()[0]
    operator = assignment.child("operator")
    assert operator is not None
    sign = tile.source.of(operator)
    return [b"%s[%s][%s] %s %s;" % (tile.tile, tile.row, tile.column, sign, value)]


def _each_row(tile: Tile) -> bytes:
    return b"for (int %s = 0; %s < %s; %s++) {" % (tile.row, tile.row, tile.rows, tile.row)


def _for_each(tile: Tile, depth: int, body: list[bytes]) -> list[Line]:
    """Loops over the rows and columns of a tile, unrolled and in lanes."""
    column = b"for (int %s = 0; %s < %s; %s++) {" % (
        tile.column, tile.column, tile.columns, tile.column
    )  # fmt: skip
    return [
        (0, _UNROLL),
        (depth, _each_row(tile)),
        (0, _SIMD + tile.wide),
        (depth + 1, column),
        *((depth + 2, text) for text in body),
        (depth + 1, b"}"),
        (depth, b"}"),
    ]


def _operand(source: Source, node: Node) -> bytes:
    text = source.of(node)
    return b"(" + text + b")" if node.type == "binary_expression" else text
