"""Evolves kernels for a script's own shapes, with the usual engine, sandbox and verification."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from breeder.acceleration.shapes import Wanted, derived
from breeder.config import load_config
from breeder.errors import BreederError
from breeder.machine import cores
from breeder.runner import Run
from breeder.verification.registry import Registry
from breeder.verification.verify import Settings, output_path, verify, write

Tell = Callable[[str], None]


def evolve(
    todo: Sequence[Wanted], cpu_seconds: float, folder: Path, registry: Registry, tell: Tell
) -> int:
    """Evolve a kernel for each, sharing the budget equally; returns how many were adopted.

    Args:
        todo: the hottest first.
        cpu_seconds: of searching, all together.
        folder: tasks and runs go here; a run that is there already goes on.
        registry: adopted champions go here.
        tell: told what happens, line by line.
    """
    adopted = 0
    for number, one in enumerate(todo, 1):
        share = cpu_seconds / len(todo)
        tell(f"[{number}/{len(todo)}] evolving {one.op} for {one.word}, {share:.0f} CPU seconds")
        try:
            verdict = _evolved(one, share, folder, registry)
        except BreederError as error:
            verdict = f"nothing: {error}"
        adopted += verdict.startswith("adopted")
        tell(f"[{number}/{len(todo)}] {one.op} for {one.word}: {verdict}")
    return adopted


def _evolved(one: Wanted, cpu_seconds: float, folder: Path, registry: Registry) -> str:
    place = folder / f"{one.op}-{one.word}"
    task = derived(one, place / "task")
    run = place / "run"
    overrides = {"budget.cpu_seconds": cpu_seconds, "seed": 1}
    config = load_config(None, overrides, defaults={"slots": cores()})
    sitting = Run(task, config, run)
    ending = asyncio.run(sitting.resume() if run.is_dir() else sitting.start())
    if ending.status == "stopped":
        raise KeyboardInterrupt
    certificate = verify(run, Settings(task=str(task.folder)))
    write(certificate, output_path(run, None))
    if certificate.verdict != "holds":
        return f"not adopted: {certificate.verdict}: {certificate.reason}"
    registry.adopt(certificate, certificate.program.files)
    return f"adopted: {certificate.reason}"
