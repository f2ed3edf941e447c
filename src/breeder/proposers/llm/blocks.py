"""Answers that hold a whole block or file, with or without markers, or bare statements."""

from __future__ import annotations

from collections.abc import Sequence

from breeder.proposers.edits.change import Change
from breeder.proposers.edits.layout import indent_of
from breeder.proposers.llm.bodies import indentation, moved, region_text
from breeder.proposers.llm.entries import entries_of
from breeder.proposers.llm.units import (
    Layout,
    Piece,
    identifiers,
    imported,
    layout,
    pieces,
    tokens,
)
from breeder.proposers.llm.verdicts import Reason, RefusalError
from breeder.proposers.trees import Node, Source, encode
from breeder.regions import END, START, MarkerError, find_regions

_COMMENTS = ("#", "//", "/*", "*", '"""', "'''")


def marked(text: str, parent: str) -> list[str] | None:
    """New texts of the parent's regions from an answer that repeats the markers.

    Returns:
        One text per region; None when the markers are unpaired or not as many as the parent's.

    Raises:
        RefusalError: lines outside the markers are not those of the parent.
    """
    try:
        theirs, mine = find_regions(text), find_regions(parent)
    except MarkerError:
        return None
    if len(theirs) != len(mine):
        return None
    frozen = {line.strip() for line in _outside(parent, mine)}
    imports: list[str] = []
    for line in _outside(text, theirs):
        bare = line.strip()
        if not bare or bare in frozen or bare.startswith(_COMMENTS):
            continue
        if bare.startswith(("import ", "from ", "#include")):
            imports.append(line)
            continue
        raise RefusalError(
            Reason.FROZEN,
            "the answer changes the program outside the evolvable block; repeat it as it is or"
            " leave it out",
            line.rstrip()[:200],
        )
    new = [text[r.begin : r.end] for r in theirs]
    if imports:
        new[0] = "\n".join(imports) + "\n" + new[0]
    return new


def _outside(text: str, regions: Sequence[tuple[int, int]]) -> list[str]:
    edges = [0, *(edge for r in regions for edge in r), len(text)]
    kept = [text[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2)]
    lines = [line for piece in kept for line in piece.split("\n")]
    return [line for line in lines if START not in line and END not in line]


def replace_block(source: Source, answer: Source) -> tuple[list[Change], str]:
    """The answer's code in the place of the one region, frozen pieces that it repeats left out.

    Raises:
        RefusalError: there are several regions, or the code needs pieces of the old block that it
            leaves out, or it changes frozen pieces.
    """
    region, parent = _only_region(source), layout(source)
    if parent.inner:
        return _replace_inner(source, answer, region)
    theirs = [p for p in pieces(answer) if not _is_guard(answer, p)]
    kept = [p for p in theirs if not _repeats(source, answer, parent, p)]
    bound = {p.name for p in kept if p.name}
    used = set[bytes]().union(*(identifiers(answer, p.node) for p in kept), _needed(source, parent))
    lost = {t.name for t in parent.targets if t.name and not t.owner} - bound
    if not any(p.kind in ("function", "class", "constant") for p in kept):
        raise RefusalError(Reason.PROSE, "the answer defines nothing")
    if missing := sorted(lost & used):
        raise RefusalError(
            Reason.ENTRY,
            f"the block must still define {', '.join(n.decode(errors='replace') for n in missing)}",
        )
    text = _without_pieces(answer, [p for p in pieces(answer) if p not in kept])
    text = text.strip(b"\n") + b"\n"
    while b"\n\n\n\n" in text:
        text = text.replace(b"\n\n\n\n", b"\n\n\n")
    old = source.text[slice(*region)]
    lead = old[: len(old) - len(old.lstrip(b"\n"))]
    tail = old[len(old.rstrip(b"\n")) + 1 :] if old.strip() else b""
    return [Change(*region, lead + text + tail)], "rewrite the block"


def _only_region(source: Source) -> tuple[int, int]:
    if len(source.regions) == 1:
        return source.regions[0]
    raise RefusalError(
        Reason.AMBIGUOUS,
        f"the program has {len(source.regions)} evolvable blocks; repeat the marker lines round"
        " each, or write single functions",
    )


def _needed(source: Source, parent: Layout) -> set[bytes]:
    """Names that the frozen text uses."""
    return set[bytes]().union(*(identifiers(source, p.node) for p in parent.frozen))


def _is_guard(answer: Source, piece: Piece) -> bool:
    """Statements that show or test the code: main guards, calls, prints, asserts, docstrings."""
    if piece.kind == "other":
        return piece.node.type in ("if_statement", "expression_statement", "assert_statement") and (
            piece.node.type != "if_statement" or b"__name__" in answer.of(piece.node)[:40]
        )
    return piece.kind == "comment" and piece.node.type == "expression_statement"


