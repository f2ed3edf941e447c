"""Models that a foreign folder names, in a run from the command line."""

import json
from pathlib import Path

import pytest
from tests.proposers.llm.fake_server import FakeServer, completion, usage

from .conftest import Breeder, assert_one_line

PROGRAM = "def f():\n    return 1.0\n"
EVALUATOR = """
import importlib.util

def evaluate(program_path):
    spec = importlib.util.spec_from_file_location("p", program_path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {"combined_score": module.f()}
"""
SECRET = "sk-theirs-0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "theirs"
    path.mkdir()
    (path / "initial_program.py").write_text(PROGRAM)
    (path / "evaluator.py").write_text(EVALUATOR)
    return path


def test_their_models_propose_and_the_key_is_in_no_file(
    breeder: Breeder, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", SECRET)
    answer = "```python\ndef f():\n    return 7.0\n```"
    with FakeServer([completion(answer, usage=usage(10, 10))]) as server:
        (folder / "config.yaml").write_text(
            f"llm:\n  primary_model: m\n  api_base: {server.address}\n  api_key: ${{THEIR_KEY}}\n"
        )
        options = ("--evaluations", "12", "--slots", "1", "--out", "run")
        done = breeder("run", folder, *options, "--model", "task", "--json")
    assert done.code == 0, done
    assert server.requests[0]["model"] == "m"
    (record,) = json.loads(done.out)["models"]["models"]
    assert record["requests"] == len(server.requests)
    for path in Path("run").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_nothing_is_sent_unless_asked_for(breeder: Breeder, folder: Path) -> None:
    with FakeServer([completion("")]) as server:
        (folder / "config.yaml").write_text(
            f"llm: {{primary_model: m, api_base: '{server.address}'}}\n"
        )
        assert breeder("run", folder, "--evaluations", "3", "--slots", "1").code == 0
        assert server.requests == []


def test_a_key_in_their_file_ends_it_in_one_line(breeder: Breeder, folder: Path) -> None:
    (folder / "config.yaml").write_text(
        f"llm: {{primary_model: m, api_base: 'http://[::1]/v1', api_key: {SECRET}}}\n"
    )
    done = breeder("run", folder, "--out", "run", "--model", "task")
    assert_one_line(done, "llm.api_key: holds a key")
    assert SECRET not in done.err
    assert not Path("run").exists()
