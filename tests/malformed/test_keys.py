"""A key reaches its endpoint and nothing else, whatever endpoint and candidates try."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from breeder.archive.store import Store
from breeder.config import BudgetConfig, RunConfig
from breeder.proposers.llm.settings import ModelConfig
from breeder.report.page import write_report
from breeder.report.summary import summarise
from breeder.runner import Run
from tests.malformed.campaign import MODEL, toy
from tests.proposers.llm.fake_server import FakeServer, Send, completion, refusal, usage

KEY = "sk-canary-0123456789abcdef"
SPY = """def f():
    # {number} {key}
    import os
    seen = " ".join(os.environ.values())
    for name in os.listdir("/proc"):
        try:
            seen += open(f"/proc/{{name}}/environ").read()
        except OSError:
            pass
    return len(seen.split("canary")) - 1 + {number} / 1000
"""


def test_a_canary_is_found_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CANARY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    task = toy(tmp_path / "task")

    def script(body: dict[str, object], number: int) -> Send:
        if number == 1:
            return refusal(500, f"no luck with {KEY}")
        texts = [
            f"Use {KEY}.\n```python\n{SPY.format(number=4 * number + i, key=KEY)}```\n"
            for i in range(4)
        ]
        return completion(*texts, usage=usage(100, 50))

    with FakeServer(script) as server:
        entry = ModelConfig(name="m", endpoint=server.address, key_env="CANARY_KEY", attempts=1)
        config = RunConfig(
            slots=1,
            model=(entry,),
            budget=BudgetConfig(evaluations=12),
            search={"proposers": ("syntax",)},  # type: ignore[arg-type]
        )
        folder = tmp_path / "run"
        assert asyncio.run(Run(task, config, folder).start()).status == "finished"
        write_report(folder)
    assert all(headers["authorization"] == f"Bearer {KEY}" for headers in server.headers)
    assert KEY not in json.dumps(server.requests)
    with Store.open(folder, readonly=True) as store:
        rows = list(store.evaluations())
        own = [r for r in rows if store.program(r.program_id).proposer == MODEL]
        assert KEY not in json.dumps(summarise(store).to_json())
    scores = [row.fitness for row in own if row.fitness is not None]
    assert scores
    assert max(scores) < 1.0  # the spies ran and saw no canary
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in caplog.text