def _repeats(source: Source, answer: Source, parent: Layout, piece: Piece) -> bool:
    """Whether a piece repeats a frozen one.

    Raises:
        RefusalError: it is a frozen one with another content.
    """
    if piece.kind == "import":
        held = {line for p in parent.frozen if p.kind == "import" for line in imported(source, p)}
        return set(imported(answer, piece)) <= held
    same = [p for p in parent.frozen if p.name and p.name == piece.name]
    if not same:
        return False
    if any(tokens(source, p.core) == tokens(answer, piece.core) for p in same):
        return True
    raise RefusalError(
        Reason.FROZEN,
        f"{piece.name.decode(errors='replace')} lies outside the evolvable block and must not be"
        " changed; leave it out of the answer",
    )


def _without_pieces(answer: Source, dropped: Sequence[Piece]) -> bytes:
    text = answer.text
    for piece in reversed(dropped):
        line = text.find(b"\n", piece.node.end)
        end = piece.node.end if line < 0 or text[piece.node.end : line].strip() else line + 1
        text = text[: piece.node.begin] + text[end:]
    return text


def _replace_inner(
    source: Source, answer: Source, region: tuple[int, int]
) -> tuple[list[Change], str]:
    """Statements in the place of a region that lies within a function."""
    theirs = [p for p in pieces(answer) if p.kind != "comment"]
    defined = [p for p in theirs if p.kind in ("function", "class")]
    native = source.table.family != "python"
    if not theirs or len(defined) == len(theirs) or (native and defined):
        raise RefusalError(Reason.ENTRY, "the block holds statements, and the answer holds none")
    if native and any(p.kind == "import" for p in theirs):
        raise RefusalError(Reason.IMPORT, "an #include cannot stand within a function")
    lines = answer.text.rstrip().split(b"\n")
    return [Change(*region, region_text(source, region, lines))], "rewrite the block"


def replace_body(source: Source, answer: Source) -> tuple[list[Change], str]:
    """Bare statements that return a value, as the body of the one function that the task calls.

    Raises:
        RefusalError: there are several functions, or the statements return nothing.
    """
    functions = [t for t in layout(source).targets if t.kind == "function"]
    if len(functions) > 1:
        called = entries_of(source, (source,))
        functions = [t for t in functions if t.name in called and not t.owner]
    theirs = [p for p in pieces(answer) if p.kind != "comment"]
    returns = any(n.type == "return_statement" for p in theirs for n in _statements(p.node))
    if len(functions) != 1 or not returns or any(p.kind == "function" for p in theirs):
        raise RefusalError(
            Reason.PROSE, "the answer holds statements but no function that it could be"
        )
    body = functions[0].core.child("body")
    if body is None or source.table.family != "python":
        raise RefusalError(Reason.ENTRY, "write the whole function, its header included")
    first = body.begin
    statements = [c for c in body.children if c.named]
    if len(statements) > 1 and tokens(source, statements[0]) == []:
        first = statements[1].begin
    indent = indent_of(source, body) or indentation(source, body)
    text = b"\n".join(moved(answer.text.strip(b"\n").rstrip().split(b"\n"), indent))
    name = functions[0].name.decode(errors="replace")
    return [Change(first, functions[0].core.end, text.lstrip())], f"rewrite {name}"


def _statements(node: Node) -> list[Node]:
    """A statement and those within it, functions within it left out."""
    found, stack = list[Node](), [node]
    while stack:
        node = stack.pop()
        found.append(node)
        stack += [c for c in node.children if c.type not in ("function_definition", "lambda")]
    return found


def replace_text(text: str, parent: str, regions: Sequence[tuple[int, int]]) -> list[str]:
    """The answer in the place of the one region, for languages without a grammar.

    Raises:
        RefusalError: there are several regions.
    """
    if len(regions) != 1:
        raise RefusalError(
            Reason.AMBIGUOUS, "repeat the marker lines of every evolvable block, or send a diff"
        )
    data = encode(parent)
    frozen = {line.strip() for line in data[: regions[0][0]].split(b"\n") if line.strip()}
    frozen |= {line.strip() for line in data[regions[0][1] :].split(b"\n") if line.strip()}
    lines = text.strip("\n").split("\n")
    while lines and (not lines[0].strip() or encode(lines[0].strip()) in frozen):
        lines = lines[1:]
    while lines and (not lines[-1].strip() or encode(lines[-1].strip()) in frozen):
        lines = lines[:-1]
    return ["\n".join(lines) + "\n"]
