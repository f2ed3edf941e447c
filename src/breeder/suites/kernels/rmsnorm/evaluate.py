"""Scores an RMS normalisation kernel: right within float32, and faster than plain loops."""

import importlib.util
import math
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from breeder.core import NativeFunction
from breeder.evaluation import Candidate, Result
from breeder.kernels import (
    Argument,
    Effort,
    Expected,
    Inputs,
    Kernel,
    Output,
    Trial,
    TrialResult,
    TrustedProgram,
    compiled,
    rounding,
)  # fmt: skip

FOLDER = Path(__file__).parent
START = {"initial.cpp": (FOLDER / "initial.cpp").read_text(encoding="utf-8")}
EPSILONS = (1e-6, 1e-5)
WIDE = 1024  # columns


class Case(NamedTuple):
    """Rows and columns of an input, and what stands in it."""

    rows: int
    columns: int
    kind: str = "normal"

    def __str__(self) -> str:
        return f"{self.rows} x {self.columns}" + (f" {self.kind}" * (self.kind != "normal"))


QUICK = [Case(1, 1), Case(3, 5), Case(2, 16), Case(5, 33), Case(7, 100), Case(1, 1000)]
QUICK_TIMED = [Case(64, 256)]
SEARCH = [Case(96, 128), Case(64, 256), Case(33, 500), Case(8, 2048)]
HELD_OUT = [Case(100, 96), Case(48, 384), Case(25, 577), Case(4, 4096)]
VERIFIED = [
    *(Case(0, 64), Case(1, 2), Case(31, 1), Case(13, 17), Case(257, 3), Case(2, 4099)),
    *(Case(63, 65), Case(1, 15), Case(9, 31), Case(5, 127), Case(3, 1023), Case(2, 20000)),
    *(
        Case(3, n, kind)
        for kind in ("zero", "tiny", "huge", "NaN", "infinite")
        for n in (1, 7, 256)
    ),
]
UNLISTED = 8
QUICK_EFFORT = Effort(rounds=6, least=6, footprint_mib=1.5)
SEARCH_EFFORT = Effort(rounds=24, footprint_mib=1.5)
CONFIRM_EFFORT = Effort(rounds=16, footprint_mib=1.5)
VERIFY_EFFORT = Effort(rounds=48, footprint_mib=1.5, checked=2)


