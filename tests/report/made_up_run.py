"""Writes stores of made-up runs: plausible in every column, deterministic, no search behind."""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from breeder.archive.store import BaselineRecord, EvaluationRecord, RunRecord, Store
from breeder.core import Cost, Evaluation, Failure, FailureKind, Placement, Program
from breeder.task import load_native

START = '''"""Online bin packing: score the open bins for an item."""

import math


def prepare(item, bins):
    return [b - item for b in bins]


# EVOLVE-BLOCK-START
def priority(item, bins):
    """Return one score per bin; the highest wins."""
    weight = 0.5
    scores = []
    for b in bins:
        rest = b - item
        if rest < 0.125:
            scores.append(weight * rest)
        else:
            scores.append(-rest)
    return scores
# EVOLVE-BLOCK-END
'''

TASK = """[task]
name = "systems/made_up_packing"
goal = "Choose a bin for each item as it arrives, so that few bins are opened."

[program]
files = ["packing.py"]
readonly = ["sizes.txt"]

[[objective]]
name = "excess"
direction = "minimize"
OBJECTIVES
[held_out]

[[feature]]
name = "depth"
low = 0
high = 8
bins = 8
FEATURES
[budget]
evaluations = 500

[construction]
carry = true
"""

EVALUATE = '''"""Scores the made-up packing: a plain sum, told beforehand with pencil and paper."""


def evaluate(candidate):
    scores = candidate.call("priority", 0.5, [0.5, 0.75, 1.0])
    return {"excess": 10.0 + sum(scores), "depth": float(len(scores)), "speed": 1.0}


def evaluate_held_out(candidate):
    scores = candidate.call("priority", 0.25, [0.5, 0.75, 1.0])
    return {"excess": 10.0 + sum(scores), "speed": 1.0}
'''

NOTES = ("replaced a comparison", "changed 0.125", "grafted a branch", "tuned 3 constants")
PROPOSERS = ("syntax", "tuning", "recombination")
FAILURES = (
    (FailureKind.SYNTAX, "line 14: expected ':'"),
    (FailureKind.EXCEPTION, "ZeroDivisionError: float division by zero"),
    (FailureKind.CPU_TIME, "30 s used up"),
    (FailureKind.INVALID, "item 7 does not fit in bin 2"),
)


@dataclass(frozen=True)
class Recipe:
    """What the made-up run shall look like."""

    evaluations: int = 300
    islands: int = 3
    seed: int = 0
    sandbox: str = "bubblewrap"
    trusted: bool = True
    status: str = "finished"
    improving: bool = True
    succeeding: bool = True
    two_objectives: bool = False
    two_features: bool = True
    baselines: bool = True
    strong_baseline: bool = False
    held_out: bool = True


def program_of(text: str, **values: Any) -> Program:
    """A one-file program with an id of its own."""
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Program(key, {"packing.py": text}, fingerprint=key, **values)


def write_task(folder: Path, recipe: Recipe) -> Path:
    """Write the task folder that the run claims to be of."""
    folder.mkdir(parents=True, exist_ok=True)
    objective = '\n[[objective]]\nname = "speed"\ndirection = "maximize"\nweight = 0.1\n'
    feature = '\n[[feature]]\nname = "size"\nlow = 16\nhigh = 512\nbins = 6\nlog = true\n'
    text = TASK.replace("OBJECTIVES", objective if recipe.two_objectives else "")
    text = text.replace("FEATURES", feature if recipe.two_features else "")
    for name, content in (
        ("task.toml", text),
        ("packing.py", START),
        ("evaluate.py", EVALUATE),
        ("sizes.txt", "0.1 0.7 0.4\n"),
    ):
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def write_run(folder: Path, recipe: Recipe = Recipe()) -> Path:
    """Write a task folder and a run's store side by side; return the run's folder."""
    task = load_native(write_task(folder / "task", recipe))
    run = folder / "run"
    record = RunRecord(
        breeder_version="0.1.0",
        task_name=task.name,
        task_kind="breeder" if recipe.trusted else "openevolve",
        task_folder=str(task.folder),
        task_digest=task.digest(),
        task_json=task.file.model_dump_json(),
        config_json=json.dumps(
            {
                "seed": recipe.seed,
                "slots": 2,
                "sandbox": recipe.sandbox,
                "baselines": recipe.baselines,
                "budget": {"evaluations": recipe.evaluations, "minutes": None},
                "search": {"proposers": list(PROPOSERS), "islands": recipe.islands},
            }
        ),
        sandbox=recipe.sandbox,
        trusted=recipe.trusted,
        machine_json=json.dumps({"processor": "made up", "cores": 2, "memory_mib": 4096}),
        started_at="2026-01-02T03:04:05+00:00",
    )
    store = Store.create(run, record)
    try:
        _Writer(store, recipe).write()
    finally:
        store.close()
    return run


