"""Answer formats: what a model is told about how to answer, with one example each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from breeder.proposers.llm.fences import fenced

Form = Literal["diff", "function", "block", "file"]
"""How an answer states a change: SEARCH/REPLACE blocks, one function, the block, the file."""

FORMS: tuple[Form, ...] = ("diff", "function", "block", "file")

_RULES: Mapping[Form, str] = {
    "diff": (
        "State your change as one or more SEARCH/REPLACE blocks. SEARCH must repeat whole lines of "
        "the program that you are given, character by character, and must occur there only once; "
        "take as few lines as make it unique. REPLACE is what stands there afterwards. Blocks are "
        "applied in order."
    ),
    "function": (
        "Answer with one fenced block that holds the complete new text of the function that you "
        "are asked for, with the same name and parameters. Functions of your own that it needs may "
        "stand beside it in the same block."
    ),
    "block": (
        "Answer with one fenced block that holds the complete new text of the evolvable block, "
        "also what you leave as it is. Never write `...` or a comment in place of code."
    ),
    "file": (
        "Answer with one fenced block that holds the complete new file, also what you leave as it "
        "is, with its marker lines in place. Never write `...` or a comment in place of code."
    ),
}


class _Example(NamedTuple):
    """A function with a wrong line: its head, the wrong lines, the right ones, its end."""

    head: str
    wrong: str
    right: str
    end: str


_PYTHON = _Example(
    "def area(width, height):\n",
    "    total = width + height\n    return total\n",
    "    return width * height\n",
    "",
)
_C = _Example(
    "double area(double width, double height)\n{\n",
    "    double total = width + height;\n    return total;\n",
    "    return width * height;\n",
    "}\n",
)
_EXAMPLES: Mapping[str, _Example] = {"python": _PYTHON, "c": _C, "cpp": _C, "cuda": _C}


def answer_format(form: Form, language: str) -> str:
    """The answer format of a form with an example, in a text that never changes in a run."""
    shown = language if language in _EXAMPLES else "python"
    head, wrong, right, end = _EXAMPLES[shown]
    answer = fenced(head + right + end, shown)
    if form == "diff":
        answer = f"<<<<<<< SEARCH\n{wrong}=======\n{right}>>>>>>> REPLACE\n"
    return (
        f"## How to answer\n\n{_RULES[form]}\n\n"
        f"Example. For the program\n{fenced(head + wrong + end, shown)}an answer is:\n"
        f"The area is a product, not a sum.\n\n{answer}"
    )
