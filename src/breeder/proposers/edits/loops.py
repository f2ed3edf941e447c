"""Edits of loop nests in C programs: block, interchange, fuse, split.

The classical loop transformations (Wolfe, High Performance Compilers for Parallel Computing, 1996,
chapter 9). Blocking keeps the order of all iterations and so the meaning. The others change that
order; whether results depend on it is left to the evaluation, like everything else a proposer does.
"""

from __future__ import annotations

from breeder.proposers.edits.change import Change, Edit, Material, short
from breeder.proposers.edits.counted import (
    JUMPS,
    Counted,
    begun,
    changed,
    counted,
    counted_loops,
    declared,
    is_plain,
    names,
)
from breeder.proposers.edits.layout import indent_of, step_of
from breeder.proposers.edits.rewriting import fresh
from breeder.proposers.trees import Node, Source

_SIZES = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
_FUSED_ON = 0.8  # chance that a further neighbour is taken in, too
_LEAVING = frozenset({"break_statement", "goto_statement"})


def block_loop(material: Material) -> Edit | None:
    """Take the iterations of a loop in blocks of a named power of two, the last one shorter."""
    source = material.source
    c = source.table.name == "c"
    loops = [
        loop
        for loop in counted_loops(source, material.sites.statements)
        if loop.step == b"1" and not loop.jumps(_LEAVING) and not (c and not loop.type)
    ]
    if not loops:
        return None
    loop = material.rng.choice(loops)
    size = material.rng.choice(_SIZES)
    note = f"block loop {source.place(loop.node)}: {short(loop.head(source))} by {size}"
    return Edit((Change(loop.node.begin, loop.node.end, _blocked(source, loop, size)),), note)


def interchange_loops(material: Material) -> Edit | None:
    """Swap the heads of two loops of which the outer one repeats nothing but the inner one."""
    source = material.source
    pairs = []
    for outer in counted_loops(source, material.sites.statements):
        within = outer.statements(source)
        inner = counted(source, within[0]) if len(within) == 1 else None
        if inner is not None and _independent(source, outer, inner):
            pairs.append((outer, inner))
    if not pairs:
        return None
    outer, inner = material.rng.choice(pairs)
    first, second = outer.head(source), inner.head(source)
    note = f"interchange loops {source.place(outer.node)}: {short(first, 30)} <-> "
    return Edit(
        (
            Change(outer.node.begin, outer.node.begin + len(first), second),
            Change(inner.node.begin, inner.node.begin + len(second), first),
        ),
        note + short(second, 30),
    )


def fuse_loops(material: Material) -> Edit | None:
    """Join neighbouring loops over the same range into one.

    Pragmas before them are dropped; declarations between them move ahead, comments there go.
    """
    source = material.source
    loops = {
        id(node): loop
        for node in material.sites.statements
        if indent_of(source, node) is not None and (loop := counted(source, node)) is not None
    }
    pairs = []
    moved: list[Node] = []
    for first in loops.values():
        between, after = _behind(source, first)
        second = loops.get(id(after))
        if second is not None and _alike(source, first, second):
            pairs.append((first, second))
            moved += between
    if not pairs:
        return None
    run = list(material.rng.choice(pairs))
    own = declared(source, [s for one in run for s in one.statements(source)])
    for first, second in pairs:
        # Most often a whole row of neighbours becomes one loop.
        joins = first is run[-1] and not own & names(source, second.body)
        if joins and material.rng.random() < _FUSED_ON:
            run.append(second)
            own |= declared(source, second.statements(source))
    first, last = run[0], run[-1]
    indent = indent_of(source, first.node) or b""
    parts = [_inside(source, first), *(_inside(source, one).lstrip() for one in run[1:])]
    joint = source.newline + indent + step_of(source)
    begin = begun(source, first.node)
    ahead = [one for one in moved if begin < one.begin < last.node.begin]
    if any(not _may_pass(source, one, loop) for one in ahead for loop in run):
        return None
    lines = [source.of(one) for one in ahead]
    text = (source.newline + indent).join([*lines, _loop(source, first, joint.join(parts))])
    note = f"fuse {len(run)} loops {source.place(first.node)}: {short(first.head(source))}"
    return Edit((Change(begin, last.node.end, text),), note)


def split_loop(material: Material) -> Edit | None:
    """Make two loops of one, each with a part of the body (loop fission)."""
    source = material.source
    cuts = [
        (loop, at)
        for loop in counted_loops(source, material.sites.statements)
        if loop.start is not None and not loop.jumps(JUMPS)
        for at in _cuts(source, loop)
    ]
    if not cuts:
        return None
    loop, at = material.rng.choice(cuts)
    inside = source.text[loop.body.begin + 1 : loop.body.end - 1].rstrip()
    middle = at - loop.body.begin - 1
    parts = [_loop(source, loop, part) for part in (inside[:middle], inside[middle:])]
    indent = indent_of(source, loop.node) or b""
    note = f"split loop {source.place(loop.node)}: {short(loop.head(source))}"
    text = (source.newline + indent).join(parts)
    return Edit((Change(loop.node.begin, loop.node.end, text),), note)


