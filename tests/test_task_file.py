import dataclasses

import pytest

from breeder.core import Limits
from breeder.errors import TaskError
from breeder.task_file import LimitsSection, mistakes, parse

VALID = """
[task]
name = "a"
goal = "b"
[program]
files = ["x.py"]
[[objective]]
name = "score"
direction = "maximize"
"""


def only(text: str) -> str:
    found = mistakes(text)
    assert len(found) == 1
    return str(found[0])


def test_a_valid_file_has_no_mistakes() -> None:
    assert mistakes(VALID) == ()
    assert parse(VALID).objective[0].name == "score"


@pytest.mark.parametrize(
    ("addition", "line"),
    [
        ("[limits]\ncpu_second = 3", "limits.cpu_second: unknown key; did you mean 'cpu_seconds'?"),
        ("[budget]\nminutes = 0", "budget.minutes: input should be greater than 0 (got 0)"),
        ("[budget]\nminutes = inf", "budget.minutes: input should be a finite number (got inf)"),
        ('[budget]\nevaluations = "many"', "budget.evaluations: input should be a valid integer"),
        ("[objektive]", "objektive: unknown key; did you mean 'objective'?"),
        ('[[stage]]\nname = "s"\nat_most = 1', "stage.0: a threshold needs the name of its metric"),
        ('[[stage]]\nname = "s"\nmetric = "m"', "stage.0: a threshold on a metric needs at_least"),
        (
            '[[stage]]\nname = "s"\npromote = 0.5',
            "stage.0: promote needs either at_least or at_most",
        ),
        ('[[constraint]]\nmetric = "m"', "constraint.0: a constraint needs at_least or at_most"),
        (
            '[[feature]]\nname = "f"\nlow = 2\nhigh = 1',
            "feature.0: low must be below high",
        ),
        (
            '[[feature]]\nname = "f"\nlow = 0\nhigh = 1\nlog = true',
            "feature.0: a logarithmic feature needs low above 0",
        ),
        (
            '[[stage]]\nname = "s"\n[[stage]]\nname = "s"',
            "stage 's' appears twice",
        ),
        (
            '[[objective]]\nname = "o"\ndirection = "up"',
            "objective.1.direction: input should be 'maximize' or 'minimize' (got 'up')",
        ),
        (
            '[[objective]]\nname = "o"\ndirection = "minimize"\nweight = -1',
            "objective.1.weight: input should be greater than 0 (got -1)",
        ),
        ('[feature]\nname = "f"', "feature: is a table, but a list is needed; write [[feature]]"),
    ],
)
def test_a_mistake_is_one_line_with_its_key(addition: str, line: str) -> None:
    assert line in only(VALID + addition)
    assert "\n" not in only(VALID + addition)


def test_every_mistake_is_told() -> None:
    text = VALID.replace('goal = "b"', "") + "[limits]\nzzz = 1\nmemory_mib = 1\n"
    assert [error.key for error in mistakes(text)] == [
        "task.goal",
        "limits.memory_mib",
        "limits.zzz",
    ]


def test_an_unknown_key_like_no_other_lists_the_known_ones() -> None:
    assert "known here: carry" in only(VALID + "[construction]\nqqqq = 1\n")


def test_function_names_are_the_users_own_but_their_keys_are_checked() -> None:
    text = VALID + "[program.functions.f]\nargumets = []\n"
    assert "program.functions.f.argumets: unknown key; did you mean 'arguments'?" in only(text)


def test_broken_toml_names_the_line() -> None:
    assert "task.toml: is not valid TOML" in only("[task\n")
    with pytest.raises(TaskError, match="line 1"):
        parse("[task\n")


def test_limits_agree_with_the_plain_value_that_sandboxes_take() -> None:
    assert LimitsSection().limits() == Limits()
    names = {field.name for field in dataclasses.fields(Limits)}
    assert set(LimitsSection.model_fields) - names == {"evaluator_seconds"}
