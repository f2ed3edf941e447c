import asyncio
import random

import pytest
from tests.proposers.llm.timing import MadeUpTime

from breeder.core import Budget
from breeder.errors import ConfigError
from breeder.proposers.llm.ensemble import Ensemble
from breeder.proposers.llm.member import FREE, MemberSettings
from breeder.proposers.llm.model import (
    Answer,
    LossKind,
    ModelError,
    Prompt,
    Reply,
    Sampling,
    Usage,
)
from breeder.proposers.llm.scripted_model import Asked, Line, ScriptedModel
from breeder.proposers.llm.settings import Prices
from breeder.proposers.llm.spending import Bound, Spending

PROMPT = Prompt(("p" * 400,))
PRICES = Prices(prompt=1000.0, cached=100.0, answer=3000.0)


class Costly(ScriptedModel):
    """Reports as much as a request can come to at most, or some part of it."""

    def __init__(self, seed: int, name: str = "costly", density: float = 0.5) -> None:
        super().__init__(self.reply, name=name)
        self._rng = random.Random(seed)
        self._density = density

    async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
        for _ in range(self._rng.randrange(5)):
            await asyncio.sleep(0)
        return await super().sample(prompt, sampling, count=count)

    def reply(self, asked: Asked) -> Line:
        prompt = int(len(asked.prompt.text) * self._density)
        answer = self._rng.choice([0.1, 0.5, 1.0]) * asked.count * asked.sampling.max_tokens
        usage = Usage(prompt, 0, int(answer))
        price = PRICES.of(usage)
        usage = Usage(prompt, 0, int(answer), price)
        return Reply((Answer("x"),) * asked.count, usage)


async def use_up(ensemble: Ensemble, workers: int) -> list[ModelError]:
    ends: list[ModelError] = []

    async def work(number: int) -> None:
        members = list(ensemble.members.values())
        while True:
            try:
                one = members[number % len(members)]
                await one.sample(PROMPT, Sampling(max_tokens=200), count=4)
            except ModelError as error:
                ends.append(error)
                return

    await asyncio.gather(*(work(number) for number in range(workers)))
    return ends


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("budget", [Budget(tokens=20_000), Budget(currency=30.0)])
def test_concurrent_requests_never_overrun_a_limit_and_use_nearly_all(
    seed: int, budget: Budget
) -> None:
    seats = [(Costly(seed + i, f"m{i}"), MemberSettings(prices=PRICES)) for i in range(2)]
    ensemble = Ensemble(seats, budget)
    ends = asyncio.run(use_up(ensemble, 9))
    spending = ensemble.spending
    used = spending.spent_tokens if budget.tokens else spending.spent.currency
    limit = budget.tokens or budget.currency or 0
    assert 0.95 * limit <= used <= limit
    assert [end.kind for end in ends] == [LossKind.BUDGET] * 9
    assert ensemble.exhausted() == ("tokens" if budget.tokens else "currency")
    assert ensemble.losses() == {}
    assert sum(tally.usage.answer_tokens for tally in ensemble.tallies().values()) == (
        spending.spent.answer_tokens
    )


def test_a_refusal_says_what_is_left() -> None:
    ensemble = Ensemble([(Costly(0), MemberSettings())], Budget(tokens=300))
    (end,) = asyncio.run(use_up(ensemble, 1))
    assert str(end) == "budget: tokens: 300 left, the request may need 632"
    assert ensemble.spending.spent == Usage()


def test_a_request_waits_for_what_others_may_not_need() -> None:
    async def run() -> None:
        spending = Spending(tokens=100)
        order: list[str] = []

        async def second() -> None:
            async with await spending.reserve(lambda n: Bound(60, 0.0), 1) as held:
                order.append("second")
                held.settle(Usage(60))

        async with await spending.reserve(lambda n: Bound(80, 0.0), 1) as held:
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0)
            order.append("first")
            held.settle(Usage(40))
        await waiting
        assert order == ["first", "second"]
        assert (spending.spent_tokens, spending.reached()) == (100, "tokens")

    asyncio.run(run())


def test_fewer_answers_are_drawn_when_no_more_are_covered() -> None:
    async def run() -> int:
        spending = Spending(currency=1.0)
        async with await spending.reserve(lambda n: Bound(0, 0.3 * n), 8) as held:
            return held.count

    assert asyncio.run(run()) == 3


def test_every_settlement_is_told() -> None:
    told: list[int] = []
    ensemble = Ensemble([(ScriptedModel(["x"], usage=Usage(10, 0, 5)), MemberSettings())])
    ensemble.spending.on_settle = lambda: told.append(ensemble.spending.spent_tokens)
    member = ensemble.members["scripted"]
    for _ in range(2):
        asyncio.run(member.sample(PROMPT, Sampling()))
    assert told == [15, 30]
    ensemble.spending.tokens = 1_000_000
    asyncio.run(member.sample(PROMPT, Sampling()))
    assert told == [15, 30, 30, 45], "under a limit also before a request"


def test_requests_of_a_killed_sitting_count_in_full() -> None:
    states: list[bytes] = []

    def sitting(state: bytes = b"") -> Ensemble:
        model = ScriptedModel(["x"], usage=Usage(400, 0, 100))
        ensemble = Ensemble([(model, MemberSettings())], Budget(tokens=2000))
        ensemble.restore(state)
        ensemble.spending.on_settle = lambda: states.append(ensemble.state())
        return ensemble

    first = sitting()
    asyncio.run(first.members["scripted"].sample(PROMPT, Sampling(max_tokens=600)))
    under_way, settled = states
    killed, stopped = sitting(under_way), sitting(settled)
    assert killed.spending.outstanding.tokens == 400 + 32 + 600
    assert (killed.spending.spent_tokens, stopped.spending.spent_tokens) == (0, 500)
    assert stopped.spending.outstanding.tokens == 0
    (end,) = asyncio.run(use_up(killed, 1))
    assert end.detail.startswith("tokens: ")
    assert killed.spending.spent_tokens <= 2000 - 1032
    assert killed.exhausted() == "tokens"
    assert sitting(killed.state()).spending.outstanding.tokens == 1032


def test_a_resumed_run_remembers_what_was_spent_and_lost() -> None:
    script: list[Line] = [ModelError(LossKind.SERVER, "503"), "x"]
    usage = Usage(10, 4, 5, 0.25)

    def sitting(budget: Budget) -> Ensemble:
        model = ScriptedModel(script, usage=usage)
        settings = MemberSettings(prices=PRICES)
        return Ensemble([(model, settings)], budget, timing=MadeUpTime().timing())

    first = sitting(Budget(currency=100.0))
    asyncio.run(first.members["scripted"].sample(PROMPT, Sampling(max_tokens=10)))
    second = sitting(Budget(currency=0.25))
    second.restore(b"")
    assert second.exhausted() == ""
    second.restore(first.state())
    assert second.spending.spent == usage
    assert second.losses() == {LossKind.SERVER: 1}
    assert second.exhausted() == "currency"
    assert second.available() == ()
    assert second.state() == first.state()
    third = Ensemble([(ScriptedModel(["x"], name="other"), MemberSettings(prices=FREE))])
    third.restore(first.state())
    assert third.spending.spent == usage


def test_a_budget_in_currency_needs_prices() -> None:
    seats = [(ScriptedModel(["x"], name="deep"), MemberSettings())]
    with pytest.raises(ConfigError, match="model 'deep': a budget in currency needs its prices"):
        Ensemble(seats, Budget(currency=1.0))
    Ensemble(seats, Budget(tokens=1))
