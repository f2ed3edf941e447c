"""What a model on this machine may compute: nothing that the rest of a run does not carry."""

import asyncio
import math
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.malformed.campaign import (
    MODEL,
    Script,
    counting,
    engine_of,
    team_of,
    toy,
)
from tests.proposers.llm.gated import MeteredModel
from tests.proposers.llm.timing import MadeUpTime

from breeder.core import Budget, Elite, Evaluation, Program
from breeder.proposers.llm.allowance import SHARE
from breeder.proposers.llm.member import Member, MemberSettings
from breeder.proposers.llm.model import LossKind, ModelError, Prompt, Sampling
from breeder.proposers.llm.proposer import Manner
from breeder.proposers.llm.scripted_model import ScriptedModel
from breeder.proposers.llm.spending import Spending
from breeder.proposers.proposer import Draw
from breeder.task import Task

FIRST = 6.0  # CPU seconds that a first request is expected to take
PROMPT, SAMPLING = Prompt(("p",)), Sampling(max_tokens=10)


@dataclass
class Run:
    """A member on a budget that is turned by hand."""

    left: float
    model: MeteredModel = field(default_factory=lambda: MeteredModel(Script((), 0.0)))

    def __post_init__(self) -> None:
        spending = Spending()
        spending.seconds_left = lambda: self.left
        settings = MemberSettings(concurrency=1, first=FIRST)
        timing = MadeUpTime().timing()
        self.member = Member(self.model, settings, spending=spending, timing=timing)

    async def answer(self, cpu_seconds: float) -> None:
        """One request that takes so long and is answered."""
        self.model.gate.set()
        self.model.used += cpu_seconds
        self.left -= cpu_seconds
        await self.member.sample(PROMPT, SAMPLING)

    async def begin(self) -> "asyncio.Task[object]":
        """A request that is under way."""
        self.model.gate.clear()
        request = asyncio.ensure_future(self.member.sample(PROMPT, SAMPLING))
        for _ in range(3):
            await asyncio.sleep(0)
        return request


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return toy(tmp_path / "task")


def test_a_first_request_needs_its_share_of_what_is_left() -> None:
    run = Run(FIRST / SHARE + 0.1)
    assert run.member.available()
    assert run.member.allowance.shortage() == ""
    run.left = 15.0
    assert not run.member.available()
    assert run.member.allowance.shortage() == (
        "a first request may take 6 CPU seconds, too much for the 15 seconds left"
    )
    run.left = math.inf  # no limit on time
    assert run.member.available()


def test_models_elsewhere_are_always_affordable() -> None:
    spending = Spending()
    spending.seconds_left = lambda: 0.0
    member = Member(ScriptedModel(["x"]), MemberSettings(first=FIRST), spending=spending)
    assert member.available()
    assert member.allowance.in_reach()


def test_what_requests_cost_is_learned() -> None:
    async def ask() -> None:
        run = Run(100.0)
        await run.answer(10.0)
        run.left = 20.0 / SHARE - 10.0 - 0.1  # what it used counts
        assert not run.member.available()
        run.left = 20.0 / SHARE - 10.0 + 0.1
        assert run.member.available()
        await run.answer(4.0)
        run.left = 21.0 / SHARE - 14.0 + 0.1
        assert run.member.available()
        assert run.member.allowance.shortage() == ""
        run.left = 21.0 / SHARE - 14.0 - 0.1
        assert not run.member.available()
        assert run.member.allowance.shortage() == ""  # it has had its word

    asyncio.run(ask())


def test_a_request_that_takes_more_than_its_share_is_ended_and_was_the_last() -> None:
    async def ask() -> None:
        run = Run(40.0)
        request = await run.begin()
        run.model.used = 13.0
        run.left -= run.model.used
        run.member.allowance.curb()
        await asyncio.sleep(0)
        assert not request.done()
        assert run.member.allowance.shortage() == ""  # it is being asked
        run.model.used += 0.5
        run.member.allowance.curb()
        run.member.allowance.curb()
        with pytest.raises(ModelError, match=r"no answer within 13\.3 CPU seconds"):
            await request
        tally = run.member.tally
        assert tally.losses == {LossKind.TIMEOUT: 1}
        assert tally.usage.cpu_seconds == 13.5
        assert not run.member.available()
        assert run.model.asked == []

    asyncio.run(ask())


