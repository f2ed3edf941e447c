import asyncio
import math
from collections.abc import Sequence

import pytest
from tests.proposers.llm.timing import MadeUpTime

from breeder.core import Budget
from breeder.proposers.llm.breaker import Circuit
from breeder.proposers.llm.member import Member, MemberSettings
from breeder.proposers.llm.model import (
    Answer,
    LossKind,
    ModelError,
    Prompt,
    Reply,
    Sampling,
    Usage,
)
from breeder.proposers.llm.retry import PASSING, Patience
from breeder.proposers.llm.scripted_model import Asked, Line, ScriptedModel
from breeder.proposers.llm.settings import Prices
from breeder.proposers.llm.spending import Spending

PROMPT = Prompt(("p" * 350,))
SAMPLING = Sampling(max_tokens=100)


def lost(kind: LossKind, wait: float | None = None, fatal: bool | None = None) -> ModelError:
    return ModelError(kind, "made up", retry_after=wait, fatal=fatal)


def member(
    script: Sequence[Line],
    settings: MemberSettings | None = None,
    *,
    time: MadeUpTime | None = None,
    spending: Spending | None = None,
) -> Member:
    timing = (time or MadeUpTime()).timing()
    return Member(ScriptedModel(script), settings, spending=spending, timing=timing)


def sample(one: Member, count: int = 1) -> Reply:
    return asyncio.run(one.sample(PROMPT, SAMPLING, count=count))


def failing(one: Member) -> ModelError:
    with pytest.raises(ModelError) as caught:
        sample(one)
    return caught.value


@pytest.mark.parametrize("kind", sorted(PASSING))
def test_a_passing_loss_is_counted_and_tried_again_after_a_pause(kind: LossKind) -> None:
    time = MadeUpTime()
    one = member([lost(kind), lost(kind), "good"], time=time)
    assert sample(one).answers == (Answer("good"),)
    assert one.tally.losses == {kind: 2}
    assert (one.tally.requests, one.tally.answers) == (3, 1)
    assert 0.5 <= time.slept[0] <= 1.5
    assert 1.0 <= time.slept[1] <= 3.0


@pytest.mark.parametrize(
    "kind",
    [
        LossKind.BAD_REQUEST,
        LossKind.MALFORMED,
        LossKind.AUTHENTICATION,
        LossKind.UNKNOWN_MODEL,
    ],
)
def test_a_lasting_loss_is_not_tried_again(kind: LossKind) -> None:
    time = MadeUpTime()
    one = member([lost(kind), "good"], time=time)
    error = failing(one)
    assert (error.kind, time.slept) == (kind, [])
    assert error.fatal == (kind in (LossKind.AUTHENTICATION, LossKind.UNKNOWN_MODEL))


def test_tries_end() -> None:
    one = member([lost(LossKind.SERVER)], MemberSettings(patience=Patience(attempts=4)))
    assert failing(one).kind is LossKind.SERVER
    assert one.tally.requests == 4


def test_the_endpoints_own_time_is_waited_for_by_all() -> None:
    time = MadeUpTime()
    one = member([lost(LossKind.RATE_LIMIT, 17.0), "a", "b"], time=time)

    async def both() -> None:
        await asyncio.gather(*(one.sample(PROMPT, SAMPLING) for _ in range(2)))

    start = time.now
    settings = one.settings
    assert settings.concurrency >= 2
    asyncio.run(both())
    assert max(time.slept) >= 17.0
    assert time.now >= start + 17.0


def test_a_long_wait_opens_the_circuit_instead() -> None:
    time = MadeUpTime()
    one = member([lost(LossKind.RATE_LIMIT, 300.0), "good"], time=time)
    assert failing(one).kind is LossKind.RATE_LIMIT
    assert time.slept == []
    assert not one.available()
    assert one.resting() == pytest.approx(300.0)
    assert failing(one).kind is LossKind.OPEN_CIRCUIT
    time.now += 301
    assert one.available()
    assert sample(one).answers[0].text == "good"


def test_an_empty_purse_rests_as_long_as_anything() -> None:
    one = member([lost(LossKind.RATE_LIMIT, math.inf)])
    failing(one)
    assert one.resting() == one.settings.breaker.longest


def test_an_outage_costs_few_requests_and_ends_by_itself() -> None:
    time = MadeUpTime()
    working = False

    def script(asked: Asked) -> Line:
        return "good" if working else lost(LossKind.SERVER)

    one = Member(ScriptedModel(script), timing=time.timing())
    kinds = [failing(one).kind for _ in range(100)]
    assert one.tally.requests == one.settings.breaker.losses
    assert kinds[-1] is LossKind.OPEN_CIRCUIT
    assert one.tally.losses == {LossKind.SERVER: 5}
    rests = []
    for _ in range(4):
        rests.append(one.resting())
        time.now += one.resting()
        failing(one)
    assert [round(rest) for rest in rests] == [20, 40, 80, 160]
    assert one.tally.requests == 5 + 4
    working = True
    time.now += one.resting()
    assert sample(one).answers[0].text == "good"
    assert one.breaker.circuit is Circuit.CLOSED


