"""Runs with a model behind an endpoint, as typed on the command line."""

import json
from pathlib import Path

import pytest
from tests.proposers.llm.fake_server import FakeServer, completion, refusal, usage

from breeder.archive.store import Store

from .conftest import SMALL, Breeder, assert_one_line

HEAD = "def urgency(duration: float, weight: float, due: float, now: float) -> float:"


def answering(body: dict[str, object], number: int) -> object:
    texts = [
        f"A linear rating.\n```python\n{HEAD}\n    return {number}.{i}1 * weight - due\n```"
        for i in range(4)
    ]
    return completion(*texts, usage=usage(100, 40, cached=64))


def test_a_run_with_an_endpoint_shows_what_the_model_did(breeder: Breeder, task: Path) -> None:
    with FakeServer(answering) as server:  # type: ignore[arg-type]
        model = f"org/m@{server.address}"
        done = breeder(
            *("run", task, "--out", "run", *SMALL, "--model", model, "--proposers", "tuning")
        )
        asked = len(server.requests)
        assert breeder("resume", "run", "--json").code == 0
        assert len(server.requests) == asked, "a run that is over asks nothing"
    assert done.code == 0, done
    assert server.requests[0]["model"] == "org/m"
    shown = breeder("show", "run").out
    assert "model:org-m" in shown
    assert "% of the prompts repeated the beginning of earlier ones" in shown
    data = json.loads(breeder("show", "run", "--json").out)
    (record,) = data["models"]["models"]
    assert record["name"] == "org-m"
    assert record["requests"] == len(server.requests)
    assert record["cached_tokens"] == 64 * len(server.requests)
    assert data["cost"]["propose"]["tokens"] == 140 * len(server.requests)
    breeder("report", "run")
    page = Path("run/report/index.html").read_text()
    assert "Language models" in page
    # A second sitting goes on with the same model, and remembers what was spent.
    with FakeServer(answering) as server:  # type: ignore[arg-type]
        again = breeder("resume", "run", "--evaluations", "13", "--json")
    assert json.loads(again.out)["cost"]["propose"]["tokens"] >= data["cost"]["propose"]["tokens"]


def test_a_wrong_key_is_one_line(
    breeder: Breeder, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "sk-wrong-0123456789")
    with FakeServer([refusal(401, "Incorrect API key provided")]) as server:
        model = f"m@{server.address}"
        done = breeder(
            *("run", task, "--out", "run", "--evaluations", "500", "--json"),
            *("--model", model, "--key-env", "THE_KEY"),
        )
    assert_one_line(done, "refused the key in THE_KEY")
    assert "sk-wrong" not in done.err
    assert len(server.requests) == 1
    with Store.open(Path("run"), readonly=True) as store:
        assert store.counts()["evaluations"] == 0
    # Nothing was evaluated, so the corrected command may be given again as it is.
    assert breeder("run", task, "--out", "run", *SMALL, "--json").code == 0


def test_an_endpoint_that_is_not_there_is_one_line_before_anything_is_made(
    breeder: Breeder, task: Path
) -> None:
    with FakeServer([completion("")]) as server:
        address = server.address
    done = breeder("run", task, "--out", "run", *SMALL, "--model", f"m@{address}")
    assert_one_line(done, "cannot be reached (nobody listens there)")
    assert not Path("run").exists()


def test_money_without_prices_is_one_line_before_anything_is_made(
    breeder: Breeder, task: Path
) -> None:
    with FakeServer([completion("")]) as server:
        model = f"m@{server.address}"
        done = breeder("run", task, "--out", "run", "--currency", "1", "--model", model)
    assert_one_line(done, "a budget in currency needs its prices")
    assert not Path("run").exists()
