import asyncio
import doctest

import pytest
from tests.proposers.llm.timing import MadeUpTime

from breeder.errors import ConfigError
from breeder.proposers.llm import scripted_model
from breeder.proposers.llm.breaker import Circuit
from breeder.proposers.llm.ensemble import Ensemble, open_models
from breeder.proposers.llm.member import Member, MemberSettings
from breeder.proposers.llm.model import Answer, LossKind, ModelError, Prompt, Sampling
from breeder.proposers.llm.scripted_model import Asked, ScriptedModel
from breeder.proposers.llm.settings import ModelConfig

PROMPT = Prompt(("improve",))
DOWN = ModelError(LossKind.CONNECTION, "refused")


def ask(member: Member) -> None:
    asyncio.run(member.sample(PROMPT, Sampling()))


def test_an_outage_of_one_model_leaves_the_others() -> None:
    time = MadeUpTime()
    models = [ScriptedModel([DOWN], name="down", role="deep"), ScriptedModel(["x"], name="up")]
    ensemble = Ensemble([(m, MemberSettings()) for m in models], timing=time.timing())
    assert [m.name for m in ensemble.available()] == ["down", "up"]
    assert [m.name for m in ensemble.of_role("deep")] == ["down"]
    for _ in range(2):
        with pytest.raises(ModelError):
            ask(ensemble.members["down"])
    assert [m.name for m in ensemble.available()] == ["up"]
    assert [m.name for m in ensemble.of_role("deep")] == ["up"], "anyone is better than nobody"
    down, up = ensemble.health()
    assert (down.circuit, down.in_a_row, up.circuit) == (Circuit.OPEN, 5, Circuit.CLOSED)
    assert 0 < down.resting <= 20
    ask(ensemble.members["up"])
    assert ensemble.losses() == {LossKind.CONNECTION: 5}
    assert ensemble.tallies()["up"].answers == 1
    assert ensemble.exhausted() == ""


def test_an_ensemble_of_none_is_never_exhausted() -> None:
    ensemble = Ensemble([])
    assert (ensemble.available(), ensemble.of_role("fast"), ensemble.exhausted()) == ((), (), "")


def test_names_differ() -> None:
    seats = [(ScriptedModel(["x"]), MemberSettings())] * 2
    with pytest.raises(ConfigError, match="model 'scripted': the name is given twice"):
        Ensemble(seats)


def test_closing_closes_every_model() -> None:
    models = [ScriptedModel(["x"], name=name) for name in "ab"]

    async def run() -> None:
        async with Ensemble([(model, MemberSettings()) for model in models]):
            pass

    asyncio.run(run())
    assert [model.closed for model in models] == [1, 1]


def test_models_are_opened_as_configured() -> None:
    config = ModelConfig(
        name="m", endpoint="http://127.0.0.1:9", requests_per_minute=7, n=False, attempts=2
    )
    ((model, settings),) = open_models([config])
    assert (model.name, settings.requests_per_minute, settings.n) == ("m", 7, False)
    assert settings.patience.attempts == 2
    with pytest.raises(ConfigError, match="NO_SUCH_KEY is not set"):
        open_models([config.model_copy(update={"key_env": "NO_SUCH_KEY"})])


def test_a_script_may_be_a_list_or_a_function() -> None:
    listed = ScriptedModel(["a", ["b", Answer("c", truncated=True)], DOWN])

    async def run() -> None:
        one = await listed.sample(PROMPT, Sampling(), count=2)
        assert [answer.text for answer in one.answers] == ["a", "a"]
        assert one.usage.estimated
        two = await listed.sample(PROMPT, Sampling(), count=5)
        assert two.answers == (Answer("b"), Answer("c", truncated=True))
        for _ in range(2):
            with pytest.raises(ModelError) as caught:
                await listed.sample(PROMPT, Sampling())
            assert caught.value is not DOWN

        def function(asked: Asked) -> str:
            return asked.prompt.text.upper()

        reply = await ScriptedModel(function).sample(PROMPT, Sampling())
        assert reply.answers[0].text == "IMPROVE"

    asyncio.run(run())
    assert [asked.count for asked in listed.asked] == [2, 5, 1, 1]
    with pytest.raises(ValueError, match="at least one line"):
        ScriptedModel([])


def test_the_example_of_a_scripted_model_holds() -> None:
    failed, tried = doctest.testmod(scripted_model)
    assert (failed, tried > 0) == (0, True)
