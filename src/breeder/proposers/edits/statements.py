"""Edits of whole statements: delete, insert, copy, swap, wrap in a branch."""

from __future__ import annotations

from breeder.proposers.edits.adaptation import adapted
from breeder.proposers.edits.change import Change, Edit, Material, fitted, short
from breeder.proposers.edits.generation import condition, expression
from breeder.proposers.edits.layout import guarded, indent_of, reindented, whole_lines
from breeder.proposers.sites import sites
from breeder.proposers.trees import Node, Source

_LONGEST = 600

JUMPS = frozenset({"return_statement", "break_statement", "continue_statement", "raise_statement"})
"""Statements that would make whatever follows them in their block dead code."""


def delete_statement(material: Material) -> Edit | None:
    """Delete a statement that binds no name needed later."""
    statement = _choose(material)
    if statement is None or _is_last_return(statement):
        return None
    source = material.source
    if _binds_for_later(material, statement):
        return None
    note = f"delete statement {source.place(statement)}: {short(source.of(statement))}"
    if source.table.family == "python" and _alone(source, statement):
        return Edit((Change(statement.begin, statement.end, b"pass"),), note)
    begin, end = whole_lines(source, statement)
    return Edit((Change(begin, end, b""),), note)


def insert_statement(material: Material) -> Edit | None:
    """Insert an accumulation, a guarded assignment, or a new local that is used at once."""
    statement = _choose(material)
    if statement is None or indent_of(material.source, statement) is None:
        return None
    if material.rng.random() < 0.3:
        return _new_local(material, statement)
    name = _assignable(material, statement)
    value = expression(material, statement)
    if name is None or value is None:
        return None
    end = b"" if material.source.table.family == "python" else b";"
    sign = material.rng.choice((b"+=", b"-=", b"="))
    line = b"%s %s %s%s" % (name, sign, value, end)
    guard = condition(material, statement) if material.rng.random() < 0.5 else None
    if guard is not None:
        line = guarded(material.source, statement, guard, line)
    return _before(material, statement, line, "insert")


def copy_statement(material: Material) -> Edit | None:
    """Insert or substitute a statement taken from this program or an inspiration."""
    statement = _choose(material)
    if statement is None:
        return None
    donor = material.donor()
    candidates = [
        s for s in sites(donor).statements if s.end - s.begin < _LONGEST and s is not statement
    ]
    indent = indent_of(material.source, statement)
    if not candidates or indent is None:
        return None
    node = material.rng.choice(candidates)
    text = adapted(material, donor, node, statement)
    if _redeclares(material, donor, node, statement):
        return None
    if text is None or node.type in JUMPS:
        return None
    text = reindented(text, indent_of(donor, node) or b"", indent, material.source)
    if material.rng.random() < 0.4 and not _binds_for_later(material, statement):
        source = material.source
        note = f"replace statement {source.place(statement)}: {short(source.of(statement), 30)}"
        change = Change(statement.begin, statement.end, text)
        return Edit((change,), f"{note} -> {short(text, 30)}")
    return _before(material, statement, text, "copy")


def swap_statements(material: Material) -> Edit | None:
    """Swap two neighbouring statements of a block."""
    first = _choose(material)
    if first is None or first.parent is None:
        return None
    block = first.parent.named_children()
    after = [
        s for s in block if s.begin > first.begin and s.type in material.source.table.statements
    ]
    if not after:
        return None
    second = after[0]
    source = material.source
    a, b = source.of(first), source.of(second)
    if a == b or not source.evolvable(second) or _bound_here(material, first, second):
        return None
    changes = (Change(first.begin, first.end, b), Change(second.begin, second.end, a))
    return Edit(
        changes, f"swap statements {source.place(first)}: {short(a, 30)} <-> {short(b, 30)}"
    )


def wrap_statement(material: Material) -> Edit | None:
    """Make a statement conditional."""
    statement = _choose(material)
    if statement is None or statement.end - statement.begin > _LONGEST:
        return None
    if statement.type == "declaration" or _is_last_return(statement):
        return None
    source = material.source
    guard = condition(material, statement)
    if (
        guard is None
        or indent_of(source, statement) is None
        or _binds_for_later(material, statement)
    ):
        return None
    body = source.of(statement)
    text = guarded(source, statement, guard, body)
    note = f"wrap statement {source.place(statement)}: if {short(guard, 30)}: {short(body, 30)}"
    return Edit((Change(statement.begin, statement.end, text),), note)


