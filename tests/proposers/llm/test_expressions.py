"""One expression at a time: where, with which names, and that any answer is a whole function."""

import ast
import random
import re

import pytest
from tests.proposers.llm.gbnf import Gbnf

from breeder.proposers.llm.expressions import choose, focused, grammar, rewritable, spots
from breeder.proposers.llm.model import Prompt
from breeder.proposers.proposer import Grammar

SCORE = """\
def score(job, free):
    left = free - job
    value = left * 2
    return value
"""
PRIORITY = """\
def priority(item, bins):
    priorities = np.zeros(len(bins))
    return priorities
"""
LOOPS = """\
def sums(values, window):
    found = []
    for start in range(len(values) - window + 1):
        total = 0.0
        for index in range(start, start + window):
            total += values[index]
        found.append(total)
    return np.array(found)
"""
PROMPT = Prompt(("Write it.",), prefill="```python\ndef score(job, free):\n")


def test_right_hand_sides_and_results_are_spots() -> None:
    assert [spot.old for spot in spots(SCORE)] == ["free - job", "left * 2", "value"]
    assert [spot.old for spot in spots(PRIORITY, numpy="np")] == [
        "np.zeros(len(bins))",
        "priorities",
    ]
    assert [spot.old for spot in spots(LOOPS, numpy="np")] == ["0.0", "values[index]"]


@pytest.mark.parametrize("function", [SCORE, PRIORITY, LOOPS])
def test_a_spot_divides_the_text(function: str) -> None:
    for spot in spots(function, numpy="np"):
        assert spot.before + spot.old + spot.after == function


def test_only_bound_names_are_offered() -> None:
    assert [spot.names for spot in spots(SCORE)] == [
        ("job", "free"),
        ("job", "free", "left"),
        ("job", "free", "left", "value"),
    ]


def test_sequences_are_offered_by_element_and_lists_not_at_all() -> None:
    total = spots(LOOPS, numpy="np")[-1]
    assert total.indexed == ("values[index]",)
    assert "values" not in total.names
    assert "found" not in total.names
    assert {"window", "start", "total", "index"} <= set(total.names)


def test_whole_arrays_get_elementwise_functions_and_numbers_the_built_in_ones() -> None:
    arrays = grammar(spots(PRIORITY, numpy="np")[0])
    assert '"np.minimum("' in arrays
    assert '"min("' not in arrays
    assert '" if "' not in arrays
    numbers = grammar(spots(SCORE, numpy="np")[0].__class__("", "1", "", ("a",)))
    assert '"min("' in numbers
    assert "np." not in numbers


@pytest.mark.parametrize("function", [SCORE, PRIORITY, LOOPS])
@pytest.mark.parametrize("negated", [True, False])
def test_every_answer_ends_in_the_tail_and_nothing_before_it_looks_like_it(
    function: str, negated: bool
) -> None:
    rng = random.Random(5)
    for spot in spots(function, numpy="np"):
        prompt = focused(PROMPT, spot, "try this", negated=negated)
        assert prompt.tail is not None
        gbnf = Gbnf.read(prompt.grammar)
        for _ in range(10):
            answer = gbnf.derive(rng)
            assert answer[answer.index(prompt.tail.begins) :] == prompt.tail.text


@pytest.mark.parametrize("function", [SCORE, PRIORITY, LOOPS])
def test_what_the_grammar_dictates_makes_a_whole_function(function: str) -> None:
    for spot in spots(function, numpy="np"):
        prompt = focused(PROMPT, spot, "try\nthis")
        begun = prompt.prefill.removeprefix("```python\n")
        assert begun.endswith(("=", "return"))
        assert "# try this\n" in begun
        dictated = re.search(r'^root ::= " " sum "(.*)"$', prompt.grammar, re.MULTILINE)
        assert dictated is not None
        rest = dictated[1].encode().decode("unicode_escape")
        assert rest.endswith("\n```")
        code = f"{begun} {spot.names[0]}{rest.removesuffix('```')}"
        changed = ast.parse(code).body[0]
        assert isinstance(changed, ast.FunctionDef)
        assert len(changed.body) == len(ast.parse(function).body[0].body)  # type: ignore[attr-defined]