def test_only_one_request_tries_a_resting_model() -> None:
    time = MadeUpTime()
    gate = asyncio.Event()

    class Waiting(ScriptedModel):
        async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
            if self.asked:
                await gate.wait()
            return await super().sample(prompt, sampling, count=count)

    model = Waiting([lost(LossKind.RATE_LIMIT, 100.0), "good"])
    one = Member(model, timing=time.timing())

    async def run() -> list[Reply | BaseException]:
        with pytest.raises(ModelError):
            await one.sample(PROMPT, SAMPLING)
        time.now += 101
        tasks = [asyncio.create_task(one.sample(PROMPT, SAMPLING)) for _ in range(3)]
        await asyncio.sleep(0)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, *others = asyncio.run(run())
    assert isinstance(first, Reply)
    kinds = [other.kind for other in others if isinstance(other, ModelError)]
    assert kinds == [LossKind.OPEN_CIRCUIT] * 2


def test_a_trial_that_is_cancelled_leaves_the_next_one_free() -> None:
    time = MadeUpTime()

    class Hanging(ScriptedModel):
        async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
            if len(self.asked) == 1:
                self._lines.pop(0)
                await asyncio.Event().wait()
            return await super().sample(prompt, sampling, count=count)

    one = Member(Hanging([lost(LossKind.RATE_LIMIT, 100.0), "good"]), timing=time.timing())

    async def run() -> None:
        with pytest.raises(ModelError):
            await one.sample(PROMPT, SAMPLING)
        time.now += 101
        trial = asyncio.create_task(one.sample(PROMPT, SAMPLING))
        await asyncio.sleep(0)
        assert not one.available()
        trial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trial
        assert one.available()

    asyncio.run(run())
    assert one.tally.usage.prompt_tokens > 0, "what was sent is paid for"


def test_a_model_that_has_answered_is_configured_well() -> None:
    one = member(["good", lost(LossKind.AUTHENTICATION), lost(LossKind.UNKNOWN_MODEL)])
    sample(one)
    assert [failing(one).fatal, failing(one).fatal] == [False, False]
    assert one.tally.losses == {LossKind.AUTHENTICATION: 1, LossKind.UNKNOWN_MODEL: 1}


def test_no_minute_has_more_requests_than_allowed() -> None:
    time = MadeUpTime()
    starts: list[float] = []

    def script(asked: Asked) -> Line:
        starts.append(time.now)
        return "x"

    settings = MemberSettings(requests_per_minute=5)
    one = Member(ScriptedModel(script), settings, timing=time.timing())

    async def run() -> None:
        await asyncio.gather(*(one.sample(PROMPT, SAMPLING) for _ in range(17)))

    asyncio.run(run())
    assert len(starts) == 17
    assert all(later - earlier >= 60.0 for earlier, later in zip(starts, starts[5:], strict=False))
    assert starts[-1] - starts[0] == pytest.approx(180.0)


def test_less_than_one_request_a_minute() -> None:
    time = MadeUpTime()
    one = member(["x"], MemberSettings(requests_per_minute=0.5), time=time)
    for _ in range(3):
        sample(one)
    assert time.slept == [120.0, 120.0]


def test_no_more_requests_at_once_than_allowed() -> None:
    busy = most = 0

    class Counting(ScriptedModel):
        async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0)
            busy -= 1
            return await super().sample(prompt, sampling, count=count)

    one = Member(Counting(["x"]), MemberSettings(concurrency=3, n=False))
    assert len(sample(one, count=10).answers) == 10
    assert most == 3


def test_a_model_that_gives_one_answer_at_a_time_is_asked_several_times() -> None:
    one_each = Reply((Answer("x"),), Usage(10, 0, 5))
    model = ScriptedModel([one_each])
    one = Member(model)
    assert len(sample(one, count=4).answers) == 1, "nobody knows yet"
    model.asked.clear()
    reply = asyncio.run(one.sample(PROMPT, Sampling(seed=7), count=4))
    assert len(reply.answers) == 4
    assert reply.usage == Usage(40, 0, 20)
    assert [asked.count for asked in model.asked] == [1] * 4
    assert sorted(asked.sampling.seed or 0 for asked in model.asked) == [7, 8, 9, 10]


def test_some_of_several_answers_are_better_than_none() -> None:
    script: list[Line] = [lost(LossKind.BAD_REQUEST), "a", lost(LossKind.MALFORMED), "b"]
    one = member(script, MemberSettings(n=False))
    assert [answer.text for answer in sample(one, count=4).answers] == ["a", "b"]
    assert one.tally.losses == {LossKind.BAD_REQUEST: 1, LossKind.MALFORMED: 1}
    none = member([lost(LossKind.MALFORMED)], MemberSettings(n=False))
    with pytest.raises(ModelError):
        sample(none, count=2)


def test_a_time_out_is_charged_with_the_prompt() -> None:
    spending = Spending.of(Budget(tokens=10_000))
    settings = MemberSettings(patience=Patience(attempts=1), prices=Prices(prompt=1e6, answer=0))
    one = member([lost(LossKind.TIMEOUT)], settings, spending=spending)
    failing(one)
    assert 100 <= spending.spent_tokens <= 200
    assert spending.spent.currency == pytest.approx(spending.spent_tokens)
    assert spending.spent.estimated
    refused = member([lost(LossKind.CONNECTION)], settings, spending=spending)
    before = spending.spent
    failing(refused)
    assert spending.spent == before


def test_a_lost_reply_is_charged_with_what_it_reports() -> None:
    one = member([ModelError(LossKind.MALFORMED, "no choices", Usage(70, 0, 3))])
    failing(one)
    assert one.tally.usage == Usage(70, 0, 3)