def draw(inputs: Inputs, case: Case) -> Sequence[Argument]:
    """The arguments of one call: x, weight, out, rows, columns, epsilon."""
    shape = (case.rows, case.columns)
    scale = {"zero": 0.0, "tiny": 1e-20, "huge": 2.5e17}.get(case.kind)
    x = inputs.normal(*shape, scale=inputs.magnitude(1e-3, 1e2) if scale is None else scale)
    if case.kind in ("NaN", "infinite"):
        column = inputs.rng.integers(case.columns)
        x[case.rows // 2, column] = np.nan if case.kind == "NaN" else -np.inf
    weight = inputs.normal(case.columns) + np.float32(1.0)
    return x, weight, Output(shape), *shape, float(inputs.rng.choice(EPSILONS))


def reference(case: Case, arguments: Sequence[Any]) -> Sequence[Expected]:
    """The formula in float64."""
    x, weight, epsilon = arguments[0].astype(float), arguments[1].astype(float), arguments[5]
    with np.errstate(invalid="ignore"):  # infinity times 0 is what the contract says: NaN
        factor = 1.0 / np.sqrt((x * x).mean(axis=1, keepdims=True) + float(np.float32(epsilon)))
        value = x * factor * weight
    return [Expected("out", value, rounding(np.float32, terms=case.columns))]


KERNEL = Kernel("rmsnorm", draw, reference)


def trial(candidate: Candidate) -> Trial[Case]:
    """The candidate beside the start."""
    return Trial(candidate, candidate.beside(START), KERNEL)


def quick(candidate: Candidate) -> Result:
    """First stage: small and odd sizes, then a glance at the speed."""
    on_trial = trial(candidate)
    on_trial.check(QUICK)
    result = on_trial.compare(QUICK_TIMED, QUICK_EFFORT)
    return Result({"quick_speedup": result.ratio})


def evaluate(candidate: Candidate) -> Result:
    """Second stage: all training shapes, until it is clear whether the champion is beaten."""
    result = trial(candidate).compare(SEARCH, SEARCH_EFFORT, candidate.to_beat)
    return scored(result, SEARCH)


def confirm(candidate: Candidate) -> Result:
    """A challenger on fresh samples; every input is fresh anyway."""
    result = trial(candidate).compare(SEARCH, CONFIRM_EFFORT, candidate.to_beat)
    return scored(result, SEARCH)


def evaluate_held_out(candidate: Candidate) -> Result:
    """Shapes that the search never timed."""
    return scored(trial(candidate).compare(HELD_OUT, VERIFY_EFFORT), HELD_OUT)


def verify(candidate: Candidate) -> Result:
    """Odd, empty and extreme inputs, then the held-out shapes timed from scratch."""
    on_trial = trial(candidate)
    on_trial.check([*VERIFIED, *QUICK, *SEARCH, *HELD_OUT, *unlisted(Inputs().rng)])
    return scored(on_trial.compare(HELD_OUT, VERIFY_EFFORT), HELD_OUT)


def unlisted(rng: np.random.Generator) -> list[Case]:
    """Cases that nobody can have prepared for: columns from 1 to 5000, few of them named above."""
    columns = np.exp(rng.uniform(0.0, math.log(5000.0), UNLISTED)).astype(int).tolist()
    return [Case(int(rng.integers(1, 2 + 20_000 // n)), n) for n in columns]


def scored(result: TrialResult, cases: Sequence[Case]) -> Result:
    """The speed-up with its interval, a feature, and a table of shapes."""
    logs = [math.log(one.ratio) for one in result.shapes]
    wide = [x for x, case in zip(logs, cases, strict=True) if case.columns >= WIDE]
    narrow = [x for x, case in zip(logs, cases, strict=True) if case.columns < WIDE]
    contrast = math.exp(sum(wide) / len(wide) - sum(narrow) / len(narrow))
    return Result(
        {"speedup": result.ratio, "wide_over_narrow": contrast},
        {"shapes": result.table()},
        intervals={"speedup": result.interval},
    )


def baselines(split: str) -> dict[str, dict[str, float]]:
    """The start, 1 by definition, numpy and, where it is installed, torch; all in this process."""
    table = tomllib.loads((FOLDER / "task.toml").read_text(encoding="utf-8"))["program"]
    signature = NativeFunction(tuple(table["functions"]["rmsnorm"]["arguments"]))
    signatures = {"rmsnorm": signature}
    start = compiled(FOLDER / "initial.cpp", table["compile_flags"], signatures)
    rivals: dict[str, Callable[..., None]] = {"numpy": numpy_rmsnorm}
    if importlib.util.find_spec("torch"):
        rivals["torch"] = torch_rmsnorm()
    rows = {"plain loops (the start)": {"speedup": 1.0}}
    for name, function in rivals.items():
        rival = TrustedProgram(signatures, {"rmsnorm": function})
        result = Trial(rival, start, KERNEL).compare(
            HELD_OUT if split == "held_out" else SEARCH, SEARCH_EFFORT
        )
        rows[name] = {"speedup": result.ratio}
    return rows


def numpy_rmsnorm(x: Any, weight: Any, out: Any, rows: int, columns: int, epsilon: float) -> None:
    """The same with numpy, one pass per operation."""
    mean = np.square(x).mean(axis=1) + np.float32(epsilon)
    target = out[: rows * columns].reshape(rows, columns)
    np.multiply(x, (np.float32(1.0) / np.sqrt(mean))[:, None], out=target)
    target *= weight


def torch_rmsnorm() -> Callable[..., None]:
    """The same with torch's own kernel, on one thread."""
    import torch

    torch.set_num_threads(1)

    def run(x: Any, weight: Any, out: Any, rows: int, columns: int, epsilon: float) -> None:
        normed = torch.nn.functional.rms_norm(
            torch.from_numpy(x), (columns,), torch.from_numpy(weight), epsilon
        )
        out[: rows * columns] = normed.numpy().ravel()

    return run
