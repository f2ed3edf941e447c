"""A small task with runs and certificates of it, made without any search."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from breeder.admission import program_id
from breeder.archive.store import EvaluationRecord, RunRecord, Store
from breeder.core import Direction, Evaluation, Program
from breeder.evaluation import wire
from breeder.task import Task, load_native
from breeder.verification import certificate as certificates
from breeder.verification.certificate import (
    Certificate,
    Environment,
    ObjectiveRecord,
    ProgramRecord,
    Selection,
    TaskRecord,
    Trial,
)
from breeder.verification.judgement import judge

START = """# EVOLVE-BLOCK-START
def squares(points):
    return [p for p in points]
# EVOLVE-BLOCK-END
"""
HONEST = START.replace("p for p", "p * p for p")
# Right on the points of the search, far off everywhere else.
OVERFITTED = START.replace("p for p", "{1.0: 1.0, 2.0: 4.0, 3.0: 9.0}.get(p, 1e6) for p")
# Right for small points; raises where only the verification looks.
FRAGILE = START.replace("p for p", "p * p / (p < 100.0) for p")

HEAD = """[task]
name = "toys/squares"
goal = "Square numbers."

[program]
files = ["squares.py"]

[[objective]]
name = "error"
direction = "minimize"
"""
HELD_OUT = "\n[held_out]\n"
VERIFICATION = '\n[verification]\nfunction = "verify"\nseeds = 3\n'
CONSTRUCTION = '\n[construction]\ncarry = true\nverify = "check"\n'

EVALUATE = '''"""Scores squares."""

import random

from breeder.evaluation import Candidate, InvalidAnswerError, Result


def error(candidate: Candidate, points: list[float]) -> float:
    answer = candidate.call("squares", points)
    return sum(abs(a - p * p) for a, p in zip(answer, points, strict=True))


def evaluate(candidate: Candidate) -> dict[str, float]:
    return {"error": error(candidate, [1.0, 2.0, 3.0])}


def evaluate_held_out(candidate: Candidate) -> dict[str, float]:
    return {"error": error(candidate, [1.5, 2.5, 3.5])}


def verify(candidate: Candidate) -> Result:
    error(candidate, [1000.0])
    value = error(candidate, [1.5, 2.5, 3.5]) + random.Random(candidate.seed).gauss(5.0, 0.5)
    return Result({"error": value}, intervals={"error": (value - 0.1, value + 0.1)})


def check(construction: object) -> dict[str, float]:
    """Distinct whole numbers below ten; the more, the smaller the error."""
    if not isinstance(construction, list) or any(type(n) is not int for n in construction):
        raise InvalidAnswerError("expected whole numbers")
    if len(set(construction)) < len(construction) or not all(0 <= n < 10 for n in construction):
        raise InvalidAnswerError("the numbers must be distinct and below ten")
    return {"error": 10.0 - len(construction)}
'''


def write_task(folder: Path, *sections: str) -> Task:
    """Write the task with these sections beside the fixed ones."""
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(HEAD + "".join(sections), encoding="utf-8")
    (folder / "evaluate.py").write_text(EVALUATE, encoding="utf-8")
    (folder / "squares.py").write_text(START, encoding="utf-8")
    return load_native(folder)


def program(text: str, **values: Any) -> Program:
    files = {"squares.py": text}
    return Program(program_id(files), files, **values)


def write_run(
    folder: Path,
    task: Task,
    champion: str | None,
    *,
    constructions: Sequence[Any] = (None, None),
    claimed: float = 0.0,
    **fields: Any,
) -> Path:
    """Write a finished run of a task whose champion has this text; None for no improvement."""
    record = RunRecord(
        breeder_version="0.1.0",
        task_name=task.name,
        task_kind=task.kind,
        task_folder=str(task.folder),
        task_digest=task.digest(),
        task_json=task.file.model_dump_json(),
        config_json="{}",
        sandbox="bubblewrap",
        trusted=task.trusted,
        machine_json="{}",
        started_at="2026-11-01T00:00:00+00:00",
        status="finished",
    )
    start = program(START)
    packed = [None if value is None else wire.encode(value) for value in constructions]
    with Store.create(folder, dataclasses.replace(record, **fields)) as store:
        first = Evaluation({"error": 8.0}, construction=packed[0], seed=1)
        store.record(start, EvaluationRecord(start.id, first, fitness=-8.0))
        if champion is not None:
            found = program(champion, parents=(start.id,), proposer="syntax", generation=1)
            best = Evaluation({"error": claimed}, construction=packed[1], seed=2)
            row = EvaluationRecord(found.id, best, draw=0, island=0, fitness=-claimed)
            store.record(found, row)
    return folder


def record(text: str) -> ProgramRecord:
    files = {"squares.py": text}
    return ProgramRecord(id=program_id(files), sha256=certificates.files_hash(files), files=files)


def trials(start: Sequence[float], champion: Sequence[float]) -> tuple[Trial, ...]:
    """Trials with seeds 0, 1, ... and these errors."""
    return tuple(
        Trial(side=side, seed=seed, metrics={"error": value})
        for side, values in (("start", start), ("champion", champion))
        for seed, value in enumerate(values)
    )


def certificate(
    champion: str = HONEST,
    outcome: tuple[Trial, ...] = trials((8.0, 9.0, 8.5), (1.0, 1.2, 0.9)),
    **fields: Any,
) -> Certificate:
    """A sealed certificate with these trials and the verdict that follows from them."""
    task = TaskRecord(
        name="toys/squares",
        digest="d" * 64,
        kind="breeder",
        folder="nowhere",
        objectives=(ObjectiveRecord(name="error", direction=Direction.MINIMIZE, weight=1.0),),
        ratio=False,
    )
    found = judge(outcome, task.as_objectives(), ratio=False)
    made = Certificate(
        format=certificates.FORMAT,
        verdict=found.verdict,
        reason=found.reason,
        method="held_out",
        trusted=True,
        task=task,
        program=record(champion),
        start=record(START),
        selection=Selection(
            split="search",
            seed=2,
            metrics={"error": 0.0},
            start_metrics={"error": 8.0},
            sandbox="bubblewrap",
            trusted=True,
            task_digest="d" * 64,
            breeder="0.1.0",
        ),
        seeds=tuple(sorted({trial.seed for trial in outcome if trial.seed is not None})),
        trials=outcome,
        effect=found.effect,
        environment=Environment(
            breeder="0.1.0",
            python="3.11",
            packages={"numpy": "2"},
            compilers={},
            machine={"processor": "made up", "cores": 2},
            sandbox="bubblewrap: made up",
            sandbox_kind="bubblewrap",
        ),
        created_at="2026-11-02T00:00:00+00:00",
    )
    return certificates.seal(msgspec.structs.replace(made, **fields))
