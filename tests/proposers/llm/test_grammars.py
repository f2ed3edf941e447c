"""Grammars of answers: well-formed, and what they allow can be used."""

import ast
import random
import string
from pathlib import Path

import pytest

from breeder.proposers.llm.edits import apply
from breeder.proposers.llm.grammars import EDIT_BEGINS, beginning_with, body_grammar, edit_grammar
from breeder.proposers.llm.verdicts import Applied, Form, Reason, Rejected
from breeder.proposers.proposer import Grammar
from proposers.llm.gbnf import Gbnf
from proposers.llm.recorded_answers import FOLDER, LANGUAGES

PARENTS = sorted(path.name for path in (FOLDER / "parents").iterdir() if path.suffix in LANGUAGES)


def parent(name: str) -> tuple[dict[str, str], Grammar]:
    files = {name: (FOLDER / "parents" / name).read_text(encoding="utf-8")}
    return files, Grammar({name: LANGUAGES[Path(name).suffix]})


@pytest.mark.parametrize("name", PARENTS)
def test_every_edit_of_the_grammar_has_one_place(name: str) -> None:
    files, grammar = parent(name)
    gbnf = Gbnf.read(edit_grammar(files, grammar))
    rng = random.Random(7)
    reasons = set()
    for _ in range(40):
        result = apply(gbnf.derive(rng), parent_files=files, grammar=grammar, form=Form.DIFF)
        if isinstance(result, Rejected):
            reasons.add(result.reason)
    # Random lines seldom parse; but no edit lacks its place or leaves the block.
    assert reasons <= {Reason.SYNTAX, Reason.LANGUAGE, Reason.UNCHANGED, Reason.ENTRY}


@pytest.mark.parametrize("name", PARENTS)
def test_search_parts_are_consecutive_evolvable_lines(name: str) -> None:
    files, grammar = parent(name)
    gbnf = Gbnf.read(edit_grammar(files, grammar, most_search=3))
    region = grammar.regions(files[name])[0]
    block = "\n" + files[name][region.begin : region.end]
    rng = random.Random(3)
    for _ in range(40):
        search = gbnf.derive(rng, "search")
        assert "\n" + search in block
        assert 1 <= search.count("\n") <= 3


def test_lines_that_repeat_need_company() -> None:
    files = {"a.py": "# EVOLVE-BLOCK-START\nx = 1\ny = 2\nx = 1\nz = 3\n# EVOLVE-BLOCK-END\n"}
    gbnf = Gbnf.read(edit_grammar(files, Grammar({"a.py": "python"}), most_search=2))
    rng = random.Random(1)
    found = {gbnf.derive(rng, "search") for _ in range(60)}
    assert found == {"x = 1\ny = 2\n", "y = 2\n", "y = 2\nx = 1\n", "x = 1\nz = 3\n", "z = 3\n"}


def test_prefill_is_left_out_of_the_edit_grammar() -> None:
    files, grammar = parent("packing.py")
    begun = Gbnf.read(edit_grammar(files, grammar, prefill=EDIT_BEGINS))
    assert not begun.derive(random.Random(0)).startswith("<")
    assert edit_grammar(files, grammar, prefill="```python\n") == ""


@pytest.mark.parametrize(
    ("name", "function", "header"),
    [
        ("packing.py", "priority", "def priority(item, bins):\n"),
        ("scheduling.py", "", "def score(job, machine, left):\n"),
        ("solver.py", "search", "def search(state, seed, steps=100):\n"),
    ],
)
def test_every_body_of_the_grammar_makes_a_program(name: str, function: str, header: str) -> None:
    files, grammar = parent(name)
    gbnf = Gbnf.read(body_grammar(files, grammar, function=function))
    rng = random.Random(11)
    for _ in range(25):
        answer = f"```python\n{header}{gbnf.derive(rng)}"
        result = apply(answer, parent_files=files, grammar=grammar, form=Form.FUNCTION)
        assert isinstance(result, Applied), (answer, result)


def test_body_grammar_names_what_is_in_scope() -> None:
    files, grammar = parent("scheduling.py")
    gbnf = Gbnf.read(body_grammar(files, grammar))
    values = {str(way[0].value) for way in gbnf.rules["value"]}
    assert values == {"left.cpu", "left.memory"}
    assert "place" not in {str(way[0].value) for way in gbnf.rules["callee"]}
    assert "np.sqrt" in {str(way[0].value) for way in gbnf.rules["callee"]}


@pytest.mark.parametrize(
    ("returned", "values"),
    [
        ("return a, b", 2),
        ("return (a, b, a + b)", 3),
        ("return [a, b]", 1),
        ("return", 1),
        ("if a:\n        return a, b\n    return a", 1),
        ("if a:\n        return b, a\n    return a, b", 2),
        ("def pair():\n        return a, b\n    return pair()", 1),
    ],
)
def test_a_body_returns_as_many_values_as_before(returned: str, values: int) -> None:
    text = f"# EVOLVE-BLOCK-START\ndef f(a, b):\n    {returned}\n# EVOLVE-BLOCK-END\n"
    grammar = body_grammar({"a.py": text}, Grammar({"a.py": "python"}))
    rng, gbnf = random.Random(5), Gbnf.read(grammar)
    for _ in range(10):
        body = gbnf.derive(rng).removesuffix("```")
        last = ast.parse(f"def f(a, b):\n{body}").body[0].body[-1]  # type: ignore[attr-defined]
        assert isinstance(last, ast.Return)
        found = len(last.value.elts) if isinstance(last.value, ast.Tuple) else 1
        assert found == values


def test_no_grammar_without_a_function_or_a_line() -> None:
    files, grammar = parent("kernel.cpp")
    assert body_grammar(files, grammar) == ""
    assert body_grammar(*parent("packing.py"), function="pack") == ""
    empty = {"a.py": "# EVOLVE-BLOCK-START\n# EVOLVE-BLOCK-END\n"}
    assert edit_grammar(empty, Grammar({"a.py": "python"})) == ""


def test_strange_characters_are_escaped() -> None:
    files = {"a.txt": 'say "\\n"\t\x07é ' + string.punctuation + "\n"}
    gbnf = Gbnf.read(edit_grammar(files, Grammar({"a.txt": "text"}, whole=True)))
    assert gbnf.derive(random.Random(0), "search").startswith('say "\\n"\t')


def test_an_answer_that_cannot_be_begun_is_held_to_its_beginning() -> None:
    files, grammar = parent("packing.py")
    header = 'def priority(item, bins):\n    """Say "so"."""\n'
    rules = body_grammar(files, grammar, function="priority")
    whole = Gbnf.read(beginning_with(f"```python\n{header}", rules))
    answer = whole.derive(random.Random(2))
    assert answer.startswith(f"```python\n{header}")
    result = apply(answer, parent_files=files, grammar=grammar, form=Form.FUNCTION)
    assert isinstance(result, Applied)
    assert beginning_with("", rules) == rules
