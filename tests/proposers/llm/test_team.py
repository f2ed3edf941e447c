"""Models in the background: slots stay busy, budgets hold, what is paid for is used."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.malformed.campaign import (
    MODEL,
    Script,
    counting,
    engine_of,
    good,
    model_of,
    play,
    team_of,
    toy,
)
from tests.proposers.llm.gated import GatedModel, MeteredModel

from breeder.archive.store import Store
from breeder.core import Budget, Elite, Evaluation, Placement, Program
from breeder.proposers.exchange import Exchange
from breeder.proposers.llm.member import MemberSettings
from breeder.proposers.llm.model import (
    Answer,
    LossKind,
    ModelError,
    Prompt,
    Reply,
    Sampling,
    Usage,
)
from breeder.proposers.llm.proposer import FIRST_SAMPLES, STAGNANT, LLMProposer, Manner
from breeder.proposers.llm.record import read_record
from breeder.proposers.llm.samples import Sample
from breeder.proposers.llm.scripted_model import Asked, ScriptedModel
from breeder.proposers.llm.settings import Prices
from breeder.proposers.llm.team import Team
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Draw, Outcome, Proposal
from breeder.task import Task


class HangingModel:
    """Never answers; knows how many requests were cancelled."""

    name, role = "m", "fast"

    def __init__(self) -> None:
        self.asked = 0
        self.cancelled = 0

    async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
        self.asked += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        raise AssertionError

    async def close(self) -> None: ...


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return toy(tmp_path / "task")


def proposers(store: Store) -> list[str]:
    return [store.program(row.program_id).proposer for row in store.evaluations()]


def test_a_hanging_endpoint_keeps_no_slot_waiting(task: Task, tmp_path: Path) -> None:
    model, budget = HangingModel(), Budget(evaluations=80)

    async def play_hanging() -> tuple[str, Team, list[str]]:
        team = team_of(task, (model, MemberSettings(concurrency=2)), budget=budget, manner=Manner())
        engine = engine_of(task, tmp_path / "run", team, counting(), budget=budget, slots=2)
        reason = await engine.run()
        await team.close()
        return reason, team, proposers(engine.parts.store)

    reason, team, made = asyncio.run(play_hanging())
    assert reason == "budget used: evaluations"
    assert made == ["initial", *["scripted"] * 79]
    # No more requests than the model may have under way, and none survives the run.
    assert model.asked == model.cancelled == 2
    # A prompt that was read counts although its answer was not awaited.
    assert team.ensemble.spending.spent.prompt_tokens > 0


def test_models_alone_are_waited_for(task: Task, tmp_path: Path) -> None:
    async def play_alone() -> tuple[str, list[str]]:
        budget = Budget(evaluations=12)
        model = GatedModel(Script((), 0.0))
        team = team_of(task, (model, MemberSettings()), budget=budget, manner=Manner())
        engine = engine_of(task, tmp_path / "run", team, budget=budget, slots=2)
        asyncio.get_running_loop().call_later(0.05, model.gate.set)
        reason = await engine.run()
        await team.close()
        assert engine.progress.discards["mixture", "none"] < 20
        return reason, proposers(engine.parts.store)

    reason, made = asyncio.run(play_alone())
    assert reason == "budget used: evaluations"
    assert made == ["initial", *[MODEL] * 11]


def test_a_run_waits_for_the_first_answer_of_a_model_on_this_machine(
    task: Task, tmp_path: Path
) -> None:
    async def play_slow() -> tuple[str, list[str]]:
        budget = Budget(evaluations=60)
        model = GatedModel(Script((), 0.0))
        manner = Manner(8, local=True)
        team = team_of(task, (model, MemberSettings(concurrency=1)), budget=budget, manner=manner)
        engine = engine_of(task, tmp_path / "run", team, counting(), budget=budget, slots=2)
        mixture = Mixture([counting(), *team.proposers], exchange=Exchange(budget))
        engine.parts = replace(engine.parts, mixture=mixture)
        asyncio.get_running_loop().call_later(0.5, model.gate.set)
        reason = await engine.run()
        await team.close()
        # The first request is a short one.
        assert [asked.count for asked in model.asked][:2] == [FIRST_SAMPLES, 8]
        return reason, proposers(engine.parts.store)

    reason, made = asyncio.run(play_slow())
    assert reason == "budget used: evaluations"
    assert made.count(MODEL) >= FIRST_SAMPLES
    assert MODEL not in made[:40]


def test_a_model_on_this_machine_is_asked_for_nothing_in_advance(task: Task) -> None:
    async def draw_often() -> list[int]:
        model = model_of(Script((), 0.0))
        manner = Manner(8, local=True)
        team = team_of(task, model, budget=Budget(), manner=manner)
        (arm,) = team.proposers
        parent = Elite(Program("p", dict(task.files)), Evaluation({"score": 0.0}), 0.0)
        stock = []
        for number in range(20):
            await arm.propose(Draw(parent, (), random.Random(number), 0.0))
            await asyncio.sleep(0)
            await arm.ready()
            stock.append(arm.buffered())
        await team.close()
        return stock

    stock = asyncio.run(draw_often())
    # Four programs, one by one, then eight: asked for when the shelf was found empty.
    assert stock[:14] == [4, 3, 2, 1, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_what_a_request_under_way_computes_counts_at_once_and_only_once(task: Task) -> None:
    async def compute() -> list[float]:
        model = MeteredModel(Script((), 0.0))
        team = team_of(
            task, (model, MemberSettings()), budget=Budget(), manner=Manner(4, local=True)
        )
        team.warm()
        (arm,) = team.proposers
        parent = Elite(Program("p", dict(task.files)), Evaluation({"score": 0.0}), 0.0)
        await arm.propose(Draw(parent, (), random.Random(0), 0.0))
        await asyncio.sleep(0)
        assert model.warmed == 1
        seen = [team.settle().cost.cpu_seconds]
        for used in (2.0, 5.0):
            model.used = used
            seen.append(team.settle().cost.cpu_seconds)
        await team.halt()  # no answer ever comes
        seen.append(team.settle().cost.cpu_seconds)
        assert team.record().models[0].cpu_seconds == 5.0
        await team.close()
        return seen

    assert asyncio.run(compute()) == [0.0, 2.0, 3.0, 0.0]


@pytest.mark.parametrize("limit", ["tokens", "currency"])
def test_a_used_up_budget_ends_the_run_and_what_is_paid_for_is_evaluated(
    task: Task, tmp_path: Path, limit: str
) -> None:
    prices = Prices(prompt=1e3, answer=1e3)  # a token costs 0.001
    used = Usage(prompt_tokens=900, answer_tokens=100, currency=1.0)

    def script(asked: Asked) -> Reply:
        first = 1 + 4 * len(model.asked)
        return Reply(tuple(Answer(good(first + i)) for i in range(asked.count)), used)

    model = ScriptedModel(script, name="m")
    most = 100_000 if limit == "tokens" else 100.0
    budget = Budget(evaluations=5000, **{limit: most})  # type: ignore[arg-type]
    settings = MemberSettings(max_tokens=100, prices=prices)
    team = team_of(task, (model, settings), budget=budget, manner=Manner(4, wait=True))
    engine = engine_of(task, tmp_path / "run", team, counting(), budget=budget)
    assert asyncio.run(engine.run()) == f"budget used: {limit}"
    spent = team.ensemble.spending
    in_all = spent.spent_tokens if limit == "tokens" else spent.spent.currency
    assert 0.5 * most < in_all <= most
    cost = engine.parts.ledger.search_cost()
    assert (cost.tokens, cost.currency) == (spent.spent_tokens, pytest.approx(spent.spent.currency))
    assert team.buffered() == 0
    assert engine.parts.ledger.evaluations < 5000


def test_an_outage_is_said_and_ends_nothing(task: Task, tmp_path: Path) -> None:
    model = ScriptedModel([ModelError(LossKind.CONNECTION, "refused")], name="m")
    budget = Budget(evaluations=80)
    team = team_of(task, (model, MemberSettings()), budget=budget, manner=Manner(4, wait=True))
    engine = engine_of(task, tmp_path / "run", team, counting(), budget=budget)
    assert asyncio.run(engine.run()) == "budget used: evaluations"
    assert len(model.asked) == 5  # then the breaker lets it rest
    assert team.outage() == "no model answers; next try in 20 s"
    assert team.record().models[0].losses == {"connection": 5}


def test_equal_seeds_and_one_slot_give_equal_runs(task: Task, tmp_path: Path) -> None:
    kinds = ("prose", "500", "truncated")
    first = asyncio.run(play(task, tmp_path / "a", kinds, rate=0.3))
    second = asyncio.run(play(task, tmp_path / "b", kinds, rate=0.3))
    assert first == second
    assert first.by_model > 5


def test_a_stop_forgets_nothing_that_was_paid_for(task: Task, tmp_path: Path) -> None:
    budget = Budget(evaluations=30)
    script = Script((), 0.0)
    team = team_of(task, model_of(script), budget=budget, manner=Manner(16, wait=True))
    engine = engine_of(task, tmp_path / "run", team, counting(), budget=budget)
    asyncio.run(engine.run())
    store = engine.parts.store
    before = team.ensemble.spending.spent
    assert before.prompt_tokens > 0
    again = team_of(task, model_of(Script((), 0.0)), budget=budget, manner=Manner(16, wait=True))
    again.restore({key: store.state(key) for key in again.state()})
    for proposer in again.proposers:
        proposer.restore(store.state(f"proposer:{proposer.name}"))
    assert again.ensemble.spending.spent == before
    assert again.settle().cost.tokens == before.prompt_tokens + before.answer_tokens
    assert again.settle().cost.tokens == 0
    assert again.buffered() == team.buffered() > 0
    assert again.state() == team.state()
    record = read_record(store.state("models"))
    assert record == team.record()
    assert 0.5 < record.prefix_share < 1.0
    assert sum(form.answers for form in record.models[0].forms.values()) == record.models[0].answers


def test_the_record_tolerates_what_is_none() -> None:
    assert read_record(b"") is None
    assert read_record(b"\xff") is None
    assert read_record(msgspec.msgpack.encode({"models": 3})) is None


def test_deep_models_get_their_turn_when_the_parents_cell_stagnates(task: Task) -> None:
    budget = Budget()
    seats = [
        (ScriptedModel([""], name=name, role=role), MemberSettings())
        for name, role in (("quick", "fast"), ("slow", "deep"))
    ]
    team = team_of(task, *seats, budget=budget, manner=Manner())
    fast, deep = team.proposers
    assert isinstance(fast, LLMProposer)
    parent = Elite(Program("p", dict(task.files)), Evaluation({"score": 0.0}), 0.0)
    fresh = Draw(parent, (), random.Random(0), 0.0)
    stale = Draw(parent, (), random.Random(0), 0.0, children=STAGNANT)
    assert deep.weight(fresh) < fast.weight(fresh) == fast.weight(stale) < deep.weight(stale)


def test_a_form_whose_answers_are_all_there_already_brings_nothing(task: Task) -> None:
    seat = (ScriptedModel([""], name="m", role="fast"), MemberSettings())
    team = team_of(task, seat, budget=Budget(), manner=Manner())
    (model,) = team.proposers
    sample = Sample(dict(task.files), ("p",), 0.0, form="block")
    proposal = Proposal(sample.files, sample.parents, ticket=sample)
    before = msgspec.msgpack.decode(model.state())["forms"]["block"]
    model.learn(Outcome(proposal, None, None, 0.0, Placement.REJECTED))
    after = msgspec.msgpack.decode(model.state())["forms"]["block"]
    # Applied, refused, reward, programs: one more that brought no reward.
    assert (before[2:4], after[2:4]) == ([0.0, 0.0], [0.0, 1.0])
