"""Verifications with real trials: what holds, what does not, and what is no champion at all."""

import itertools
import json
import shutil

import pytest
from tests.verification.made_up import (
    CONSTRUCTION,
    FRAGILE,
    HELD_OUT,
    HONEST,
    OVERFITTED,
    START,
    VERIFICATION,
    write_run,
    write_task,
)

from breeder.archive.store import Store
from breeder.errors import CertificateError, RunError, SandboxUnavailableError, UserError
from breeder.evaluation import sandboxes
from breeder.report.export import export
from breeder.verification import certificate as certificates
from breeder.verification.verify import Settings, output_path, verify, write

try:
    sandboxes.require("bubblewrap")
except SandboxUnavailableError as error:
    pytestmark = pytest.mark.skip(reason=str(error))


def settings(seeds=2, **fields):
    count = itertools.count(1000)
    return Settings(seeds, draw_seed=lambda: next(count), **fields)


@pytest.fixture
def made(tmp_path):
    """Write the task with these sections, and a run of it with this champion."""

    def write_both(champion, *sections, **fields):
        task = write_task(tmp_path / "task", *sections)
        return write_run(tmp_path / "run", task, champion, **fields)

    return write_both


def test_an_honest_champion_holds_exactly(made):
    seen = []
    run = made(HONEST, HELD_OUT)
    found = verify(run, settings(on_trial=lambda trial, n, total: seen.append((trial.side, n))))
    assert (found.verdict, found.method) == ("holds", "held_out")
    assert found.effect.exact
    assert found.effect.centre == 0.75 + 3.75 + 8.75
    assert found.seeds == (1000, 1001)
    order = ["start", "champion", "champion", "start"]
    assert seen == list(zip(order, range(1, 5), strict=True))
    assert [trial.seed for trial in found.trials] == [1000, 1000, 1001, 1001]
    assert found.trusted
    assert found.environment.sandbox_kind == "bubblewrap"


def test_an_overfitted_champion_does_not_hold(made):
    found = verify(made(OVERFITTED, HELD_OUT), settings())
    assert found.verdict == "does not hold"
    assert "no better than the start in error" in found.reason
    assert found.selection.metrics == {"error": 0.0}


@pytest.mark.slow
def test_noise_is_given_an_interval(made):
    found = verify(made(HONEST, VERIFICATION), settings(None))
    assert (found.verdict, found.method) == ("holds", "verify")
    assert len(found.seeds) == 3
    assert not found.effect.exact
    # Paired by seed, the noise of the toy cancels; the evaluator's own intervals do not.
    assert found.effect.centre == pytest.approx(13.25)
    assert found.effect.high - found.effect.low == pytest.approx(2 * 0.1 * (2 / 3) ** 0.5)


def test_what_only_the_verification_tries_decides(made):
    found = verify(made(FRAGILE, VERIFICATION, HELD_OUT), settings())
    assert found.verdict == "does not hold"
    assert "ZeroDivisionError" in found.reason
    assert found.effect is None
    assert found.trials[-1].side == "champion"


@pytest.mark.slow
def test_without_held_out_data_the_search_is_repeated(made):
    found = verify(made(OVERFITTED), settings())
    assert (found.verdict, found.method) == ("holds", "search")
    assert "no held-out data" in certificates.HOW[found.method]


def test_constructions_are_computed_anew(made):
    run = made(HONEST, CONSTRUCTION, constructions=([1, 2], [1, 2, 3]), claimed=7.0)
    found = verify(run, settings())
    assert (found.verdict, found.method, found.seeds) == ("holds", "construction", ())
    assert [trial.metrics["error"] for trial in found.trials] == [8.0, 7.0]
    assert found.effect.exact


@pytest.mark.parametrize(
    ("construction", "claimed", "words"),
    [
        ([1, 2, 2], 7.0, "must be distinct"),
        ([1, 2, 3.5], 7.0, "expected whole numbers"),
        ([1, 2, 3], 2.0, "claims error 2.0, its construction earns 7.0"),
        ([1], 2.0, "no better than the start"),
    ],
)
def test_tampered_constructions_are_refused(made, construction, claimed, words):
    run = made(HONEST, CONSTRUCTION, constructions=([1, 2], construction), claimed=claimed)
    found = verify(run, settings())
    assert found.verdict == "does not hold"
    assert words in found.reason


def test_a_start_without_construction_is_told(made):
    run = made(HONEST, CONSTRUCTION, constructions=(None, [1]))
    with pytest.raises(CertificateError, match="the start left no construction"):
        verify(run, settings())


