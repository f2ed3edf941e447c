"""What small models are asked for, and that their prompts stay short."""

import asyncio
import random

import pytest
from tests.proposers.llm.gbnf import Gbnf

from breeder.core import Direction, Elite, Evaluation, Objective, Placement, Program
from breeder.proposers.llm.editing import AnswerEditing
from breeder.proposers.llm.ensemble import Ensemble
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.forms import HELD
from breeder.proposers.llm.member import MemberSettings
from breeder.proposers.llm.model import Answer
from breeder.proposers.llm.proposer import Manner
from breeder.proposers.llm.samples import Sample
from breeder.proposers.llm.scripted_model import ScriptedModel
from breeder.proposers.llm.task_briefing import SMALL_PROMPT, BriefingOptions, TaskBriefing
from breeder.proposers.llm.team import Team
from breeder.proposers.llm.tokens import estimate_prompt
from breeder.proposers.llm.verdicts import Reason
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal

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


FOLD = """\
def mean(values):
    total = 0.0
    for index in range(len(values)):
        total += values[index]
    return total / len(values)
"""


@pytest.mark.parametrize("form", ["small", "diff"])
def test_answers_can_be_held_to_the_form_that_is_asked_for(form: str) -> None:
    briefing, draw = TaskBriefing(FACTS), program(SHORT)
    assert form + HELD in briefing.forms(draw)
    plain, held = briefing.brief(draw, form), briefing.brief(draw, form + HELD)
    assert (plain.form, plain.prompt.grammar) == (form, "")
    assert held.form == form + HELD
    files, rng = dict(draw.parent.program.files), random.Random(5)
    gbnf, editing = Gbnf.read(held.prompt.grammar), AnswerEditing(FACTS)
    for _ in range(10):
        answer = Answer(held.prompt.prefill + gbnf.derive(rng))
        edit = editing.edit(answer, files, held.form)
        # Random lines need not parse; they have one place, though.
        assert edit.reason not in (Reason.NOT_FOUND, Reason.AMBIGUOUS, Reason.MALFORMED)
        assert edit.files or form == "diff"


def test_a_loop_is_asked_for_as_functions_of_its_slice() -> None:
    briefing, draw = TaskBriefing(FACTS), program(FOLD)
    assert "reduction" in briefing.forms(draw)
    assert "reduction" not in briefing.forms(program(SHORT))
    brief = briefing.brief(draw, "reduction")
    answer = Answer(brief.prompt.prefill + Gbnf.read(brief.prompt.grammar).derive(draw.rng))
    assert AnswerEditing(FACTS).edit(answer, dict(draw.parent.program.files), brief.form).files
    assert briefing.brief(program(SHORT), "reduction").form == "small"


def test_the_direction_that_pays_is_asked_for_more_often() -> None:
    briefing, draw = TaskBriefing(FACTS), program(SHORT)
    draw.rng.seed(2)
    ways = []
    for _ in range(60):
        brief = briefing.brief(draw, "expression")
        way = brief.credit["idea"][-1]
        assert brief.prompt.prefill.endswith("-(") == (way == "-")
        ways.append(way)
        sample = Sample({}, ("p",), 0.0, credit=dict(brief.credit))
        made = Proposal({}, ("p",))
        outcome = Outcome(made, Evaluation({"score": 0.0}), 0.0, 0.0, Placement.REJECTED)
        briefing.learn(sample, outcome, 1.0 if way == "-" else 0.0)
    assert ways[30:].count("-") > 20
    assert "+" in ways