class _Writer:
    def __init__(self, store: Store, recipe: Recipe) -> None:
        self.store, self.recipe = store, recipe
        self.rng = random.Random(recipe.seed)
        self.elapsed = 0.0
        self.best: tuple[Program, Mapping[str, float], float] | None = None
        self.kept: list[Program] = []

    def write(self) -> None:
        recipe = self.recipe
        if recipe.evaluations:
            self._start()
        for draw in range(recipe.evaluations - 1):
            self._child(draw)
        self.store.save_discards({("syntax", "duplicate"): 17, ("tuning", "none"): 4})
        if recipe.held_out and self.best is not None:
            self._held_out()
        if recipe.baselines:
            self._baselines()
        if recipe.status != "running":
            self.store.update_run(
                status=recipe.status,
                detail="evaluations used up",
                finished_at="2026-01-02T03:14:05+00:00",
                elapsed=self.elapsed + 1.0,
                engine_cpu=0.004 * recipe.evaluations,
            )

    def _metrics(self, excess: float) -> dict[str, float]:
        return {
            "excess": excess,
            "depth": self.rng.uniform(0.0, 8.0),
            "speed": round(self.rng.gauss(1.0, 0.2) + 2.0 * excess, 4),
        }

    def _fitness(self, metrics: Mapping[str, float]) -> float:
        extra = 0.1 * metrics["speed"] if self.recipe.two_objectives else 0.0
        return -metrics["excess"] + extra

    def _start(self) -> None:
        program = program_of(START, size=64)
        metrics = {"excess": 0.0512, "depth": 2.0, "speed": 1.0}
        failure = None if self.recipe.succeeding else Failure(FailureKind.EXCEPTION, "boom")
        self._record(program, {} if failure else metrics, failure, draw=-1)
        self.kept.append(program)

    def _child(self, draw: int) -> None:
        parent = self.rng.choice(self.kept[-6:])
        proposer = self.rng.choices(PROPOSERS, weights=(5, 3 + draw / 40, 1))[0]
        program = program_of(
            self._edited(parent.files["packing.py"], proposer, draw),
            parents=(parent.id,),
            proposer=proposer,
            note=self.rng.choice(NOTES),
            size=max(8, parent.size + self.rng.randint(-9, 11)),
            generation=parent.generation + 1,
        )
        failed = not self.recipe.succeeding or self.rng.random() < 0.2
        kind, detail = self.rng.choice(FAILURES)
        reach = 0.0512 * (0.82 + 0.18 / (1 + draw / 30)) if self.recipe.improving else 0.0513
        excess = reach * (1 + abs(self.rng.gauss(0.0, 0.1)))
        if self.rng.random() < 0.06:
            excess *= 6.0
        metrics = {} if failed else self._metrics(round(excess, 6))
        self._record(program, metrics, Failure(kind, detail) if failed else None, draw=draw)

    def _edited(self, text: str, proposer: str, draw: int) -> str:
        if proposer == "tuning":
            return re.sub(r"weight = [\d.]+", f"weight = {self.rng.uniform(0.1, 0.9):.6f}", text)
        if proposer == "syntax":
            return text.replace(
                "    return scores", f"    scores[0] += {draw}e-6\n    return scores"
            )
        lines = text.replace("if rest <", "if rest + item * 0.25 <", 1)
        return re.sub(r"< 0\.\d+", f"< 0.{draw + 100}", lines)

    def _record(
        self,
        program: Program,
        metrics: Mapping[str, float],
        failure: Failure | None,
        *,
        draw: int,
        split: str = "search",
    ) -> None:
        rng = self.rng
        fitness = None if failure else self._fitness(metrics)
        gain, placement = 0.0, Placement.REJECTED
        if fitness is not None and split == "search":
            if self.best is None or fitness > self.best[2]:
                gain = 0.0 if self.best is None else fitness - self.best[2]
                self.best = (program, metrics, fitness)
                placement = Placement.NEW
            if placement or rng.random() < 0.1:
                self.kept.append(program)
        cpu = rng.uniform(0.02, 0.2)
        self.elapsed += cpu / 2
        evaluation = Evaluation(
            metrics=metrics,
            failure=failure,
            cost=Cost(cpu, cpu * 1.1, rng.randint(0, 900) if draw % 9 == 0 else 0, 0.0),
            stage="full",
            stages_run=1,
            construction=None if failure else msgspec.msgpack.encode({"bins": [0.5, draw]}),
            trusted=self.recipe.trusted,
        )
        search = split == "search"
        self.store.record(
            program,
            EvaluationRecord(
                program_id=program.id,
                evaluation=evaluation,
                split=split,
                draw=draw,
                island=-1 if failure or not search else rng.randrange(self.recipe.islands),
                fitness=fitness,
                placement=placement,
                gain=gain,
                elapsed=self.elapsed,
            ),
        )

    def _held_out(self) -> None:
        assert self.best is not None
        champion, metrics, _ = self.best
        excesses = {self.kept[0].id: 0.0539, champion.id: metrics["excess"] + 0.003}
        for program in {p.id: p for p in (self.kept[0], champion)}.values():
            held = {"excess": excesses[program.id], "speed": 1.0}
            self._record(program, held, None, draw=-1, split="held_out")

    def _baselines(self) -> None:
        rows = [
            BaselineRecord("first fit", "task", "search", {"excess": 0.0512, "speed": 2.0}, None),
            BaselineRecord("best fit", "task", "search", {"excess": 0.0489, "speed": 1.0}, None),
            BaselineRecord("best fit", "task", "held_out", {"excess": 0.0497, "speed": 1.0}, None),
            BaselineRecord(
                "random search", "matched", "search", {"excess": 0.0471, "speed": 1.0}, None,
                32.5, 290,
            ),
        ]  # fmt: skip
        if self.recipe.strong_baseline:
            metrics = {"excess": 0.0001, "speed": 1.0}
            rows.append(
                BaselineRecord("tuned start", "matched", "search", metrics, None, 31.0, 300)
            )
        for row in rows:
            fitness = self._fitness(row.metrics)
            self.store.save_baseline(replace(row, fitness=fitness))
