"""Profiles a script, tries flags and kernels on it, evolves what is missing, sums it up."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import numpy as np

from breeder.acceleration.evolving import evolve
from breeder.acceleration.profile import Rates, Row, measured_rates, rows_of
from breeder.acceleration.script import Script
from breeder.acceleration.shapes import Wanted, profiled_layers, wanted
from breeder.acceleration.variant import Variant
from breeder.measurement import Comparison, Limits, Settings, compare
from breeder.training.sources import TASKS
from breeder.verification import registry as registries
from breeder.verification.registry import Registry

AGREEMENT = 1e-3
"""Relative L2 distance of first gradients beyond which kernels are not to be used."""

_EXACT = 1e-5  # relative error of a product in float32; operands in bfloat16 give 1e-3
_HOT = 3  # operations that a budget is shared between

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to look.

    Attributes:
        command: the script and its arguments.
        folder: logs, task folders, runs and the registry of what is evolved here.
        steps: that are profiled.
        seconds: of each comparison.
        evolve_cpu_seconds: of searching; 0 evolves nothing.
    """

    command: Sequence[str]
    folder: Path
    steps: int = 3
    seconds: float = 60.0
    evolve_cpu_seconds: float = 0.0


class Gain(msgspec.Struct, frozen=True):
    """Time of a step one way over that of another: `ratio` in [`low`, `high`].

    Attributes:
        before, after: names of the two ways.
        before_seconds, after_seconds: medians, CPU time on one thread, else wall time.
    """

    before: str
    after: str
    ratio: float
    low: float
    high: float
    pairs: int
    before_seconds: float
    after_seconds: float
    clock: str

    def __str__(self) -> str:
        return (
            f"{self.before} -> {self.after}: {self.before_seconds * 1e3:.1f} -> "
            f"{self.after_seconds * 1e3:.1f} ms a step ({self.clock} time), "
            f"{self.ratio:.3f}x [{self.low:.3f}, {self.high:.3f}], {self.pairs} pairs"
        )