def _choose(material: Material) -> Node | None:
    statements = material.sites.statements
    return material.rng.choice(statements) if statements else None


def _is_last_return(statement: Node) -> bool:
    """Whether a function would no longer return a value without the statement."""
    block = statement.parent
    return (
        statement.type == "return_statement"
        and block is not None
        and block.field == "body"
        and block.named_children()[-1] is statement
    )


def _alone(source: Source, statement: Node) -> bool:
    block = statement.parent
    if block is None or block.type == "module":
        return False
    return sum(1 for c in block.named_children() if c.type not in source.table.comments) == 1


def _bound_names(source: Source, statement: Node) -> set[bytes]:
    """Names that a statement binds in its own block."""
    if source.table.family == "python":
        nodes = [n for n in statement.walk() if n.type == "assignment"]
    elif statement.type == "declaration":
        nodes = [statement]
    else:
        return set()
    sides = [s for n in nodes for s in (n.all("left") or n.all("declarator"))]
    return {source.of(i) for s in sides for i in s.walk() if i.type == "identifier"}


def _redeclares(material: Material, donor: Source, node: Node, target: Node) -> bool:
    """Whether a declaration would clash with a name of the place it is copied to."""
    if donor.table.family == "python":
        return False
    function = material.source.function(target) or material.source.root
    taken = {b.name for b in material.scope.bindings if function.contains(b.holder)}
    return bool(_bound_names(donor, node) & taken)


def _bound_here(material: Material, first: Node, second: Node) -> bool:
    """Whether the second statement reads a name that only the first one binds."""
    names = _bound_names(material.source, first)
    names -= set(material.scope.visible(first))
    source = material.source
    return any(source.of(r) in names for r in material.scope.reads if second.contains(r))


def _binds_for_later(material: Material, statement: Node) -> bool:
    source = material.source
    names = _bound_names(source, statement)
    if not names:
        return False
    names -= set(material.scope.visible(statement))
    within = source.function(statement) or source.root
    return any(
        source.of(r) in names and r.begin >= statement.end and within.contains(r)
        for r in material.scope.reads
    )


def _assignable(material: Material, statement: Node) -> bytes | None:
    """A number visible at a statement that was assigned, not passed in, in its function."""
    function = material.source.function(statement)
    names = material.scope.numbers(statement)
    visible = material.scope.visible(statement)
    local = [
        n
        for n in names
        if function is not None
        and function.contains(visible[n].holder)
        and visible[n].holder is not function
        and visible[n].holder.type not in {"for_statement", "for_range_loop"}
    ]
    return material.rng.choice(local) if local else None


def _before(material: Material, statement: Node, line: bytes, what: str) -> Edit | None:
    source = material.source
    indent = indent_of(source, statement)
    if indent is None:
        return None
    text = line + source.newline + indent
    note = f"{what} statement {source.place(statement)}: {short(line)}"
    return Edit((Change(statement.begin, statement.begin, text),), note)


def _new_local(material: Material, statement: Node) -> Edit | None:
    source = material.source
    value = expression(material, statement)
    numbers = [n for n in material.sites.groups.get("number", []) if statement.contains(n)]
    direct = [n for n in numbers if _same_block(source, n, statement)]
    if value is None or not direct:
        return None
    target = material.rng.choice(direct)
    used = {b.name for b in material.scope.bindings}
    name = next(n for k in range(1, 999) if (n := b"term%d" % k) not in used)
    python = source.table.family == "python"
    line = b"%s = %s" % (name, value) if python else b"const double %s = %s;" % (name, value)
    sign = material.rng.choice((b"+", b"-", b"*"))
    combined = b"%s %s %s" % (source.of(target), sign, name)
    if material.rng.random() < 0.5:
        combined = name
    changes = (
        Change(
            statement.begin,
            statement.begin,
            line + source.newline + (indent_of(source, statement) or b""),
        ),
        Change(target.begin, target.end, fitted(combined, target, atom=combined == name)),
    )
    return Edit(changes, f"insert local {source.place(statement)}: {short(line)}")


def _same_block(source: Source, node: Node, statement: Node) -> bool:
    """Whether a node belongs to the statement itself and not to a block within it."""
    for ancestor in node.ancestors():
        if ancestor is statement:
            return True
        if ancestor.type in source.table.blocks:
            return False
    return False
