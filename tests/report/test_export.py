import hashlib
import json
import shutil

import numpy as np
import pytest
from tests.report.made_up_run import START, Recipe, program_of, write_run

from breeder.archive.store import EvaluationRecord, Store
from breeder.core import Evaluation
from breeder.errors import RunError
from breeder.evaluation import wire
from breeder.report.export import export
from breeder.task_formats import load


def test_folder_stands_alone(opened, tmp_path):
    store = opened()
    lines = export(store, tmp_path / "out")
    assert lines == (f"wrote {tmp_path / 'out'}",)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "README.md", "construction.json", "construction.msgpack", "evaluate.py",
        "evaluation.json", "packing.py", "reproduce.py", "sizes.txt", "task.toml",
    }  # fmt: skip
    champion = store.program(store.champion().program_id)
    assert load(tmp_path / "out").files == champion.files


def test_evaluation_holds_figures_hashes_and_origin(opened, tmp_path):
    store = opened()
    export(store, tmp_path)
    data = json.loads((tmp_path / "evaluation.json").read_text(encoding="utf-8"))
    champion = store.champion()
    assert data["search"]["metrics"] == champion.evaluation.metrics
    assert data["search"]["seed"] == champion.evaluation.seed
    held_out = store.held_out(champion.program_id).evaluation.metrics
    assert data["held_out"]["metrics"] == held_out
    program = (tmp_path / "packing.py").read_bytes()
    assert data["program"]["sha256"] == {"packing.py": hashlib.sha256(program).hexdigest()}
    artefact = (tmp_path / "construction.msgpack").read_bytes()
    assert data["search"]["construction_sha256"] == hashlib.sha256(artefact).hexdigest()
    assert data["trusted"] is True
    assert data["machine"]["processor"] == "made up"
    assert data["breeder_version"] == "0.1.0"
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "better than the start on held-out data" in text
    assert "random search, same CPU time as the run" in text


def test_full_folder_is_left_alone(opened, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(RunError, match="not an empty folder"):
        export(opened(), tmp_path)
    with pytest.raises(RunError, match="not an empty folder"):
        export(opened(), tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_to_export(opened, tmp_path):
    with pytest.raises(RunError, match="no evaluation of this run succeeded"):
        export(opened(succeeding=False, evaluations=20), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_program_survives_a_lost_task(tmp_path):
    run = write_run(tmp_path, Recipe(evaluations=9))
    shutil.rmtree(tmp_path / "task")
    with Store.open(run, readonly=True) as store:
        lines = export(store, tmp_path / "out")
    assert len(lines) == 2
    assert lines[1].startswith("the task cannot be read any more, so only the program was written")
    assert "\n" not in lines[1]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "packing.py" in names
    assert not {"evaluate.py", "reproduce.py"} & names
    assert "cannot be repeated" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_changed_task_is_told(tmp_path):
    run = write_run(tmp_path, Recipe(evaluations=9))
    (tmp_path / "task" / "sizes.txt").write_text("0.9\n")
    with Store.open(run, readonly=True) as store:
        lines = export(store, tmp_path / "out")
    assert "has changed since the run" in lines[1]
    assert "has changed since the run" in (tmp_path / "out/README.md").read_text(encoding="utf-8")


def test_what_is_copied_of_the_task(tmp_path):
    run = write_run(tmp_path, Recipe(evaluations=9))
    task = tmp_path / "task"
    for name in ("README.md", "data/a.csv", ".secret", "__pycache__/x.pyc", "runs/1/run.db"):
        (task / name).parent.mkdir(parents=True, exist_ok=True)
        (task / name).write_text(name)
    (task / "link").symlink_to(run / "run.db")
    with Store.open(run, readonly=True) as store:
        export(store, task / "exported")
    copied = {p.relative_to(task / "exported").as_posix() for p in task.glob("exported/**/*")}
    assert {"task_README.md", "data/a.csv"} <= copied
    assert not {".secret", "__pycache__", "runs/1", "link", "exported"} & copied
    assert (task / "exported" / "README.md").read_text(encoding="utf-8") != "README.md"


def test_paths_in_a_store_cannot_leave_the_folder(tmp_path):
    run = write_run(tmp_path / "a", Recipe(evaluations=3, status="running"))
    with Store.open(run) as store:
        program = program_of(START.replace("0.125", "0.75"), parents=("x",))
        object.__setattr__(program, "files", {"../escaped.py": "print(1)"})
        store.record(
            program, EvaluationRecord(program.id, Evaluation({"excess": 0.0}), draw=7, fitness=0.0)
        )
        with pytest.raises(RunError, match="lies outside the folder"):
            export(store, tmp_path / "out")
    assert not (tmp_path / "escaped.py").exists()


def test_constructions_become_readable(tmp_path):
    run = write_run(tmp_path / "a", Recipe(evaluations=3, status="running"))
    value = {"radii": np.array([[1.5, np.inf]]), "raw": b"\x00\xff", "flags": [True, None]}
    with Store.open(run) as store:
        program = program_of(START.replace("0.125", "0.75"), parents=(store.start().program_id,))
        evaluation = Evaluation({"excess": 0.0}, construction=wire.encode(value))
        store.record(program, EvaluationRecord(program.id, evaluation, draw=7, fitness=0.0))
        export(store, tmp_path / "out")
    readable = json.loads((tmp_path / "out" / "construction.json").read_text(encoding="utf-8"))
    assert readable == {
        "radii": [[1.5, "inf"]],
        "raw": {"base64": "AP8="},
        "flags": [True, None],
    }