class Outcome(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        rows: of the profile, per step: operator, shapes, calls, seconds, floor in seconds.
        flags: that are free.
        flag_gain, kernel_gain, strongest_gain: as found to flags, as found to kernels, and flags to
            flags and kernels.
        distance: of the first step's gradients with kernels from those without, relative L2 norm.
        predicted: seconds per step that kernels save, from their trials.
        buckets, lines: what kernels are used for, see `Script.report`.
        todo: shapes without a champion of their own.
        adopted: champions that were evolved here.
    """

    rows: list[dict[str, Any]]
    flags: list[str]
    flag_gain: Gain
    kernel_gain: Gain
    strongest_gain: Gain
    distance: float
    predicted: float
    buckets: list[dict[str, Any]]
    lines: list[str]
    todo: list[tuple[str, tuple[int, ...]]]
    adopted: int

    @property
    def advice(self) -> str:
        """What to do with the kernels, in one line."""
        if self.distance > AGREEMENT:
            return (
                f"the first gradients differ by {self.distance:.2g}: do not use the kernels, or "
                "fix the script's seeds and repeat"
            )
        if self.strongest_gain.ratio <= 1.0 and self.kernel_gain.ratio <= 1.0:
            return "kernels gain nothing on this script here"
        return "use them: with breeder.training.accelerate(model, optimiser): ..."


def analyse(plan: Plan, tell: Tell) -> Outcome:
    """Do all of it, telling what happens.

    Raises:
        UserError: the script fails or takes no steps, torch is missing.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    variants = _variants()
    registry = Registry(plan.folder / "registry")
    environment = {registries.VARIABLE: str(registry.folder)}
    if not registry.folder.is_dir():  # else it holds what an earlier call evolved
        environment = {}
    tell("profiling")
    with Script(plan.command, variants["found"], plan.folder) as found:
        profile = rows_of(found.profile(plan.steps), plan.steps)
        rates = measured_rates(found.threads)
        _tell_profile(profile, rates, tell)
        flags = _flags(variants["flags"])
        tell("free flags, a gain for you and none of ours: " + "; ".join(flags))
        with Script(plan.command, variants["flags"], plan.folder) as flagged:
            flag_gain = _gain(found, flagged, plan.seconds, tell)
            adopted, report = 0, _kernel_report(plan, variants["kernels"], environment)
            todo = _todo(report["buckets"], profile, registry)
            _tell_kernels(report, todo, tell)
            if plan.evolve_cpu_seconds and todo:
                hot = todo[:_HOT]
                adopted = evolve(hot, plan.evolve_cpu_seconds, plan.folder, registry, tell)
                environment = {registries.VARIABLE: str(registry.folder)}
            with Script(plan.command, variants["kernels"], plan.folder, environment) as fast:
                kernel_gain = _gain(found, fast, plan.seconds, tell)
                report = fast.report()
            with Script(plan.command, variants["both"], plan.folder, environment) as fastest:
                strongest = _gain(flagged, fastest, plan.seconds, tell)
    return Outcome(
        [_row(one, rates) for one in profile], flags, flag_gain, kernel_gain, strongest,
        _distance(plan.folder, "found", "kernels"), _predicted(report["buckets"]),
        report["buckets"], report["lines"], [(one.op, one.shape) for one in todo], adopted,
    )  # fmt: skip


def _todo(
    buckets: Sequence[dict[str, Any]], profile: Sequence[Row], registry: Registry
) -> list[Wanted]:
    """Hot shapes without a champion; products go by the profile where linear layers stay.

    One that an earlier call adopted counts, though PyTorch may be faster than it.
    """
    found = wanted(buckets)
    if not any(one["op"].startswith("linear") for one in buckets):
        found += profiled_layers(profile)
    adopted = {one.task for one in registry.adopted()}
    left = [one for one in found if f"{TASKS[one.op]}/{one.word}" not in adopted]
    return sorted(left, key=lambda one: -one.seconds)


def _variants() -> dict[str, Variant]:
    precision = "medium" if _exact_at("medium") else ""
    flags = Variant(name="flags", precision=precision, fused=True, keep_memory=True)
    return {
        "found": Variant(name="found"),
        "flags": flags,
        "kernels": Variant(name="kernels", kernels=True),
        "both": msgspec.structs.replace(flags, name="both", kernels=True),
    }


def _exact_at(precision: str) -> bool:
    """Whether products of float32 matrices keep their accuracy at that precision here.

    Where processors multiply bfloat16 in hardware, PyTorch rounds operands to it.
    """
    from breeder.training.pytorch import torch

    generator = torch.Generator().manual_seed(1)
    a, b = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        return bool((a @ b - exact).norm() <= _EXACT * exact.norm())
    finally:
        torch.set_float32_matmul_precision(before)


def _flags(variant: Variant) -> list[str]:
    found = ["MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ at 8589934592"]
    found.append("torch.optim.AdamW(..., fused=True)")
    if variant.precision:
        found.append(f'torch.set_float32_matmul_precision("{variant.precision}")')
    else:
        found.append(
            "torch.set_float32_matmul_precision is left out: it rounds operands to bfloat16 here"
        )
    return found


def _gain(before: Script, after: Script, seconds: float, tell: Tell) -> Gain:
    """Compare two ways, step by step, in random order."""
    names = before.variant.name, after.variant.name
    tell("comparing {} with {}, at most {:.0f} s".format(*names, seconds))
    before.step()
    after.step()  # both are there before the clock runs
    settings = Settings(threads=max(before.threads, after.threads), margin=0.01)
    result = compare(
        before.step, after.step, rng=random.Random(1),
        limits=Limits(seconds=seconds, pairs=2000, warm_up=2), settings=settings,
    )  # fmt: skip
    gain = Gain(
        *names, result.ratio, result.low, min(result.high, 1e3),
        result.pairs, *_medians(result), result.clock,
    )  # fmt: skip
    tell(str(gain) + (f" ({result.note})" if result.note else ""))
    return gain


def _medians(result: Comparison) -> tuple[float, float]:
    sides = result.baseline_seconds, result.candidate_seconds
    first, second = (
        median(one.cpu_seconds if result.clock == "cpu" else one.wall_seconds for one in side)
        for side in sides
    )
    return first, second


def _kernel_report(plan: Plan, variant: Variant, environment: dict[str, str]) -> dict[str, Any]:
    with Script(plan.command, variant, plan.folder, environment) as script:
        script.step()
        return script.report()


def _distance(folder: Path, first: str, second: str) -> float:
    a, b = (np.load(folder / f"{name}.npy").astype(float) for name in (first, second))
    if a.shape != b.shape:
        return float("inf")
    return float(np.linalg.norm(a - b) / max(float(np.linalg.norm(a)), 1e-30)) if a.size else 0.0


def _predicted(buckets: Sequence[dict[str, Any]]) -> float:
    return float(
        sum(one["calls"] * (one["pytorch"] - one["kernel"]) for one in buckets if one["taken"])
    )


def _row(row: Row, rates: Rates) -> dict[str, Any]:
    return {
        "op": row.op, "shapes": row.shapes, "calls": row.calls, "seconds": row.seconds,
        "floor": row.floor(rates), "bytes": row.bytes, "flops": row.flops,
    }  # fmt: skip


def _tell_profile(profile: Sequence[Row], rates: Rates, tell: Tell) -> None:
    whole = sum(row.seconds for row in profile)
    tell(
        f"{whole * 1e3:.1f} ms of operators a step; this machine moves {rates.bytes / 1e9:.1f} "
        f"GB/s and multiplies at {rates.flops / 1e9:.0f} GFLOP/s"
    )
    tell(f"{'share':>6} {'ms':>8} {'floor ms':>9} {'calls':>6}  operator and shapes")
    for row in profile[:15]:
        shapes = " ".join("x".join(map(str, shape)) for shape in row.shapes[:3])
        tell(
            f"{row.seconds / max(whole, 1e-12):>6.1%} {row.seconds * 1e3:>8.2f} "
            f"{row.floor(rates) * 1e3:>9.2f} {row.calls:>6.0f}  {row.op} {shapes}"
        )


def _tell_kernels(report: dict[str, Any], todo: Sequence[Wanted], tell: Tell) -> None:
    for line in report["lines"]:
        tell(line)
    tell(f"kernels should save {_predicted(report['buckets']) * 1e3:.1f} ms a step")
    for one in todo[:_HOT]:
        tell(f"no champion of its own: {one.op} for {one.word}, {one.seconds * 1e3:.1f} ms a step")
