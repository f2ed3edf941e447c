import asyncio
import socket

import pytest

from breeder.config import RunConfig, load_config
from breeder.errors import ConfigError
from breeder.model_specs import with_models
from breeder.proposers.llm.settings import ModelConfig
from breeder.reachability import refuse_unreachable

OWN = ModelConfig(name="own", endpoint="http://127.0.0.1:1/v1")
OTHER = ModelConfig(name="other", endpoint="http://127.0.0.1:2/v1")
CONFIG = RunConfig(model=(OWN, OTHER))


def test_without_flags_every_entry_proposes() -> None:
    assert with_models(CONFIG, ()) is CONFIG
    assert CONFIG.endpoints() == (OWN, OTHER)
    assert CONFIG.local_models() == ()


def test_names_choose_among_the_entries() -> None:
    chosen = with_models(CONFIG, ("other", "local", "other"))
    assert chosen.endpoints() == (OTHER,)
    assert chosen.local_models() == ("local",)
    # It is what the store keeps, and what a resumed run reads.
    assert RunConfig.model_validate_json(chosen.model_dump_json()) == chosen


def test_an_address_makes_an_entry() -> None:
    specs = ("org/model:8b@http://127.0.0.1:8000/v1", "org-model-8b@http://127.0.0.1:9000")
    chosen = with_models(CONFIG, specs, key_env="THE_KEY")
    first, second = chosen.endpoints()
    assert (first.name, first.id) == ("org-model-8b", "org/model:8b")
    assert (first.endpoint, first.key_env) == ("http://127.0.0.1:8000/v1", "THE_KEY")
    assert second.name == "org-model-8b-2"


@pytest.mark.parametrize(
    ("specs", "key_env", "words"),
    [
        (("mine",), "", "--model: 'mine' is no entry (known here: own, other)"),
        (("m@ftp://host",), "", "--model: 'm@ftp://host' is no entry"),
        (("own",), "THE_KEY", "--key-env: goes with --model MODEL@ADDRESS"),
        (("m@http://127.0.0.1/v1",), "sk-1", "must be the NAME of an environment variable"),
        (("m@http://u:p@127.0.0.1/v1",), "", "must hold no user name, password or query"),
    ],
)
def test_mistakes_are_one_line(specs: tuple[str, ...], key_env: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_models(CONFIG, specs, key_env=key_env)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_configuration_names_models_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"^search.models: no \[\[model\]\] entry is called 'x'"):
        load_config(None, {"search.models": ["x"]})


def test_an_endpoint_that_nobody_serves_is_refused_before_a_run() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        there = ModelConfig(name="there", endpoint=f"http://127.0.0.1:{port}/v1")
        asyncio.run(refuse_unreachable([there]))
    with pytest.raises(ConfigError) as caught:
        asyncio.run(refuse_unreachable([there]))
    assert str(caught.value) == (
        f"model 'there': http://127.0.0.1:{port}/v1 cannot be reached (nobody listens there);"
        " start it, correct the address, or leave the model out"
    )
