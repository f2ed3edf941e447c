"""A number that becomes two: the condition is over what is declared, the rest stays."""

import ast
import re

from breeder.proposers.edits.cases import split_cases

from .variants import results

HEURISTIC = """def rows(m: int, ratio: float, turned: bool, table, names: list):
    tall = 8
    wide = [1, 2]
    return 3 * tall + wide[0]
"""
KERNEL = """static int rows(int m, float ratio, const float *table)
{
    int tall = 8;
    return 3 * tall;
}
"""


def splits(text: str, language: str) -> list[str]:
    return results(split_cases, text, seeds=400, language=language, whole=True)


def test_conditions_ask_only_for_parameters_declared_as_single_numbers_or_switches() -> None:
    made = splits(HEURISTIC, "python")
    tests = {
        ast.unparse(node.test)
        for text in made
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.IfExp)
    }
    names = {name for test in tests for name in re.findall(r"[a-z_]+", test)} - {"not", "e"}
    assert {"m", "ratio", "turned"} == names
    assert {"turned", "not turned"} <= tests
    assert {test for test in tests if "turned" in test} == {"turned", "not turned"}


def test_thresholds_reach_sizes_beyond_the_constants_of_the_program() -> None:
    found = [
        int(n) for text in splits(HEURISTIC, "python") for n in re.findall(r"m \S+ (\d+)", text)
    ]
    assert min(found) < 20
    assert max(found) > 1000


def test_the_old_number_stays_where_the_condition_does_not_hold() -> None:
    for text in splits(HEURISTIC, "python"):
        (node,) = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.IfExp)]
        old = ast.unparse(node.orelse)
        assert ast.unparse(node.body) != old
        assert int(old) in {8, 1, 2, 3, 0}


def test_choices_of_c_are_bracketed_where_they_would_bind_wrongly() -> None:
    made = splits(KERNEL, "c")
    assert any(re.search(r"tall = [^(]+ \? \d+ : 8;", text) for text in made)
    assert any(re.search(r"return \(.+ \? \d+ : 3\) \* tall;", text) for text in made)
    assert not any(re.search(r"return [^(]+ \?", text) for text in made)
    assert not any("table" in text.split("{", 1)[1] for text in made)


def test_without_a_name_to_ask_for_nothing_is_split() -> None:
    assert not splits("def f(x):\n    return g(x, 3)\n", "python")
