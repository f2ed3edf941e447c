"""Whatever an answer holds: no exception, frozen text kept, time linear in its length."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeder.proposers.checks import frozen
from breeder.proposers.llm.edits import apply, repair_message
from breeder.proposers.llm.verdicts import Applied, Form, Reason, Rejected
from breeder.proposers.proposer import Grammar
from breeder.proposers.trees import encode, parses
from proposers.llm.recorded_answers import recorded

CORPUS = recorded()
BITS = (
    "<<<<<<< SEARCH\n",
    "=======\n",
    ">>>>>>> REPLACE\n",
    "```python\n",
    "```\n",
    "```diff\n",
    "    score = -gap\n",
    "def priority(item, bins):\n",
    "    return -bins\n",
    "# EVOLVE-BLOCK-START\n",
    "# EVOLVE-BLOCK-END\n",
    "LIMIT = 100\n",
    "@@ -1 +1 @@\n",
    "-    score = -gap\n",
    "+    score = gap\n",
    '{"code": "',
    '"}',
    "<think>\n",
    "</think>\n",
    "\\n",
    "&lt;",
    "\r\n",
    "\t",
    "\0",
    "SEARCH:\n",
    "REPLACE:\n",
    "class A:\n",
    "import os\n",
    "12 | x = 1\n",
    "}\n",
    "{\n",
    "\ud800",
    "é\u2028",
)


def check(answer: str, form: Form, case_index: int = 0) -> Applied | Rejected:
    """Apply an answer and check what always holds."""
    case = CORPUS[case_index]
    files, grammar = case.parent_files, case.grammar
    result = apply(answer, parent_files=files, grammar=grammar, form=form)
    if isinstance(result, Applied):
        assert result.files.keys() == files.keys()
        for path, text in result.files.items():
            assert frozen(text, grammar) == frozen(files[path], grammar)
            if result.parses:
                assert parses(encode(text), grammar.languages[path])
        assert result.files != files
    else:
        assert repair_message(result)
    return result


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(BITS), max_size=14).map("".join), st.sampled_from(list(Form)))
def test_any_mixture_of_markers_and_code(answer: str, form: Form) -> None:
    check(answer, form)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.text(max_size=300), st.sampled_from(list(Form)))
def test_any_text(answer: str, form: Form) -> None:
    check(answer, form)


def test_damaged_recordings_never_break_the_rules() -> None:
    rng = random.Random(5)
    applied = 0
    for number in range(400):
        index = rng.randrange(len(CORPUS))
        text = CORPUS[index].answer
        begin, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        other = rng.choice(CORPUS).answer
        damaged = (
            text[:begin] + text[end:],
            text[:end],
            text[:begin] + other[: rng.randrange(len(other) + 1)] + text[begin:],
            text[:begin] + rng.choice(BITS) + text[begin:],
        )[number % 4]
        applied += isinstance(check(damaged, rng.choice(list(Form)), index), Applied)
    assert applied > 20


GOOD_EDIT = "<<<<<<< SEARCH\n    score = -gap\n=======\n    score = gap\n>>>>>>> REPLACE\n"
PATHOLOGICAL = {
    "newlines": "\n" * 1_000_000,
    "spaces": " " * 1_000_000 + "x",
    "angles": "<" * 1_000_000,
    "opening markers": "<<<<<<< SEARCH\n" * 60_000,
    "separators": "<<<<<<< SEARCH\n" + "=======\n" * 120_000,
    "whole blocks": GOOD_EDIT.replace("-gap", "nothing") * 12_000,
    "fences": "```\n" * 250_000,
    "labelled fences": "```python\nx = 1\n" * 60_000,
    "parentheses": "```python\n" + "(" * 1_000_000,
    "large code": "```python\n" + "def f(:\n" * 15_000,
    "prose": "The score = -gap should be larger. " * 30_000,
    "prose lines": "if the gap is large, for example:\n" * 30_000,
    "json brackets": "[{" + '"a": [' * 160_000,
    "json text": '{"code": "' + "\\\\" * 500_000,
    "quotes": "\"'" * 500_000,
    "one long search": "<<<<<<< SEARCH\n"
    + "    score = -gap + 1\n" * 45_000
    + "=======\n>>>>>>> REPLACE\n",
    "one long line": "<<<<<<< SEARCH\n" + "score " * 160_000 + "\n=======\n>>>>>>> REPLACE\n",
    "diff lines": "```diff\n" + "-x\n+y\n@@\n" * 110_000,
    "thoughts": "<think>" * 140_000,
    "escapes": "&lt;" * 250_000,
    "end tokens": "<|im" * 250_000,
    "numbers": "```python\n" + "".join(f"{i} | x\n" for i in range(100_000)),
    "prompts": ">>> x\n" * 160_000,
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_a_megabyte_of_garbage_is_read_in_half_a_second(name: str) -> None:
    begin = time.process_time()
    check(PATHOLOGICAL[name], Form.DIFF)
    assert time.process_time() - begin < 0.5


def test_an_edit_within_a_megabyte_of_prose_is_found() -> None:
    prose = "This text is about bins and items. \n" * 14_000
    begin = time.process_time()
    result = check(prose + GOOD_EDIT + prose, Form.DIFF)
    assert isinstance(result, Applied)
    assert time.process_time() - begin < 0.5


def test_answers_beyond_all_measure_are_not_read() -> None:
    result = check("x" * 5_000_000, Form.DIFF)
    assert isinstance(result, Rejected)
    assert result.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1\n",
        "# EVOLVE-BLOCK-START\nx = 1\n",
        "def f(:\n",
        "# EVOLVE-BLOCK-START\n(\n# EVOLVE-BLOCK-END\n",
    ],
)
def test_strange_parents(text: str) -> None:
    for case in CORPUS[::4]:
        apply(
            case.answer,
            parent_files={"a.py": text},
            grammar=Grammar({"a.py": "python"}),
            form="diff",
        )
        apply(
            case.answer,
            parent_files={"a.py": text},
            grammar=Grammar({"a.py": "python"}, whole=True),
            form="block",
        )
