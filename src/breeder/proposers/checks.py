"""Checks that every tree edit passes before it becomes a proposal."""

from __future__ import annotations

from collections.abc import Mapping

from breeder.proposers.edits.tidying import tidied
from breeder.proposers.proposer import Grammar
from breeder.proposers.trees import byte_regions, decode, encode, parses


def child_text(before: str, after: bytes, path: str, grammar: Grammar) -> str | None:
    """The text of an edited file when it is sound, else None; what the edit made dead is dropped.

    Sound means: it decodes, its frozen text is that of `before` byte for byte, and it parses
    (Python compiles too; nothing is run).
    """
    language = grammar.languages.get(path, "text")
    try:
        after = tidied(after, language, whole=grammar.whole)
        text = decode(after)
    except UnicodeDecodeError:
        return None
    if text == before or frozen(text, grammar) != frozen(before, grammar):
        return None
    return text if parses(after, language) else None


def frozen(text: str, grammar: Grammar) -> tuple[bytes, ...]:
    """The pieces of a text outside its regions; the whole text when its markers are damaged."""
    data = encode(text)
    regions = byte_regions(text, whole=grammar.whole)
    edges = [0, *(edge for region in regions for edge in region), len(data)]
    return tuple(data[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2))


def editable(files: Mapping[str, str], grammar: Grammar) -> list[str]:
    """The files that have a non-empty evolvable region, in order."""
    return [
        path
        for path, text in files.items()
        if any(begin < end for begin, end in byte_regions(text, whole=grammar.whole))
    ]
