"""The library: runs from Python, as a user of the package calls them."""

import asyncio
import math
import os
import signal
import threading
from pathlib import Path

import pytest

import breeder
from breeder import scaffold
from breeder.api import configured
from breeder.errors import ConfigError, RunError, UserError
from breeder.evaluation import Candidate
from breeder.task_formats import load
from breeder.testing import ScriptedModel

HEAD = "def urgency(duration: float, weight: float, due: float, now: float) -> float:"
ANSWER = f"By weight.\n```python\n{HEAD}\n    return weight / max(duration, 1.0)\n```\n"


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    scaffold.new(Path("job"))
    return "job"


def sine(x: float) -> float:
    return x - 0.1 * x**3


def evaluate(candidate: Candidate) -> dict[str, float]:
    points = [0.2 * i for i in range(16)]
    answers = [candidate.call("sine", x) for x in points]
    return {"error": max(abs(y - math.sin(x)) for x, y in zip(points, answers, strict=True))}


def test_a_model_of_ones_own_proposes_and_nothing_is_printed(
    job: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = ScriptedModel([ANSWER])
    result = breeder.run(job, models=[model], budget={"evaluations": 10}, slots=1)
    assert result.path == Path("runs/job-001")
    assert (result.status, result.evaluations) == ("finished", 10)
    assert model.asked
    rows = {row.name: row for row in result.summary().proposers}
    assert rows["model:scripted"].evaluations >= 1
    assert result.held_out is not None
    assert result.start_held_out is not None
    assert set(result.files) == {"initial.py"}
    assert result.text == result.files["initial.py"]
    assert capfd.readouterr() == ("", "")


def test_equal_seeds_give_equal_runs(job: str) -> None:
    options = {"budget": breeder.Budget(evaluations=8), "slots": 1, "seed": 3}
    one, two = (breeder.run(job, out=name, **options) for name in ("a", "b"))  # type: ignore[arg-type]
    assert (one.files, one.metrics) == (two.files, two.metrics)


def test_a_function_is_optimised_and_its_run_resumed(job: str) -> None:
    seen: list[breeder.Standing] = []
    result = breeder.optimize(
        sine,
        evaluate,
        objectives={"error": "minimize"},
        budget={"evaluations": 15},
        slots=1,
        out="run",
        on_change=seen.append,
    )
    start = max(abs(sine(0.2 * i) - math.sin(0.2 * i)) for i in range(16))
    assert result.start_metrics["error"] == pytest.approx(start)
    assert result.metrics["error"] <= start
    assert result.improved == (result.metrics["error"] < start)
    assert "def sine" in result.text
    assert seen[-1].evaluations == 15
    assert seen[-1].metrics == result.metrics
    more = breeder.resume("run", budget={"evaluations": 17})
    assert more.evaluations == 17
    assert breeder.RunResult.of("run") == more
    with pytest.raises(RunError, match="not empty"):
        breeder.optimize(sine, evaluate, out="run")


def test_text_is_optimised_as_a_whole_with_held_out_data(job: str) -> None:
    result = breeder.optimize(
        "def value():\n    return 2.0\n",
        "def evaluate(candidate):\n    return {'score': -abs(candidate.call('value') - 3)}\n"
        "def evaluate_held_out(candidate):\n    return {'score': candidate.call('value')}\n",
        held_out=True,
        name="three",
        limits={"cpu_seconds": 5},
        budget={"evaluations": 8},
        slots=1,
    )
    assert result.path == Path("runs/three-001")
    assert result.start_held_out == {"score": 2.0}
    assert result.metrics["score"] >= -1.0


def test_a_watcher_may_stop_a_run(job: str) -> None:
    def stop(standing: breeder.Standing) -> None:
        if standing.evaluations >= 3:
            standing.stop("enough")

    result = breeder.run(job, budget={"evaluations": 500}, slots=1, on_change=stop)
    assert result.status == "finished"
    assert result.reason == "enough"
    assert result.evaluations < 20


def test_it_runs_outside_the_main_thread(job: str) -> None:
    found: list[breeder.RunResult] = []
    thread = threading.Thread(
        target=lambda: found.append(breeder.run(job, budget={"evaluations": 3}, slots=1))
    )
    thread.start()
    thread.join()
    assert found[0].evaluations == 3


def test_cancelling_stops_a_run_that_can_be_resumed(job: str) -> None:
    async def cancelled() -> None:
        begun = asyncio.Event()

        def watch(standing: breeder.Standing) -> None:
            if standing.evaluations >= 2:
                begun.set()

        running = asyncio.create_task(
            breeder.run_async(job, budget={"evaluations": 400}, slots=1, out="r", on_change=watch)
        )
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    stopped = breeder.RunResult.of("r")
    assert stopped.status == "stopped"

    def enough(standing: breeder.Standing) -> None:
        if standing.evaluations > stopped.evaluations:
            standing.stop("gone on")

    assert breeder.resume("r", on_change=enough).reason == "gone on"


def test_a_signal_stops_a_run_and_reaches_the_caller(job: str) -> None:
    sent: list[int] = []

    def interrupt(standing: breeder.Standing) -> None:
        if standing.evaluations >= 2 and not sent:
            sent.append(signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        breeder.run(job, budget={"evaluations": 400}, slots=1, out="r", on_change=interrupt)
    assert breeder.RunResult.of("r").status == "stopped"


def test_inside_a_loop_the_remedy_is_named(job: str) -> None:
    async def wrong() -> None:
        breeder.run(job, budget={"evaluations": 3})

    with pytest.raises(UserError, match=r"await breeder\.run_async"):
        asyncio.run(wrong())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"models": ["nobody"]}, "'nobody' is no entry"),
        ({"models": [object()]}, "object is no model"),
        ({"models": "local"}, "must be a list"),
        ({"models": [{"name": "m", "endpoint": "nowhere"}]}, "must be an address"),
        ({"models": [{"name": "m", "endpoint": "http://[::1]/v1"}] * 2}, "given twice"),
        ({"models": ["task"]}, "is for folders of OpenEvolve"),
        ({"budget": {"minuts": 3}}, "minuts: unknown key"),
        ({"budget": {"minutes": -1}}, "minutes: must be greater than 0"),
        ({"proposers": ["magic"]}, "unknown proposer 'magic'"),
        ({"settings": {"search.isles": 3}}, "unknown key; did you mean 'islands'"),
    ],
)
def test_a_wrong_option_is_one_line(job: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        configured(load(job), options)
    assert "\n" not in str(caught.value)


def test_entries_specs_and_objects_stand_side_by_side(job: str) -> None:
    entry = {"name": "m", "endpoint": "http://127.0.0.1:9/v1"}
    config, seats = configured(
        load(job), {"models": [entry, "org/x@http://127.0.0.1:9/v1", ScriptedModel(["a"])]}
    )
    assert config.search.models == ("m", "org-x")
    assert [model.name for model, _ in seats] == ["scripted"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"objectives": {"error": "down"}}, "'down' is not maximize or minimize"),
        ({"held_out": True}, "give a function"),
        ({"limits": {"cpu_secnds": 1}}, "cpu_secnds"),
    ],
)
def test_a_wrong_word_about_a_function_is_one_line(
    job: str, options: dict[str, object], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        breeder.optimize(sine, evaluate, out="run", **options)  # type: ignore[arg-type]


def test_a_program_that_does_not_parse_is_one_line(job: str) -> None:
    with pytest.raises(UserError, match="program: line 1"):
        breeder.optimize("def f(:", evaluate, out="run")
    assert not Path("run/run.db").exists()


def test_importing_breeder_is_cheap() -> None:
    import subprocess
    import sys

    code = "import sys, breeder; print(sorted(n for n in sys.modules if 'pydantic' in n))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert told.stdout.strip() == b"[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        breeder.runs  # noqa: B018