def test_a_request_that_is_cancelled_was_not_ended_by_its_share() -> None:
    async def ask() -> None:
        run = Run(40.0)
        request = await run.begin()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        run.member.allowance.curb()
        assert run.member.tally.losses == {}
        assert run.member.available()

    asyncio.run(ask())


def test_what_the_budget_does_not_carry_is_out_of_reach() -> None:
    async def ask() -> None:
        run = Run(40.0)
        request = await run.begin()
        run.left = 5.0
        assert not run.member.allowance.in_reach()
        run.model.used = 2.0
        assert run.member.allowance.in_reach()
        request.cancel()

    asyncio.run(ask())


@pytest.mark.parametrize("wait", [True, False])
def test_a_short_run_neither_loads_nor_asks_nor_waits(
    task: Task, tmp_path: Path, wait: bool
) -> None:
    async def play() -> None:
        budget = Budget(evaluations=30, minutes=1)
        model, manner = MeteredModel(Script((), 0.0)), Manner(8, wait=wait, local=True)
        seat = (model, MemberSettings(concurrency=1, first=20.0))
        team = team_of(task, seat, budget=budget, manner=manner)
        engine = engine_of(task, tmp_path / "run", team, counting(), budget=budget)
        team.ensemble.spending.seconds_left = engine.parts.ledger.seconds_left
        team.warm()
        (arm,) = team.proposers
        assert not arm.on_trial()
        assert await engine.run() == "budget used: evaluations"
        assert (model.warmed, model.asked, arm.awaited()) == (0, [], False)
        assert team.outage().startswith("m is not asked: a first request may take 20 CPU seconds")
        rows = engine.parts.store.evaluations()
        assert MODEL not in {engine.parts.store.program(row.program_id).proposer for row in rows}
        await team.close()

    asyncio.run(play())


def test_evaluations_wait_only_for_what_is_in_reach_and_settling_ends_the_rest(task: Task) -> None:
    async def play() -> None:
        left = [40.0]
        model, manner = MeteredModel(Script((), 0.0)), Manner(8, local=True)
        seat = (model, MemberSettings(concurrency=1, first=FIRST))
        team = team_of(task, seat, budget=Budget(), manner=manner)
        team.ensemble.spending.seconds_left = lambda: left[0]
        (arm,) = team.proposers
        parent = Elite(Program("p", dict(task.files)), Evaluation({"score": 0.0}), 0.0)
        await arm.propose(Draw(parent, (), random.Random(0), 0.0))
        await asyncio.sleep(0)
        assert arm.awaited()
        left[0] = 4.0
        assert not arm.awaited()
        model.used = 13.5
        assert team.settle().cost.cpu_seconds == 13.5
        await arm.ready()
        assert not arm.awaited()
        assert arm.record().losses == {LossKind.TIMEOUT: 1}
        assert team.settle().cost.cpu_seconds == 0.0
        await team.close()

    asyncio.run(play())


def test_answers_that_come_in_time_are_used(task: Task) -> None:
    async def play() -> list[str]:
        model = MeteredModel(Script((), 0.0))
        seat = (model, MemberSettings(concurrency=1, first=FIRST))
        team = team_of(task, seat, budget=Budget(), manner=Manner(2, local=True))
        team.ensemble.spending.seconds_left = lambda: 40.0
        (arm,) = team.proposers
        parent = Elite(Program("p", dict(task.files)), Evaluation({"score": 0.0}), 0.0)
        draw = Draw(parent, (), random.Random(0), 0.0)
        await arm.propose(draw)
        model.gate.set()
        await arm.ready()
        team.settle()
        proposal = await arm.propose(draw)
        await team.close()
        assert proposal is not None
        return list(proposal.files.values())

    (text,) = asyncio.run(play())
    assert "return 2" in text or "return 1" in text
