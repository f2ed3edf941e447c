"""GBNF grammars of answers, made from the current program, for endpoints that constrain sampling.

The notation is that of llama.cpp. `edit_grammar` allows nothing but a SEARCH/REPLACE edit that has
exactly one place; `body_grammar` allows a small part of Python over the names that are in scope.
Small models gain by them in what applies, not in what they think of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from breeder.proposers.languages import words
from breeder.proposers.llm.units import Piece, identifiers, layout, pieces, signature
from breeder.proposers.proposer import Grammar
from breeder.proposers.scope import scope
from breeder.proposers.trees import Node, Source, sources
from breeder.regions import MarkerError

EDIT_BEGINS = "<<<<<<< SEARCH\n"
"""How every answer under an edit grammar begins; may be prefilled."""

_NEWLINE = "\n"
_MIDDLE = "=======\n"
_EDIT_ENDS = ">>>>>>> REPLACE\n"
_MOST_STARTS = 200
_MOST_NAMES = 40


def edit_grammar(
    files: Mapping[str, str],
    grammar: Grammar,
    *,
    most_search: int = 4,
    most_replace: int = 12,
    prefill: str = "",
) -> str:
    """A grammar of SEARCH/REPLACE edits whose SEARCH is consecutive evolvable lines.

    Where a line stands more than once, so many lines must follow it that the place is unique; line
    numbers are never needed. An answer under this grammar applies, unless it changes nothing.

    Args:
        files: the evolved files.
        grammar: the task's regions.
        most_search: most lines of a SEARCH part.
        most_replace: most lines of a REPLACE part.
        prefill: what the prompt has written of the answer already, a part of `EDIT_BEGINS`.

    Returns:
        The grammar; "" when no line is unique or `prefill` is not how an edit begins.
    """
    if not EDIT_BEGINS.startswith(prefill):
        return ""
    rules: list[str] = []
    starts: list[str] = []
    for lines, spans in _evolvable_lines(files, grammar):
        for begin, end in spans:
            for i in range(begin, end):
                least = _least_unique(lines, i, min(end, i + most_search))
                if least and lines[i].strip() and len(starts) < _MOST_STARTS:
                    number = len(starts)
                    starts.append(f"s{number}")
                    rules.append(f"s{number} ::= {_window(lines, i, end, least, most_search)}")
    if not starts:
        return ""
    return "\n".join(
        [
            f"root ::= {literal(EDIT_BEGINS[len(prefill) :])} search {literal(_MIDDLE)}"
            f" line{{0,{most_replace}}} {literal(_EDIT_ENDS)}",
            f"search ::= {' | '.join(starts)}",
            *rules,
            # No line of a program begins like a marker.
            r'line ::= ([ \t]* [^<>=\n\r \t] [^\n\r]*)? "\n"',
            "",
        ]
    )


def beginning_with(prefill: str, grammar: str) -> str:
    """The grammar of whole answers, for endpoints that cannot be given an answer's beginning.

    Args:
        prefill: how the answer begins; none of the names of `grammar` is `begun`.
        grammar: of what follows.
    """
    if not prefill:
        return grammar
    rest = re.sub(r"^root ::=", "begun ::=", grammar, flags=re.MULTILINE)
    return f"root ::= {literal(prefill)} begun\n{rest}"


def _evolvable_lines(
    files: Mapping[str, str], grammar: Grammar
) -> Iterable[tuple[list[str], list[tuple[int, int]]]]:
    for text in files.values():
        try:
            regions = grammar.regions(text)
        except MarkerError:
            continue
        spans = [(text.count("\n", 0, r.begin), text.count("\n", 0, r.end)) for r in regions]
        yield [line.rstrip() for line in text.split("\n")], spans


def _least_unique(lines: Sequence[str], begin: int, end: int) -> int:
    """How many lines from `begin` on stand nowhere else in the file; 0 when up to `end` do not."""
    hay = "\n" + "\n".join(lines) + "\n"
    for stop in range(begin + 1, end + 1):
        filled = any(line.strip() for line in lines[begin:stop])
        needle = "\n" + "\n".join(lines[begin:stop]) + "\n"
        first = hay.find(needle)
        if filled and lines[stop - 1].strip() and hay.find(needle, first + 1) < 0:
            return stop - begin
    return 0


def _window(lines: Sequence[str], begin: int, end: int, least: int, most: int) -> str:
    """The first `least` lines, then up to `most`, each only after the one before it."""
    stop = min(end, begin + most)
    fixed = "".join(line + "\n" for line in lines[begin : begin + least])
    tail = ""
    for line in reversed(lines[begin + least : stop]):
        tail = f" ({literal(line + _NEWLINE)}{tail})?"
    return literal(fixed) + tail


def literal(text: str) -> str:
    """A text as GBNF writes it."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return (
        '"' + "".join(escapes.get(c) or (c if c >= " " else f"\\x{ord(c):02x}") for c in text) + '"'
    )


def _choice(texts: Iterable[str]) -> str:
    return " | ".join(literal(text) for text in texts)


_NUMPY = [
    "np.abs",
    "np.sqrt",
    "np.exp",
    "np.log1p",
    "np.maximum",
    "np.minimum",
    "np.where",
    "np.sum",
    "np.mean",
    "np.max",
    "np.min",
    "np.argmax",
    "np.argmin",
    "np.clip",
    "np.power",
    "np.sign",
    "np.cumsum",
    "np.zeros_like",
    "np.ones_like",
]
_MATH = [
    "math.sqrt",
    "math.exp",
    "math.log1p",
    "math.log",
    "math.sin",
    "math.cos",
    "math.tanh",
    "math.hypot",
]
_BUILT_IN = ["abs", "min", "max", "sum", "len"]
_FRESH = ["a", "b", "gap", "ratio", "score", "value", "total", "penalty", "bonus"]
_RESERVED = words("self cls True False None and or not if else for in return lambda is")


