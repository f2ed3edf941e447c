"""What small models are asked for, and that their prompts stay short."""

import asyncio
import random

import pytest

from breeder.core import Direction, Elite, Evaluation, Objective, Program
from breeder.proposers.llm.editing import AnswerEditing
from breeder.proposers.llm.ensemble import Ensemble
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.member import MemberSettings
from breeder.proposers.llm.proposer import Manner
from breeder.proposers.llm.scripted_model import ScriptedModel
from breeder.proposers.llm.task_briefing import SMALL_PROMPT, BriefingOptions, TaskBriefing
from breeder.proposers.llm.team import Team
from breeder.proposers.llm.tokens import estimate_prompt
from breeder.proposers.proposer import Draw, Grammar

SHORT = "def near(distance):\n    value = distance + 1.0\n    return value\n"
LONG = (
    "def far(distance):\n" + "    distance = distance * 2.0 + 1.0\n" * 100 + "    return distance\n"
)
FACTS = TaskFacts(
    "toy",
    "Rate distances.",
    {"a.py": SHORT},
    Grammar({"a.py": "python"}),
    (Objective("score", Direction.MAXIMIZE),),
)


def program(code: str) -> Draw:
    text = f"# EVOLVE-BLOCK-START\n{code}# EVOLVE-BLOCK-END\n"
    parent = Elite(Program("p", {"a.py": text}), Evaluation(), 0.0)
    return Draw(parent, (), random.Random(1), 0.0)


def short_forms(code: str, **options: int) -> set[str]:
    briefing = TaskBriefing(FACTS, BriefingOptions(**options))
    return {"expression", "small"} & set(briefing.forms(program(code)))


def test_only_what_fits_is_offered_to_a_small_model() -> None:
    assert "small" in short_forms(SHORT)
    assert short_forms(LONG) == set()
    assert short_forms(SHORT + LONG) == short_forms(SHORT)
    assert short_forms(SHORT, small_tokens=300) == set()
    assert short_forms("value = 1.0\n") == {"small"}
    assert short_forms("value = [\n" + "    1.0,\n" * 1000 + "]\n") == set()


@pytest.mark.parametrize("form", ["expression", "small"])
def test_a_small_prompt_never_shows_the_long_function(form: str) -> None:
    briefing = TaskBriefing(FACTS)
    for seed in range(10):
        draw = program(SHORT + LONG)
        draw.rng.seed(seed)
        prompt = briefing.brief(draw, form).prompt
        assert "near" in prompt.text
        assert "far" not in prompt.text
        assert estimate_prompt(prompt) < SMALL_PROMPT


@pytest.mark.parametrize(("code", "requests"), [(SHORT, 1), (LONG, 0)])
def test_a_small_model_is_not_asked_where_nothing_fits(code: str, requests: int) -> None:
    async def ask() -> int:
        model = ScriptedModel([""], name="m")
        seats = [(model, MemberSettings())]
        team = Team(
            Ensemble(seats), TaskBriefing(FACTS), AnswerEditing(FACTS),
            lambda name, role: Manner(1, small=True, wait=True),
        )  # fmt: skip
        (arm,) = team.proposers
        assert await arm.propose(program(code)) is None
        await team.close()
        return len(model.asked)

    assert asyncio.run(ask()) == requests
