"""Ensembles before endpoints that fail in every known way, over the wire."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from tests.proposers.llm.fake_server import (
    Action,
    FakeServer,
    Hang,
    Reset,
    Send,
    completion,
    html,
    refusal,
    usage,
)
from tests.proposers.llm.timing import MadeUpTime

from breeder.core import Budget
from breeder.proposers.llm.ensemble import Ensemble, open_models
from breeder.proposers.llm.member import NOT_ASKED, Member
from breeder.proposers.llm.model import LossKind, ModelError, Prompt, Sampling
from breeder.proposers.llm.settings import ModelConfig

PROMPT = Prompt(("improve",))
GOOD = completion("x = 2", usage=usage(10, 5))

TROUBLE: dict[LossKind, list[Action]] = {
    LossKind.MALFORMED: [html(), Send(b'{"choices": ['), Send(b""), Send(b"{}")],
    LossKind.BAD_REQUEST: [refusal(400, "context length exceeded")],
    LossKind.AUTHENTICATION: [refusal(401, "invalid key"), refusal(403, "no")],
    LossKind.UNKNOWN_MODEL: [refusal(404, "no such model")],
    LossKind.RATE_LIMIT: [refusal(429, "slow down", headers={"Retry-After": "3"})],
    LossKind.SERVER: [refusal(500, "oops"), refusal(503, "busy"), html(502)],
    LossKind.CONNECTION: [Reset(), Reset(b'{"choices"')],
    LossKind.TIMEOUT: [Hang()],
}


def ensemble(server: FakeServer, time: MadeUpTime, budget: Budget | None = None) -> Ensemble:
    config = ModelConfig(name="m", endpoint=server.address, timeout=1.5, concurrency=1)
    return Ensemble(open_models([config]), budget, timing=time.timing())


async def collect(member: Member, wanted: int, time: MadeUpTime) -> Counter[str]:
    """Draw answers until there are enough; how often it was in vain, by kind."""
    vain: Counter[str] = Counter()
    answers = 0
    while answers < wanted:
        try:
            answers += len((await member.sample(PROMPT, Sampling())).answers)
        except ModelError as error:
            vain[error.kind] += 1
            if error.fatal:
                raise
            if error.kind is LossKind.OPEN_CIRCUIT:
                time.now += member.resting()
    await member.close()
    return vain


def test_a_third_of_trouble_of_every_kind_loses_no_answer_and_hides_no_loss() -> None:
    rng = random.Random(3)
    sent: Counter[str] = Counter()

    def script(body: dict[str, Any], number: int) -> Action:
        if number == 0 or rng.random() > 0.3:
            return GOOD
        # Each kind in turn, but one hang only, since each takes the whole time-out.
        kinds = sorted(set(TROUBLE) - ({LossKind.TIMEOUT} if sent[LossKind.TIMEOUT] else set()))
        kind = kinds[sent.total() % len(kinds)]
        sent[kind] += 1
        return rng.choice(TROUBLE[kind])

    time = MadeUpTime()
    with FakeServer(script) as server:
        team = ensemble(server, time)
        asyncio.run(collect(team.members["m"], 60, time))
    assert team.losses() == sent
    assert set(sent) == set(TROUBLE)
    assert team.tallies()["m"].answers == 60


@pytest.mark.parametrize("kind", sorted(set(TROUBLE) - {LossKind.TIMEOUT}))
def test_an_outage_is_waited_out_with_few_requests(kind: LossKind) -> None:
    trouble = TROUBLE[kind]

    def script(body: dict[str, Any], number: int) -> Action:
        return trouble[number % len(trouble)] if 1 <= number <= 8 else GOOD

    time = MadeUpTime()
    with FakeServer(script) as server:
        team = ensemble(server, time)
        vain = asyncio.run(collect(team.members["m"], 4, time))
        assert len(server.requests) == 4 + 8
    assert team.losses() == {kind: 8}
    assert set(vain) <= {kind, *NOT_ASKED}


def test_the_budget_holds_over_the_wire() -> None:
    time = MadeUpTime()
    with FakeServer([GOOD]) as server:
        team = ensemble(server, time, Budget(tokens=200))
        member = team.members["m"]

        async def run() -> LossKind:
            try:
                while True:
                    await member.sample(PROMPT, Sampling(max_tokens=40))
            except ModelError as error:
                return error.kind
            finally:
                await team.close()

        assert asyncio.run(run()) is LossKind.BUDGET
        assert len(server.requests) == team.tallies()["m"].requests
    assert 100 <= team.spending.spent_tokens <= 200


@pytest.mark.parametrize(
    ("reply", "fatal"),
    [(refusal(401, "no such key"), True), (refusal(503, "overloaded"), False), (GOOD, False)],
)
def test_a_greeting_finds_mistakes_and_makes_nothing_of_an_outage(
    reply: Action, fatal: bool
) -> None:
    time = MadeUpTime()
    with FakeServer([reply]) as server:
        team = ensemble(server, time)
        member = team.members["m"]

        async def greet() -> bool:
            try:
                await member.greet()
            except ModelError as error:
                return error.fatal
            finally:
                await team.close()
            return False

        assert asyncio.run(greet()) is fatal
        # Asked once, whatever comes of it, and counted like anything else.
        assert len(server.requests) == member.tally.requests == 1
    assert member.tally.answers == (reply is GOOD)
    assert time.slept == []