def _blocked(source: Source, loop: Counted, size: int) -> bytes:
    """The text of a loop in blocks. The end of a block is found without overflow."""
    width, begin, end = fresh(source, b"block", b"begin", b"end")
    bound = source.of(loop.bound)
    if loop.bound.type == "binary_expression":
        bound = b"(" + bound + b")"
    if loop.type and loop.start is not None:
        kind, at = loop.type, begin
        head = b"for (%s %s = %s; %s < %s; %s += %s)"
        head %= (kind, begin, source.of(loop.start), begin, bound, begin, width)
        inner = b"%s %s = %s" % (kind, loop.name, begin)
    else:
        kind, at = b"auto", loop.name
        first = b"" if loop.start is None else b"%s = %s" % (loop.name, source.of(loop.start))
        head = b"for (%s; %s < %s;)" % (first, loop.name, bound)
        inner = b""
    limit = b"const %s %s = %s - %s > %s ? %s + %s : %s;"
    limit %= (kind, end, bound, at, width, at, width, bound)
    indent, n, step = indent_of(source, loop.node) or b"", source.newline, step_of(source)
    body = source.of(loop.body).replace(n, n + step)
    lines = [
        b"const %s %s = %d;" % (b"int" if kind == b"auto" else kind, width, size),
        head + b" {",
        step + limit,
        step + b"for (%s; %s < %s; %s++) %s" % (inner, loop.name, end, loop.name, body),
        b"}",
    ]
    return (n + indent).join(lines)


def _independent(source: Source, outer: Counted, inner: Counted) -> bool:
    """Whether the range of the inner loop is the same for every iteration of the outer one."""
    if not outer.type or not inner.type or outer.name == inner.name or outer.jumps(JUMPS):
        return False
    return outer.name not in inner.fixed(source) and inner.name not in outer.fixed(source)


def _alike(source: Source, first: Counted, second: Counted) -> bool:
    """Whether two loops run over the same range and may share a body."""
    if first.start is None or second.start is None or first.jumps(JUMPS) or second.jumps(JUMPS):
        return False
    ranges = [
        (loop.type, loop.name, source.of(start), source.of(loop.bound), loop.step)
        for loop, start in ((first, first.start), (second, second.start))
    ]
    own = declared(source, first.statements(source))
    return ranges[0] == ranges[1] and not own & names(source, second.body)


def _behind(source: Source, loop: Counted) -> tuple[list[Node], Node | None]:
    """Declarations behind a loop that may as well stand ahead of it, and what stands next."""
    between: list[Node] = []
    siblings = loop.node.parent.children if loop.node.parent is not None else []
    for node in siblings[loop.node.index + 1 :]:
        if node.type == "preproc_call" or node.type in source.table.comments:
            continue
        if node.type != "declaration" or not _may_pass(source, node, loop):
            return between, node
        between.append(node)
    return between, None


def _may_pass(source: Source, declaration: Node, loop: Counted) -> bool:
    """Whether a declaration may stand ahead of a loop before it, or stands there already.

    It begins with numbers or names that the loop leaves alone, and the loop knows none of its own.
    """
    if declaration.begin < loop.node.begin:
        return True
    values = [one.child("value") for one in declaration.all("declarator")]
    written = changed(source, loop.body) | {loop.name}
    if any(v is None or not is_plain(v) or names(source, v) & written for v in values):
        return False
    return not declared(source, [declaration]) & names(source, loop.node)


def _cuts(source: Source, loop: Counted) -> list[int]:
    """Where a body can be cut: its second part needs no name that the first one declares."""
    statements = loop.statements(source)
    found = []
    for k in range(1, len(statements)):
        own = declared(source, statements[:k])
        if not any(own & names(source, statement) for statement in statements[k:]):
            found.append(statements[k - 1].end)
    return found


def _inside(source: Source, loop: Counted) -> bytes:
    """The statements of a body with the line break before each."""
    if loop.body.type == "compound_statement":
        return source.text[loop.body.begin + 1 : loop.body.end - 1].rstrip()
    indent = indent_of(source, loop.node) or b""
    return source.newline + indent + step_of(source) + source.of(loop.body)


def _loop(source: Source, loop: Counted, inside: bytes) -> bytes:
    indent = indent_of(source, loop.node) or b""
    return loop.head(source) + b" {" + inside + source.newline + indent + b"}"
