"""Runs every hostile program through a real run, between honest ones."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

from breeder.admission import Admission
from breeder.archive.store import RunRecord, Store
from breeder.assembly import grammar_of, new_archive
from breeder.config import RunConfig
from breeder.core import Budget
from breeder.engine import Engine
from breeder.executors.local import LocalExecutor
from breeder.ledger import Ledger, SystemClock
from breeder.progress import Parts, Settings
from breeder.proposers.mixture import Mixture
from breeder.proposers.scripted import ScriptedProposer
from breeder.task import load_native
from tests.hostile.programs import EVALUATE, HONEST, INITIAL, PROGRAMS, TASK_TOML, source

CANARY = "CANARY-7f3a91"


class Verdict(NamedTuple):
    """What became of one hostile program: failure kind ('' on success, 'refused'), score, text."""

    kind: str
    score: float | None
    text: str


class Campaign(NamedTuple):
    """The whole campaign: verdict by name, scores of the honest programs, leaks, survivors."""

    verdicts: dict[str, Verdict]
    honest: list[float | None]
    champion_score: float
    untouched: bool
    leaks: list[str]
    reason: str


def write_task(folder: Path) -> None:
    """The task that the hostile programs are candidates of."""
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(TASK_TOML)
    (folder / "initial.py").write_text(INITIAL)
    (folder / "evaluate.py").write_text(EVALUATE)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Content of every file of the task folder."""
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


async def _run(folder: Path) -> tuple[Engine, ScriptedProposer, str]:
    task = load_native(folder / "task")
    names = list(PROGRAMS)

    def script(number: int) -> dict[str, str] | None:
        index, odd = divmod(number, 2)
        if index >= len(names):
            return None
        if odd:  # an honest program, textually new each time
            return {"initial.py": source(f"honest_{index} = {index}\n" + HONEST)}
        return {"initial.py": source(PROGRAMS[names[index]][0])}

    proposer = ScriptedProposer(script)
    executor = LocalExecutor(task, slots=2, sandbox="bubblewrap")
    record = RunRecord("0", "t", "breeder", "", "", "{}", "{}", "bubblewrap", True, "{}", "")
    parts = Parts(
        task,
        new_archive(task, RunConfig()),
        Mixture([proposer]),
        Admission(task.files, grammar_of(task), source_kib=task.file.limits.source_kib),
        executor,
        Store.create(folder / "run", record),
        Ledger(Budget(evaluations=1000), SystemClock()),
    )
    engine = Engine(parts, Settings())
    await executor.start()
    try:
        return engine, proposer, await engine.run()
    finally:
        await executor.close()


def play(folder: Path) -> Campaign:
    """Run the campaign in `folder` and collect what matters."""
    write_task(folder / "task")
    before = snapshot(folder / "task")
    os.environ["CANARY_KEY"] = CANARY
    try:
        engine, proposer, reason = asyncio.run(_run(folder))
    finally:
        del os.environ["CANARY_KEY"]
    verdicts: dict[str, Verdict] = {}
    honest: list[float | None] = []
    names = list(PROGRAMS)
    for outcome in proposer.outcomes:
        index, odd = divmod(int(outcome.proposal.note.split()[1]), 2)
        score = outcome.fitness
        if odd:
            honest.append(score)
            continue
        if outcome.evaluation is None:
            verdicts[names[index]] = Verdict("refused", None, "")
        else:
            failure = outcome.evaluation.failure
            kind = "" if failure is None else failure.kind.value
            verdicts[names[index]] = Verdict(kind, score, str(failure or ""))
    champion = engine.parts.store.champion()
    assert champion is not None
    assert champion.fitness is not None
    engine.parts.store.close()
    leaks = [p.name for p in (folder / "run").iterdir() if CANARY.encode() in p.read_bytes()]
    return Campaign(
        verdicts, honest, champion.fitness, snapshot(folder / "task") == before, leaks, reason
    )
