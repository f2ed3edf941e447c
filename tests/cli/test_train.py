"""`breeder train`: the guide's examples, stopping and going on, and mistakes in one line."""

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Breeder, assert_one_line

from breeder.training.trainer.settings import TrainingSettings

PAGE = (Path(__file__).parents[2] / "docs" / "trainer.md").read_text(encoding="utf-8")
SHORT = ("my-text", "--batch", "2", "--length", "32", "--no-kernels", "--warm-up", "1")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with some text, where torch and safetensors are installed."""
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-text").mkdir()
    for number in range(30):
        lines = (f"def f_{number}_{i}(x):\n    return x * {i}\n" for i in range(20))
        (tmp_path / "my-text" / f"{number}.py").write_text("".join(lines))
    return tmp_path


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.S | re.M)


def test_the_examples_of_the_page_run(breeder: Breeder, here: Path) -> None:
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 5
    for name, *words in commands:
        assert name == "breeder"
        kernels = ["--no-kernels"] if words[1] == "start" else []
        outcome = breeder(*words, *kernels)
        assert outcome.code == 0, outcome
    scope: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "trainer.md", "exec"), scope)
    whole = scope["model"].decoder(scope["tokens"])  # type: ignore[attr-defined]
    assert (whole[:, -1:] - scope["last"]).abs().max() < 1e-4
    assert (here / "tuned-model" / "model.safetensors").is_file()


def test_the_page_explains_every_setting_and_measure(breeder: Breeder) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    from breeder.training.trainer.trainer import Update

    options = set(re.findall(r"--[a-z-]+", breeder("train", "start", "--help").out)) - {"--help"}
    assert len(options) > len(TrainingSettings.model_fields)
    named = PAGE + "--kernels --json"
    assert {option for option in options if option not in named} == set()
    assert {name for name in Update.__dataclass_fields__ if f"`{name}`" not in PAGE} == set()


def test_an_interrupted_run_leaves_with_3_and_goes_on(
    breeder: Breeder, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from breeder.report.training_view import TrainingView

    assert breeder("train", "start", "whole", "--steps", "6", *SHORT, "--json").code == 0

    def interrupt(view, update):
        if update.step == 2:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(TrainingView, "show", interrupt)
        stopped = breeder("train", "start", "halves", "--steps", "6", *SHORT)
    assert stopped.code == 3, stopped
    assert "go on with: breeder train resume halves" in stopped.out
    assert signal.getsignal(signal.SIGINT) is before
    done = breeder("train", "resume", "halves", "--json")
    facts = json.loads(done.out)
    assert (facts["status"], facts["last"]["step"]) == ("finished", 6)
    name = "model/model.safetensors"
    assert Path("halves", name).read_bytes() == Path("whole", name).read_bytes()


def test_progress_says_speed_and_time_left(breeder: Breeder, here: Path) -> None:
    out = breeder("train", "start", "run", "--steps", "3", *SHORT, "--evaluate-every", "1").out
    (line,) = [line for line in out.splitlines() if line.startswith("step 2/3")]
    assert re.fullmatch(
        r"step 2/3   loss \d\.\d{3}   held-out \d\.\d{3}   [\d,]+ tokens/s   about \d+ s left", line
    )
    assert "finished; the result is in run/model" in out


def test_mistakes_are_one_line(breeder: Breeder, here: Path) -> None:
    for words, message in (
        (("start", "r", "--steps", "0"), "training: steps: input should be greater than 0"),
        (("start", "r", "--dtype", "int4"), "training: dtype: "),
        (("start", "r", "--lora-r", "4"), "--lora-... adapts a model"),
        (("start", "r", "--vocabulary", "300", "--tokenizer", "t.json"), "--vocabulary is for"),
        (("start", "r", "--model", "no-such"), "model 'no-such' is not known"),
        (("start", "r", "no-text"), "no-text does not exist"),
        (("resume", "r"), "r: is no training run"),
        (("merge", "r", "m"), "r: is no training run"),
        (("sample", "no-such", "x"), "model 'no-such' is not known"),
    ):
        assert_one_line(breeder("train", *words), message)
    Path("full").mkdir()
    Path("full/file").write_text("x")
    assert_one_line(breeder("train", "start", "full", *SHORT), "full: exists and is not empty")


def test_without_torch_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['breeder', 'train', 'start', 'r'];"
        "from breeder.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr == "breeder: a model needs torch; run: pip install 'breeder[torch]'\n"