@pytest.mark.slow
def test_a_certificate_is_repeated(made, tmp_path):
    run = made(HONEST, HELD_OUT)
    first = verify(run, settings())
    path = output_path(run, None)
    write(first, path)
    shutil.rmtree(run)
    path = tmp_path / "elsewhere" / "certificate.json"
    write(first, path)
    again = verify(path, Settings(2))
    assert again.verdict == "holds"
    assert again.repeats == first.sha256
    assert again.program == first.program
    assert not set(again.seeds) & set(first.seeds)
    assert output_path(path, None).name == "certificate-repeated.json"
    assert output_path(path, tmp_path).name == "certificate.json"


@pytest.mark.slow
def test_a_certificate_needs_its_own_task(made, tmp_path):
    first = verify(made(HONEST, HELD_OUT), settings())
    path = tmp_path / "c.json"
    write(first, path)
    (tmp_path / "task" / "evaluate.py").write_text("def evaluate(c): return {'error': -1.0}\n")
    with pytest.raises(CertificateError, match="is not here as it was certified"):
        verify(path, settings())
    with pytest.raises(CertificateError, match="is not the task"):
        verify(path, settings(task=str(tmp_path / "task")))


def exported(run, to):
    with Store.open(run, readonly=True) as store:
        export(store, to)
    return to


@pytest.mark.slow
def test_an_exported_champion_needs_neither_run_nor_task(made, tmp_path):
    run = made(HONEST, HELD_OUT)
    (tmp_path / "task" / "README.md").write_text("the task's own")
    folder = exported(run, tmp_path / "champion")
    shutil.rmtree(tmp_path / "task")
    shutil.rmtree(run)
    first = verify(folder, settings())
    assert first.verdict == "holds"
    assert first.task.digest == first.selection.task_digest
    assert first.start.files == {"squares.py": START}
    path = output_path(folder, None)
    assert path == folder / "certificate.json"
    write(first, path)
    assert verify(path, settings()).verdict == "holds"


def test_an_exported_champion_that_was_changed_is_refused(made, tmp_path):
    folder = exported(made(HONEST, HELD_OUT), tmp_path / "champion")
    (folder / "squares.py").write_text(OVERFITTED)
    with pytest.raises(RunError, match="the program was changed since it was exported"):
        verify(folder, settings())


def test_an_exported_task_that_was_changed_is_refused(made, tmp_path):
    folder = exported(made(HONEST, HELD_OUT), tmp_path / "champion")
    text = (folder / "evaluate.py").read_text()
    (folder / "evaluate.py").write_text(text.replace("abs(a - p * p)", "0.0"))
    with pytest.raises(RunError, match="not the one that the champion was selected on"):
        verify(folder, settings())


@pytest.mark.parametrize("key", ["program", "search", "start_program", "task_digest"])
def test_damaged_exports_are_told(made, tmp_path, key):
    folder = exported(made(HONEST, HELD_OUT), tmp_path / "champion")
    data = json.loads((folder / "evaluation.json").read_text())
    data[key] = None if key == "task_digest" else 3
    (folder / "evaluation.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match=str(folder)):
        verify(folder, settings())


def test_no_improvement_is_nothing_to_verify(made):
    with pytest.raises(RunError, match="no improvement found: nothing to verify"):
        verify(made(None, HELD_OUT), settings())


@pytest.mark.slow
def test_a_changed_task_is_told_and_can_be_chosen(made, tmp_path):
    run = made(HONEST)
    with (tmp_path / "task" / "task.toml").open("a") as file:
        file.write(HELD_OUT)
    with pytest.raises(RunError, match="has changed since the run"):
        verify(run, settings())
    found = verify(run, settings(task=str(tmp_path / "task")))
    assert (found.verdict, found.method) == ("holds", "held_out")
    assert "has changed since the run" in certificates.caveats(found)[0]


def test_a_task_that_is_gone_is_told(made, tmp_path):
    run = made(HONEST)
    shutil.rmtree(tmp_path / "task")
    with pytest.raises(RunError, match="is gone from"):
        verify(run, settings())


def test_a_task_of_other_files_is_told(made, tmp_path):
    run = made(HONEST)
    (tmp_path / "task" / "squares.py").rename(tmp_path / "task" / "other.py")
    toml = (tmp_path / "task" / "task.toml").read_text().replace("squares.py", "other.py")
    (tmp_path / "task" / "task.toml").write_text(toml)
    with pytest.raises(RunError, match="evolves other files"):
        verify(run, settings(task=str(tmp_path / "task")))


def test_nothing_there_is_told(tmp_path):
    with pytest.raises(RunError, match="holds no run, exported champion or certificate"):
        verify(tmp_path, settings())
    with pytest.raises(UserError, match="--seeds"):
        verify(tmp_path, settings(0))


@pytest.mark.slow
def test_figures_of_unsandboxed_runs_are_marked(made):
    run = made(HONEST, HELD_OUT, sandbox="none")
    assert certificates.bars(verify(run, settings(1)))[0].endswith("during the run")
    both = certificates.bars(verify(run, settings(1, sandbox="none")))[0]
    assert both.endswith("during the run and the verification")
