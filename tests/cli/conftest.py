import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from breeder import cli, scaffold

SMALL = ("--evaluations", "12", "--slots", "1", "--seed", "1")


class Outcome(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


Breeder = Callable[..., Outcome]


@pytest.fixture
def breeder(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Breeder:
    """Run the command line in this process, which is much cheaper than one of its own."""
    monkeypatch.setenv("COLUMNS", "100")

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["breeder", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert isinstance(left.value.code, int)
        return Outcome(left.value.code, *capsys.readouterr())

    return command


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scaffolded task named `job` in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    scaffold.new(Path("job"))
    return Path("job")


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scaffolded task `job` and a finished run `run` of it."""
    root = tmp_path_factory.mktemp("finished")
    scaffold.new(root / "job")
    with pytest.MonkeyPatch.context() as patch:
        arguments = ["run", "job", "--out", "run", *SMALL, "--json"]
        patch.setattr(sys, "argv", ["breeder", *arguments])
        patch.chdir(root)
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 0
    return root


@pytest.fixture
def finished(finished_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run, to be read only; the working directory is its parent."""
    monkeypatch.chdir(finished_once)
    return Path("run")


@pytest.fixture
def mine(finished_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished run, to be written; its task is the one of the original."""
    shutil.copytree(finished_once / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return Path("run")


def assert_one_line(outcome: Outcome, words: str, code: int = 2) -> None:
    """Assert that a command failed with one clear line, and nothing else on stderr."""
    assert outcome.code == code, outcome
    assert outcome.err.startswith("breeder: "), outcome
    assert outcome.err.count("\n") == 1, outcome.err
    assert words in outcome.err, outcome.err
    assert "Traceback" not in outcome.out + outcome.err
