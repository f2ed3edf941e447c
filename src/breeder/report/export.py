"""The champion as a folder that stands alone: program, evaluator, figures, a way to repeat them."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from breeder.archive.confirmed import confirmed_row
from breeder.archive.store import FILE_NAME as STORE_NAME
from breeder.archive.store import EvaluationRecord, Store
from breeder.errors import BreederError, RunError
from breeder.evaluation import wire
from breeder.report import reproduction
from breeder.report.export_readme import readme
from breeder.report.records import RunSummary
from breeder.report.summary import summarise
from breeder.report.verdict import NO_CHALLENGER
from breeder.task import Task
from breeder.task_formats import load

LARGEST_FILE = 16 * 2**20
"""Bytes. Larger files of a task folder are data that a copy should not carry around."""

_OWN = frozenset(
    {"README.md", "evaluation.json", "reproduce.py", "construction.msgpack", "construction.json"}
)


def export(store: Store, to: Path) -> tuple[str, ...]:
    """Write the champion of a run as a standalone folder.

    Args:
        store: the run.
        to: the folder to write; must not exist or be empty.

    Returns:
        Lines for the user: what was written, then what could not be, one line each.

    Raises:
        RunError: nothing succeeded in this run, `to` holds files, or it cannot be written.
        StoreError: the store is damaged.
    """
    champion = confirmed_row(store, store.champion())
    if champion is None and store.confirmed() is not None:
        raise RunError(f"nothing to export: {NO_CHALLENGER}")
    if champion is None:
        raise RunError("nothing to export: no evaluation of this run succeeded")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise RunError(f"{to}: is not an empty folder; name another")
    task, problems = _task(store)
    summary = summarise(store)
    try:
        to.mkdir(parents=True, exist_ok=True)
        if task is not None:
            problems += _copy_task(task, to)
        _write_program(store.program(champion.program_id).files, to)
        construction = champion.evaluation.construction
        if construction is not None:
            (to / "construction.msgpack").write_bytes(construction)
            (to / "construction.json").write_text(_readable(construction), encoding="utf-8")
        _write_json(
            to / "evaluation.json",
            _evaluation(store, summary, champion, with_task=task is not None),
        )
        (to / "README.md").write_text(
            readme(summary, problems, with_task=task is not None), encoding="utf-8"
        )
        if task is not None:
            shutil.copyfile(reproduction.__file__, to / "reproduce.py")
    except OSError as error:
        raise RunError(f"{to}: cannot be written: {error.strerror or error}") from None
    return (f"wrote {to}", *problems)


def _task(store: Store) -> tuple[Task | None, list[str]]:
    run = store.run()
    try:
        task = load(Path(run.task_folder))
    except BreederError as error:
        return None, [f"the task cannot be read any more, so only the program was written: {error}"]
    if task.digest() == run.task_digest:
        return task, []
    return task, [
        "the task folder has changed since the run: the copied evaluator may score differently"
    ]


def _copy_task(task: Task, to: Path) -> list[str]:
    problems = []
    for source in list(_task_files(task.folder, to.resolve())):
        relative = source.relative_to(task.folder)
        if source.stat().st_size > LARGEST_FILE:
            problems.append(f"{relative} was left out: larger than {LARGEST_FILE // 2**20} MiB")
            continue
        # Names that the export itself uses make way, e.g. README.md -> task_README.md.
        name = f"task_{relative}" if str(relative) in _OWN else str(relative)
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return problems


def _task_files(folder: Path, to: Path) -> Iterator[Path]:
    """Yield the files of a task folder: no caches, hidden files, runs, nor the export itself."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__" or path.resolve() == to:
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(folder):
            continue
        if path.is_file():
            yield path
        elif path.is_dir() and not path.is_symlink() and not (path / STORE_NAME).exists():
            yield from _task_files(path, to)


def _write_program(files: Mapping[str, str], to: Path) -> None:
    for name, text in files.items():
        target = (to / name).resolve()
        if not target.is_relative_to(to.resolve()):
            raise RunError(
                f"{name!r} in the store lies outside the folder; nothing like it is written"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="")


def _readable(construction: bytes) -> str:
    try:
        value = wire.decode(construction)
    except wire.WireError as error:
        return json.dumps({"unreadable": str(error)}) + "\n"
    return json.dumps(_plain(value), indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    """Turn wire data into what JSON can say: arrays as lists, bytes in base 64, NaN as text."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, complex):
        return {"real": _plain(value.real), "imag": _plain(value.imag)}
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def _evaluation(
    store: Store, summary: RunSummary, champion: EvaluationRecord, *, with_task: bool
) -> dict[str, Any]:
    run, start = store.run(), summary.start
    first = store.start()
    program = store.program(champion.program_id)
    held_out = store.held_out(champion.program_id)
    return {
        "format": 1,
        "task": run.task_name,
        "task_kind": run.task_kind,
        "task_digest": run.task_digest,
        "task_copied": with_task,
        "sandbox": run.sandbox,
        "trusted": run.trusted and champion.evaluation.trusted,
        "objectives": list(summary.objectives),
        "program": {
            "id": program.id,
            "fingerprint": program.fingerprint,
            "proposer": program.proposer,
            "note": program.note,
            "generation": program.generation,
            "sha256": {n: hashlib.sha256(t.encode()).hexdigest() for n, t in program.files.items()},
        },
        "search": _row(champion),
        "held_out": _row(held_out) if held_out else None,
        "start": dict(start.metrics) if start else None,
        "start_held_out": dict(start.held_out) if start and start.held_out else None,
        "start_program": dict(store.program(first.program_id).files) if first else None,
        "start_construction": _base64(first.evaluation.construction) if first else None,
        "baselines": [asdict(row) for row in summary.baselines],
        "improvement": summary.improvement,
        "race": asdict(summary.race) if summary.race else None,
        "held_out_verdict": summary.held_out_verdict,
        "baseline_verdict": summary.baseline_verdict,
        "run": {
            "status": run.status,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "elapsed": summary.elapsed,
            "evaluations": summary.evaluations,
            "config": summary.config,
            "cost": {phase: asdict(cost) for phase, cost in summary.cost.items()},
        },
        "machine": summary.machine,
        "breeder_version": run.breeder_version,
    }


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _row(row: EvaluationRecord) -> dict[str, Any]:
    evaluation = row.evaluation
    return {
        "metrics": dict(evaluation.metrics),
        "fitness": row.fitness,
        "intervals": dict(evaluation.intervals),
        "failure": str(evaluation.failure) if evaluation.failure else None,
        "seed": evaluation.seed,
        "cost": asdict(evaluation.cost),
        "stage": evaluation.stage,
        "construction_sha256": None
        if evaluation.construction is None
        else hashlib.sha256(evaluation.construction).hexdigest(),
    }


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