def test_every_rule_of_the_grammar_is_defined() -> None:
    for function in (SCORE, PRIORITY, LOOPS):
        for spot in spots(function, numpy="np"):
            text = grammar(spot)
            defined = set(re.findall(r"^(\w+) ::=", text, re.MULTILINE))
            bare = re.sub(r'"(\\.|[^"\\])*"|\[[^]]*\]|\{[^}]*\}', " ", text)
            assert set(re.findall(r"[a-z]+", bare)) == defined


@pytest.mark.parametrize(
    "function",
    [
        "",
        "def f(",
        "x = 1\n",
        "def f():\n    return 1\n",  # nothing bound
        "def f(x):\n    return [x]\n",
        "def f(x):\n    return g(x)\n",
        "def f(x):\n    return 'text'\n",
        "def f(x):\n    return (x +\n            1)\n",
        "def f(x):\n    y = x\n" + "    use(y)\n" * 100,  # too much to dictate
    ],
)
def test_what_cannot_be_done_well_is_left_alone(function: str) -> None:
    assert spots(function) == ()


def test_names_outside_ascii_keep_their_place() -> None:
    (spot,) = spots("def f(größe):\n    return größe * 2  # ü\n")
    assert (spot.before[-7:], spot.old) == ("return ", "größe * 2")


def test_a_program_offers_the_expressions_of_its_python_functions() -> None:
    text = (
        '# EVOLVE-BLOCK-START\nimport numpy as xp\n\n\ndef f(a, b):\n    """Doc."""\n'
        "    # why\n    return a + b\n# EVOLVE-BLOCK-END\n"
    )
    (place,) = rewritable({"p.py": text}, Grammar({"p.py": "python"}))
    assert place.view.name == "f"
    assert (place.spot.old, place.spot.numpy) == ("a + b", "xp")
    assert choose([place], random.Random(1)) == place
    assert choose([], random.Random(1)) is None
    c = "// EVOLVE-BLOCK-START\nint f(int a) { return a; }\n// EVOLVE-BLOCK-END\n"
    assert rewritable({"p.c": c}, Grammar({"p.c": "c"})) == ()


def test_a_formula_over_arrays_leads_with_an_array() -> None:
    first, last = spots(PRIORITY, numpy="np")
    # What is the same for all bins is no operand.
    assert (first.arrays, last.arrays) == (("bins",), ("bins",))
    assert 'lead ::= "bins"\n' in grammar(first)
    assert all(spot.arrays == () for spot in (*spots(SCORE), *spots(LOOPS, numpy="np")))


def test_what_nothing_reads_is_no_spot() -> None:
    assert [s.old for s in spots("def f(a):\n    unused = a + 1\n    return a * 2\n")] == ["a * 2"]


def test_a_formula_brings_in_an_argument_that_had_no_part_in_it() -> None:
    function = """\
def rate(width, height, depth):
    base = width * 2
    for _ in range(3):
        base += height
    area = base + len(depth)
    return area
"""
    *_, area, result = spots(function)
    assert (area.old, result.old) == ("base + len(depth)", "area")
    # Lengths are no values, and what a loop adds counts.
    assert area.fresh == result.fresh == ("depth",)
    lead = next(line for line in grammar(result).splitlines() if line.startswith("lead"))
    assert lead == 'lead ::= "depth"'


def test_the_reverse_is_begun_with_a_minus_and_a_bracket() -> None:
    spot = spots(SCORE)[-1]
    asked = focused(PROMPT, spot, "try", negated=True)
    assert asked.prefill.endswith("    # try\n    return -(")
    answer = asked.prefill + Gbnf.read(asked.grammar).derive(random.Random(4))
    assert ast.parse(answer.removeprefix("```python\n").removesuffix("```"))
