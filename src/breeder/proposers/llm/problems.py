"""What keeps a text from parsing, in words that a model can act on."""

from __future__ import annotations

import re
import warnings

import tree_sitter

from breeder.proposers.llm.verdicts import Reason, RefusalError
from breeder.proposers.trees import LARGEST, encode, raw_tree

_BREAKS_OFF = (
    "unexpected EOF",
    "was never closed",
    "unterminated triple-quoted",
    "unterminated string",
    "expected an indented block",
    "expected 'except'",
)
_FOREIGN = {
    "python": re.compile(
        r"^[ \t]*+(?:#include\b|(?:public|private|static)\b[^\n]*\{|function\s+\w+\s*\("
        r"|const\s+\w+\s*=|(?:pub\s+)?fn\s+\w+|let\s+\w+|var\s+\w+|(?:int|void|double|float)\s+\w+\s*\(|func\s+\w+)",
        re.MULTILINE,
    ),
    "c": re.compile(
        r"^[ \t]*+(?:def\s+\w+\s*\([^\n]*:\s*$|import\s+\w|from\s+\w+\s+import|function\s+\w+\s*\("
        r"|(?:pub\s+)?fn\s+\w+|let\s+\w+)",
        re.MULTILINE,
    ),
}
_C_FAMILY = ("c", "cpp", "cuda")
_SAME = {
    "python": ("python", "py", "python3", "python2", "ipython", "pycon"),
    "c": ("c", "cpp", "c++", "cc", "cxx", "h", "hpp", "cuda", "cu"),
    "shell": ("sh", "bash", "shell"),
}
_OPEN_LABELS = (
    "",
    "text",
    "txt",
    "code",
    "plaintext",
    "diff",
    "patch",
    "json",
    "search",
    "replace",
)


def problem(text: str, name: str, *, label: str = "", ends: bool = False) -> RefusalError:
    """Why a text does not parse.

    Args:
        text: the code.
        name: the language that it should be in.
        label: the language that the answer's fence named.
        ends: the code may have been cut off at its end (an open fence, a limit of tokens).
    """
    if foreign := _foreign(text, name, label):
        return RefusalError(
            Reason.LANGUAGE, f"the program is written in {name}, the answer in {foreign}"
        )
    line, message = _python(text) if name == "python" else _native(text, name)
    lines = text.rstrip().split("\n")
    at_end = line >= len(lines) - 1 or message.startswith(_BREAKS_OFF[:3])
    shown = "\n".join(lines[max(0, line - 2) : line + 1])[:400]
    if ends and at_end:
        return RefusalError(Reason.TRUNCATED, f"the code breaks off: {message}", shown)
    return RefusalError(Reason.SYNTAX, f"the code does not parse: {message}", shown)


def _foreign(text: str, name: str, label: str) -> str:
    """The other language that a text seems to be in, or ""."""
    family = "c" if name in _C_FAMILY else name
    if label not in _OPEN_LABELS and label not in (name, *_SAME.get(family, ())):
        return label
    pattern = _FOREIGN.get(family)
    return "another language" if pattern and pattern.search(text[:20000]) else ""


def _python(text: str) -> tuple[int, str]:
    """1-based line and message of the first error of a Python text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(encode(text), "<answer>", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = error.lineno or 1
        return line, f"{error.msg}, line {line}"
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return 1, f"it cannot be compiled ({type(error).__name__})"
    # The compiler takes it and the grammar does not, or it is nested too deeply for us.
    return _native(text, "python")


def _native(text: str, name: str) -> tuple[int, str]:
    data = encode(text)
    tree = raw_tree(data, name)
    if tree is None or len(data) > LARGEST:
        return 1, "it is too large"
    node = _first_error(tree.root_node)
    if node is None:
        return 1, "it is nested too deeply"
    line = node.start_point[0] + 1
    if node.is_missing:
        return line, f"{node.type!r} is missing, line {line}"
    opened, closed = data.count(b"{"), data.count(b"}")
    if name in _C_FAMILY and opened > closed:
        return text.rstrip().count("\n") + 1, f"{opened - closed} '{{' was never closed"
    return line, f"syntax error in line {line}"


def _first_error(node: tree_sitter.Node) -> tree_sitter.Node | None:
    while node.has_error:
        if node.is_error or node.is_missing:
            return node
        deeper = next((c for c in node.children if c.has_error or c.is_missing), None)
        if deeper is None:
            return node
        node = deeper
    return node if node.is_missing else None
