import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Breeder, assert_one_line
from tests.proposers.llm.fake_server import (
    Action,
    FakeServer,
    completion,
    refusal,
    usage,
)

CANARY = "sk-canary-fedcba9876543210"


def obedient(body: dict[str, Any], number: int) -> Action:
    """What a server does that keeps to a grammar and goes on from a prefill."""
    if "grammar" in body:
        return completion("741", usage=usage(20, 2))
    if body["messages"][-1]["role"] == "assistant":
        return completion(" 6 7 8", usage=usage(30, 3, cached=16))
    return completion(*["Hello!"] * body.get("n", 1), usage=usage(20, 4))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def good() -> Iterator[FakeServer]:
    with FakeServer(obedient) as server:
        yield server


def entry(name: str, server: FakeServer, more: str = "") -> str:
    return f'[[model]]\nname = "{name}"\nendpoint = "{server.address}"\n{more}\n'


def test_a_model_that_works(breeder: Breeder, here: Path, good: FakeServer) -> None:
    more = 'grammar = "gbnf"\nprefill = "assistant"\nprices = { prompt = 1.0, answer = 2.0 }'
    Path("breeder.toml").write_text(entry("fast", good, more))
    outcome = breeder("models", "check")
    assert outcome.code == 0, outcome
    assert f"fast: works; fast at {good.address}" in outcome.out
    assert "answers in one request: 2" in outcome.out
    assert "tokens (reported): 70 prompt, 16 of them cached, 9 answer; price 8.8e-05" in outcome.out
    assert "grammar: yes" in outcome.out
    assert "prefill: yes" in outcome.out
    assert len(good.requests) == 3
    shown = breeder("models", "check", "--json", "--config", "breeder.toml")
    (row,) = json.loads(shown.out)
    assert (row["works"], row["answers"], row["grammar"], row["prefill"]) == (True, 2, True, True)


def test_a_grammar_that_a_server_on_this_machine_would_keep_to_is_found(
    breeder: Breeder, here: Path
) -> None:
    def like_vllm(body: dict[str, Any], number: int) -> Action:
        return completion("741" if "structured_outputs" in body else "Hello!")

    with FakeServer(like_vllm) as server:
        Path("breeder.toml").write_text(entry("own", server))
        outcome = breeder("models", "check")
    assert outcome.code == 0, outcome
    assert '  grammar: not switched on; works with grammar = "vllm"' in outcome.out
    # One for the greeting, and one for each way that came before.
    assert len(server.requests) == 3


def test_what_does_not_work_is_said_for_each_model(
    breeder: Breeder, here: Path, good: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_SHUT", CANARY)
    with (
        FakeServer([refusal(401, f"Incorrect API key provided: {CANARY}")]) as shut,
        FakeServer([completion("Hello!")]) as deaf,
    ):
        text = entry("fine", good) + entry("shut", shut, 'key_env = "KEY_OF_SHUT"')
        text += entry("keyless", good, 'key_env = "NO_SUCH_KEY"')
        text += entry("deaf", deaf, 'grammar = "gbnf"\nprefill = "continue"\nn = false')
        Path("breeder.toml").write_text(text)
        outcome = breeder("models", "check")
        only = breeder("models", "check", "fine")
    assert outcome.code == 2
    lines = outcome.out.splitlines()
    assert any(line.startswith("fine: works") for line in lines)
    assert (
        f"shut: does not work: {shut.address} refused the key in KEY_OF_SHUT"
        " (401: Incorrect API key provided: ***); put a valid one there"
    ) in lines
    assert any("keyless: does not work: the environment variable NO_S" in line for line in lines)
    assert any(line.startswith("deaf: does not work as configured") for line in lines)
    assert any('set grammar = "none" and prefill = "none"' in line for line in lines)
    assert any("tokens (estimated, none reported)" in line for line in lines)
    assert CANARY not in outcome.out + outcome.err
    assert (only.code, "shut" in only.out) == (0, False)


def test_an_endpoint_where_nothing_listens(breeder: Breeder, here: Path) -> None:
    with FakeServer([completion("x")]) as gone:
        pass
    Path("m.toml").write_text(entry("gone", gone))
    outcome = breeder("models", "check", "--config", "m.toml")
    assert outcome.code == 2
    assert outcome.out.startswith(f"gone: does not work: connection: {gone.address}: ")
    assert outcome.out.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("models check", "breeder.toml: is not here; name a file with models in --config"),
        ("models check --config empty.toml", "empty.toml: has no [[model]] entry"),
        ("models check big --config one.toml", "one.toml: has no model 'big'; it has small"),
        ("models check --config typo.toml", "typo.toml: model 'small': endpont: unknown key; did"),
        ("models frob", "No such command 'frob'"),
    ],
)
def test_mistakes_are_one_line(breeder: Breeder, here: Path, line: str, words: str) -> None:
    Path("empty.toml").write_text("seed = 1\n")
    Path("one.toml").write_text('[[model]]\nname = "small"\nendpoint = "http://127.0.0.1:9/v1"\n')
    Path("typo.toml").write_text('[[model]]\nname = "small"\nendpont = "http://127.0.0.1:9/v1"\n')
    assert_one_line(breeder(*line.split()), words)
