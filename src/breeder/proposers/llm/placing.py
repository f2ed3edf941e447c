"""Ways to put code into a file of the parent, the likeliest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from breeder.proposers.edits.change import Change
from breeder.proposers.llm.blocks import marked, replace_block, replace_body, replace_text
from breeder.proposers.llm.bodies import moved
from breeder.proposers.llm.code import Code
from breeder.proposers.llm.functions import merge
from breeder.proposers.llm.verdicts import Form, Reason, RefusalError
from breeder.proposers.proposer import Grammar
from breeder.proposers.trees import Source, byte_regions, decode, encode, read
from breeder.regions import END, START

_Placed = tuple[str, str, Form]
"""The file's new text, a note, and the form that the code was read as."""


def place(code: Code, parent: str, grammar: Grammar, form: Form) -> Iterator[Callable[[], _Placed]]:
    """Ways to read a piece of code, each of them a call that may raise `RefusalError`."""
    regions = byte_regions(parent, whole=grammar.whole)
    if START in code.text or END in code.text:
        yield lambda: _by_markers(code, parent, regions, form)
    source = read(parent, grammar.languages.get(code.path, "text"), whole=grammar.whole)
    answer = code.source
    if answer is not None and (START in code.text or END in code.text):
        bare = [line for line in code.text.split("\n") if START not in line and END not in line]
        answer = read("\n".join(bare), answer.table.name, whole=True)
    if answer is None or source is None:
        if not (START in code.text or END in code.text):
            yield lambda: _as_text(code, parent, regions)
        return
    block = (replace_block, Form.FILE if form is Form.FILE else Form.BLOCK)
    ways = [(merge, Form.FUNCTION), (replace_body, Form.FUNCTION)]
    ways = [block, *ways] if form in (Form.BLOCK, Form.FILE) else [*ways, block]
    for way, read_as in ways:
        yield lambda way=way, read_as=read_as: _changed(source, answer, way, read_as)  # type: ignore[misc]


def _changed(
    source: Source,
    answer: Source,
    way: Callable[[Source, Source], tuple[list[Change], str]],
    read_as: Form,
) -> _Placed:
    changes, note = way(source, answer)
    text = source.text
    for change in reversed(changes):
        new = change.text
        if source.newline == b"\r\n":
            new = new.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        text = text[: change.begin] + new + text[change.end :]
    return decode(text), note, read_as


def _by_markers(code: Code, parent: str, regions: Sequence[tuple[int, int]], form: Form) -> _Placed:
    new = marked(code.text, parent)
    if new is None:
        raise RefusalError(
            Reason.MALFORMED,
            f"the marker lines are not in pairs, or not {len(regions)} pairs as in the program",
        )
    read_as = form if form is Form.FILE else Form.BLOCK
    return _spliced(parent, regions, new), "rewrite the block", read_as


def _as_text(code: Code, parent: str, regions: Sequence[tuple[int, int]]) -> _Placed:
    new = replace_text(code.text, parent, regions)
    return _spliced(parent, regions, new), "rewrite the block", Form.BLOCK


def _spliced(parent: str, regions: Sequence[tuple[int, int]], new: Sequence[str]) -> str:
    """The parent with new texts of its regions, indented as the old ones were."""
    data = encode(parent)
    for (begin, end), text in reversed(list(zip(regions, new, strict=True))):
        lines = encode(text).split(b"\n")
        lead = _lead(data[begin:end])
        if lead is not None and _lead(encode(text)) != lead:
            shifted = b"\n".join(moved(lines, lead))
        else:
            shifted = encode(text)
        if b"\r\n" in data:
            shifted = shifted.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        data = data[:begin] + shifted + data[end:]
    return decode(data)


def _lead(text: bytes) -> bytes | None:
    line = next((line for line in text.split(b"\n") if line.strip()), None)
    return None if line is None else line[: len(line) - len(line.lstrip())]
