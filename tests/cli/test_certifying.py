"""`breeder verify` and `breeder adopt` as a user meets them."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Breeder, assert_one_line
from tests.cli.test_signals import assert_gone
from tests.verification.made_up import HELD_OUT, HONEST, OVERFITTED, START, write_run, write_task

from breeder.executors.process_tree import descendants
from breeder.verification import certificate as certificates

WAITING = """
import os
import signal


def evaluate(candidate):
    return {"error": 1.0}


def evaluate_held_out(candidate):
    os.write(os.open(__file__.replace("evaluate.py", "entered"), os.O_WRONLY), b"x")
    signal.pause()
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with an honest champion, in the working directory; nothing of it was searched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BREEDER_REGISTRY", str(tmp_path / "registry"))
    task = write_task(tmp_path / "task", HELD_OUT)
    write_run(tmp_path / "run", task, HONEST)
    return Path("run")


def test_from_a_run_to_the_registry(breeder: Breeder, run: Path) -> None:
    assert_one_line(breeder("adopt", run), "run breeder verify run first")
    verified = breeder("verify", run, "--seeds", 2)
    assert verified.code == 0, verified
    assert "holds: better than the start in error: +13.25 (exact)" in verified.out
    assert verified.out.count("seed ") == 4
    made = certificates.read(run / "certificate.json")
    assert made.program.files == {"squares.py": HONEST}
    assert made.sha256 in (run / "certificate.html").read_text(encoding="utf-8")

    adopted = breeder("adopt", run)
    assert adopted.code == 0, adopted
    assert f"adopted {made.program.id} for toys/squares" in adopted.out
    assert "was adopted before" in breeder("adopt", run / "certificate.json").out
    listed = breeder("adopt", "--list")
    assert listed.out.startswith(
        f"* toys/squares                 {made.program.id}  +13.25 (exact)"
    )
    rows = json.loads(breeder("adopt", "--list", "--json").out)
    assert [(row["program"], row["current"]) for row in rows] == [(made.program.id, True)]


def test_a_champion_that_does_not_hold_is_not_adopted(breeder: Breeder, run: Path) -> None:
    write_run(Path("overfitted"), write_task(Path("other"), HELD_OUT), OVERFITTED)
    verified = breeder("verify", "overfitted", "--seeds", 2, "--json", "--out", "certified")
    assert verified.code == 1
    told = json.loads(verified.out)
    assert told["verdict"] == "does not hold"
    assert told["certificate"] == "certified/certificate.json"
    assert_one_line(breeder("adopt", told["certificate"]), "says 'does not hold'")
    assert breeder("adopt", "--list").out.startswith("nothing adopted in ")


def test_a_repeat_stands_beside_the_original(breeder: Breeder, run: Path) -> None:
    assert breeder("verify", run, "--seeds", 2).code == 0
    again = breeder("verify", run / "certificate.json", "--seeds", 2)
    assert again.code == 0
    assert "certified: holds: " in again.out
    assert "holds here: " in again.out
    assert "Beside the certificate" in (run / "certificate-repeated.html").read_text()
    original = certificates.read(run / "certificate.json")
    assert certificates.read(run / "certificate-repeated.json").repeats == original.sha256


def test_a_run_that_went_on_needs_a_new_certificate(breeder: Breeder, run: Path) -> None:
    assert breeder("verify", run, "--seeds", 2).code == 0
    text = START.replace("p for p", "p ** 2 for p")
    write_run(Path("later"), write_task(Path("other"), HELD_OUT), text)
    (Path("later") / "certificate.json").write_bytes((run / "certificate.json").read_bytes())
    assert_one_line(breeder("adopt", "later"), "certifies another program")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "nowhere"), "holds no run"),
        (("verify", "run", "--seeds", "0"), "--seeds"),
        (("verify", "run", "--sandbox", "cage"), "--sandbox"),
        (("verify", "run", "--task", "nowhere"), "nowhere"),
        (("verify", "damaged.json"), "is no certificate"),
        (("verify",), "Missing argument"),
        (("adopt", "nowhere"), "does not exist"),
        (("adopt", "damaged.json"), "is no certificate"),
        (("adopt", "task"), "holds no run"),
        (("adopt",), "name a run"),
        (("adopt", "run", "--list"), "--list"),
    ],
)
def test_mistakes_are_one_line(
    breeder: Breeder, run: Path, arguments: tuple[str, ...], words: str
) -> None:
    Path("damaged.json").write_text("{")
    assert_one_line(breeder(*arguments), words)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_no_certificate(run: Path, number: signal.Signals) -> None:
    task = Path("task")
    (task / "evaluate.py").write_text(WAITING)
    os.mkfifo(task / "entered")
    command = [sys.executable, "-m", "breeder", "verify", "run", "--task", "task"]
    entered = os.open(task / "entered", os.O_RDWR)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert select.select([entered], [], [], 60)[0], "the evaluator was not reached"
        below = descendants(process.pid)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    os.close(entered)
    assert process.returncode == 3
    assert told == "breeder: stopped by a signal\n"
    assert below
    assert_gone(below)
    assert not (run / "certificate.json").exists()
