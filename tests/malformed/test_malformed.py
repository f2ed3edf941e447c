"""Nonsense costs tokens, never evaluations; every piece of it is counted by name."""

import asyncio
from pathlib import Path

import pytest

from breeder.core import Budget
from breeder.errors import ConfigError
from breeder.proposers.llm.proposer import Manner
from breeder.task import Task
from tests.malformed.answers import ANSWERS, FATAL, LOSSES
from tests.malformed.campaign import (
    Script,
    counting,
    engine_of,
    model_of,
    play,
    team_of,
    toy,
)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return toy(tmp_path / "task")


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_is_always_the_same_nonsense_costs_no_evaluation(
    task: Task, tmp_path: Path, kind: str
) -> None:
    outcome = asyncio.run(play(task, tmp_path / "run", (kind,)))
    assert outcome.reason == "budget used: evaluations"
    assert (outcome.evaluations, outcome.by_model, outcome.wasted) == (60, 0, 0)
    # Four answers a request, and one more for each that was shown its mistake.
    # The start's own text is a duplicate where another program is the parent.
    assert set(outcome.refused) - {"duplicate"} == {ANSWERS[kind][1]}
    assert sum(outcome.refused.values()) >= outcome.sent[kind] > 0
    assert outcome.tokens > 0
    assert not outcome.lost


@pytest.mark.parametrize("kind", LOSSES)
def test_a_request_that_always_fails_costs_no_evaluation(
    task: Task, tmp_path: Path, kind: str
) -> None:
    outcome = asyncio.run(play(task, tmp_path / "run", (kind,)))
    assert outcome.reason == "budget used: evaluations"
    assert (outcome.evaluations, outcome.by_model, outcome.wasted) == (60, 0, 0)
    assert outcome.lost == {LOSSES[kind][0].value: outcome.sent[kind]}
    assert not outcome.refused


def test_a_mix_with_a_third_of_nonsense_loses_none_of_the_evaluations(
    task: Task, tmp_path: Path
) -> None:
    kinds = (*ANSWERS, *LOSSES)
    outcome = asyncio.run(play(task, tmp_path / "run", kinds, rate=0.3, evaluations=150))
    assert outcome.reason == "budget used: evaluations"
    assert outcome.evaluations == 150
    assert outcome.by_model > 20
    assert outcome.wasted == 0
    losses = sum(n for kind, n in outcome.sent.items() if kind in LOSSES)
    assert sum(outcome.lost.values()) == losses > 0
    answered = {ANSWERS[kind][1] for kind in outcome.sent if kind in ANSWERS}
    assert answered <= set(outcome.refused)


@pytest.mark.parametrize("kind", FATAL)
def test_a_wrong_key_or_model_name_ends_the_run_at_once(
    task: Task, tmp_path: Path, kind: str
) -> None:
    script, budget = Script((kind,), 1.0), Budget(evaluations=60)
    team = team_of(task, model_of(script), budget=budget, manner=Manner(4, wait=True))
    engine = engine_of(task, tmp_path / "run", team, counting(), budget=budget)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(engine.run())
    assert str(caught.value) == FATAL[kind][1]
    assert caught.value.exit_code == 2
    assert script.sent[kind] == 1
    assert engine.parts.ledger.evaluations < 10