def body_grammar(
    files: Mapping[str, str],
    grammar: Grammar,
    *,
    function: str = "",
    indent: str = "    ",
    most_lines: int = 10,
) -> str:
    """A grammar of bodies of one Python function: assignments, conditions, loops, one last return.

    The answer is prefilled up to the end of the function's header; it ends with the `return` line
    and, when the model writes one, a closing fence.

    Args:
        files: the evolved files.
        grammar: the task's languages and regions.
        function: the function to write; the first one that is evolvable when "".
        indent: indentation of the body's lines.
        most_lines: most statements before the `return`.

    Returns:
        The grammar; "" when there is no such function in Python.
    """
    for source in sources(files, grammar).values():
        if source.table.family != "python":
            continue
        node = _function(source, function)
        if node is not None:
            return _body(source, node, indent, most_lines)
    return ""


def _function(source: Source, name: str) -> Node | None:
    found = layout(source)
    nodes = [t.core for t in found.targets if t.kind == "function"]
    nodes += [node for _, node in found.inner]
    for node in nodes:
        named = node.child("name")
        if not name or (named is not None and source.of(named).decode() == name):
            return node
    return None


def _body(source: Source, node: Node, indent: str, most_lines: int) -> str:
    values, calls, names = _in_scope(source, node)
    deeper, answer = literal(2 * indent), ' ", " '.join(["expr"] * _arity(node))
    return "\n".join(
        [
            f"root ::= line{{0,{most_lines}}} {literal(indent + 'return ')} {answer} end",
            r'end ::= "\n" "```"?',
            f"line ::= {literal(indent)} (assign | branch | loop)",
            'assign ::= name (" = " | " += " | " -= " | " *= ") expr "\\n"',
            f'branch ::= "if " cond ":\\n" inner ({literal(indent)} "else:\\n" inner)?',
            'loop ::= "for " name " in range(" expr "):\\n" inner',
            f"inner ::= ({deeper} assign){{1,3}}",
            'cond ::= expr (" < " | " > " | " <= " | " >= " | " == ") expr'
            ' ((" and " | " or ") expr (" < " | " > ") expr)?',
            'expr ::= term ((" + " | " - " | " * " | " / " | " ** ") term){0,4}',
            'term ::= "-"? (atom | call | "(" expr ")")',
            'call ::= callee "(" expr (", " expr){0,2} ")"',
            'atom ::= name | value ("[" (name | [0-9]) "]")? | number',
            r'number ::= ("0" | [1-9] [0-9]{0,3}) ("." [0-9]{1,4})?',
            f"value ::= {_choice(values or names)}",
            f"name ::= {_choice(names)}",
            f"callee ::= {_choice(calls)}",
            "",
        ]
    )


def _arity(node: Node) -> int:
    """How many values a function returns, as its callers take a tuple apart; 1 where it varies."""
    inner = [n for n in node.walk() if n.type in ("function_definition", "lambda") and n != node]
    returns = [n for n in node.walk() if n.type == "return_statement"]
    values = [
        r.named_children()[0]
        for r in returns
        if r.named_children() and not any(n.contains(r) for n in inner)
    ]
    sizes = {
        len(v.named_children()) if v.type in ("expression_list", "tuple") else 1 for v in values
    }
    return max(1, sizes.pop()) if len(sizes) == 1 else 1


def _in_scope(source: Source, node: Node) -> tuple[list[str], list[str], list[str]]:
    """What may be read, what may be called, and what may be assigned in a function."""
    body = node.child("body") or node
    bound = scope(source).visible(body)
    parameters = [n.decode() for n in signature(source, node).names]
    local = {
        b.name.decode(errors="replace")
        for b in scope(source).bindings
        if b.kind == "value" and node.contains(b.holder)
    } - set(parameters)
    attributes = {
        re.sub(r"\s+", "", source.of(n).decode(errors="replace"))
        for n in node.walk()
        if n.type == "attribute" and n.field != "function"
    }
    modules = {b.name.decode(errors="replace") for b in bound.values() if b.kind == "module"}
    constants = [
        b.name.decode(errors="replace")
        for b in bound.values()
        if b.kind == "value" and b.name.isupper()
    ]
    values = [
        *_bare(source, node, parameters),
        *sorted(a for a in attributes if a.split(".")[0] not in modules),
    ]
    calls = [*_BUILT_IN, *_beside(source, node)]
    calls += _NUMPY if "np" in modules else []
    calls += _MATH if "math" in modules else []
    names = [n for n in (*sorted(local), *_FRESH) if n not in _RESERVED and n.isidentifier()]
    return (
        [*dict.fromkeys((*values, *constants))][:_MOST_NAMES],
        [*dict.fromkeys(calls)][:_MOST_NAMES],
        [*dict.fromkeys(names)][:_MOST_NAMES],
    )


def _bare(source: Source, node: Node, parameters: list[str]) -> list[str]:
    """The parameters that the body uses by themselves; others may be objects with attributes."""
    body = node.child("body") or node
    used = {
        source.of(n).decode(errors="replace")
        for n in body.walk()
        if n.type == "identifier" and n.field != "object"
    }
    return [p for p in parameters if p in used]


def _beside(source: Source, node: Node) -> list[str]:
    """Functions of the file that the function may call: those that do not call it."""
    own = node.child("name")
    name = source.of(own) if own is not None else b""
    return [
        piece.name.decode(errors="replace")
        for piece in pieces(source)
        if _callable(source, piece, name)
    ]


def _callable(source: Source, piece: Piece, name: bytes) -> bool:
    if piece.kind != "function" or piece.name == name:
        return False
    return name not in identifiers(source, piece.core)
