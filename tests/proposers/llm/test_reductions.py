"""Loops written anew as functions of slices: which, and that every answer is a whole function."""

import random

import pytest
from tests.proposers.llm.gbnf import Gbnf

from breeder.proposers.llm.edits import apply
from breeder.proposers.llm.model import Prompt
from breeder.proposers.llm.reductions import loops, reducible, unrolled
from breeder.proposers.llm.verdicts import Applied, Form, Reason, Rejected
from breeder.proposers.proposer import Grammar

SUMS = """\
def sums(values, weights, window):
    found = []
    for start in range(len(values) - window):
        total = 0.0
        highest = values[start]
        for index in range(start, start + window):
            total += values[index] * weights[index]
            if values[index] > highest:
                highest = values[index]
        found.append(total * highest)
    return found
"""
PROMPT = Prompt(("Write it.",), prefill="```python\ndef sums(values, weights, window):\n")
GRAMMAR = Grammar({"a.py": "python"}, whole=True)


def test_a_loop_that_folds_elements_into_names_is_found() -> None:
    (loop,) = loops(SUMS)
    assert loop.names == ("total", "highest")
    assert loop.slices == ("values[start:start + window]", "weights[start:start + window]")
    assert loop.before.endswith("for start in range(len(values) - window):\n")
    assert loop.after == "        found.append(total * highest)\n    return found\n"
    assert (loop.indent, loop.numpy) == (" " * 8, "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("range(start, start + window)", "values"),
        ("range(start, start + window)", "range(start, window, 2)"),
        ("total = 0.0\n", "found.append(0)\n"),  # a first value from before the outer loop
        ("* weights[index]", "* index"),
        ("* weights[index]", "* weights[index + 1]"),
        ("highest = values[index]\n", "break\n"),
        ("highest = values[index]\n", "values[index] = highest\n"),
        ("highest = values[index]\n", "print(highest)\n"),
        ("    return found", "    return found\n" + "    # padding\n" * 40),
        ("def sums", "def"),
    ],
)
def test_other_loops_are_left_alone(old: str, new: str) -> None:
    assert old in SUMS
    assert loops(SUMS.replace(old, new)) == ()


@pytest.mark.parametrize("numpy", ["", "np"])
@pytest.mark.parametrize("named", [True, False])
def test_every_answer_is_a_whole_function_without_the_loop(numpy: str, named: bool) -> None:
    program = (f"import numpy as {numpy}\n" if numpy else "") + SUMS
    (site,) = reducible({"a.py": program}, GRAMMAR)
    assert site.loop.numpy == numpy
    prompt = unrolled(PROMPT, site.loop, named=named)
    gbnf, rng = Gbnf.read(prompt.grammar), random.Random(3)
    texts = set()
    for _ in range(20):
        answer = prompt.prefill + gbnf.derive(rng)
        assert prompt.tail is not None
        written = answer.removeprefix(prompt.prefill)
        assert written[written.index(prompt.tail.begins) :] == prompt.tail.text
        made = apply(answer, parent_files={"a.py": program}, grammar=GRAMMAR, form=Form.FUNCTION)
        assert isinstance(made, Applied), (answer, made)
        texts.add(made.files["a.py"])
    assert len(texts) > 10
    for text in texts:
        assert "index" not in text
        assert "found.append(total * highest)" in text
        assert ("part = values[start:start + window]" in text) == named


def test_what_breaks_off_is_refused() -> None:
    (loop,) = loops(SUMS)
    answer = unrolled(PROMPT, loop, named=False).prefill + " sum(values[start:"
    made = apply(
        answer, parent_files={"a.py": SUMS}, grammar=GRAMMAR, form=Form.FUNCTION, truncated=True
    )
    assert isinstance(made, Rejected)
    assert made.reason in (Reason.TRUNCATED, Reason.SYNTAX)


def test_names_of_slices_stay_clear_of_the_programs_own() -> None:
    (loop,) = loops(SUMS.replace("total", "part"))
    prefill = unrolled(PROMPT, loop, named=True).prefill
    assert "other = values[start:start + window]" in prefill
    assert prefill.endswith("        part =")
