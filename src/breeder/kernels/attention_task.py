"""What the tasks of attention share: shapes, efforts, and the programs that they are compared with.

The forward pass in float32 came first and has an evaluator of its own.
"""

from __future__ import annotations

import importlib.util
import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np

from breeder.core import NativeFunction
from breeder.kernels.attention import Case, Kind, Layout
from breeder.kernels.cases import Cases
from breeder.kernels.formats import BFLOAT16, FLOAT32, Format
from breeder.kernels.kernel import Kernel
from breeder.kernels.record import Effort
from breeder.kernels.timed_task import Contrast, Efforts, TimedTask
from breeder.kernels.trial import Trial
from breeder.kernels.trusted import TrustedProgram, compiled

Rival = Callable[..., None]

LONG = 400  # keys
_UNLISTED = 8

QUICK = (
    *(Case(1, 1, 1, n, n, 32) for n in (1, 5, 17)),
    Case(1, 2, 1, 67, 67, 64),
    Case(2, 2, 2, 130, 130, 32, causal=False, layout="packed"),
    Case(1, 1, 1, 9, 70, 128),
    Case(1, 1, 1, 70, 9, 24),
    Case(1, 1, 1, 80, 80, 32, kind="rising"),
    Case(1, 1, 1, 600, 600, 64, kind="large"),
)
SEARCH = (
    Case(2, 4, 4, 128, 128, 32),
    Case(1, 4, 2, 256, 256, 64),
    Case(1, 2, 2, 300, 300, 64, causal=False, layout="bthd"),
    Case(1, 1, 1, 512, 512, 128),
    Case(1, 1, 1, 1024, 1024, 64),
)
HELD_OUT = (
    Case(1, 8, 8, 192, 192, 32, causal=False),
    Case(1, 4, 1, 224, 224, 64, layout="packed"),
    Case(1, 2, 2, 200, 333, 128, causal=False),
    Case(1, 2, 2, 768, 768, 32, layout="bthd"),
    Case(1, 1, 1, 2048, 2048, 64),
)
VERIFIED = (
    *(Case(1, 2, 2, n, n, 64, c) for n in (2, 3, 15, 255, 513) for c in (False, True)),
    *(Case(2, 6, 3, 47, 49, width) for width in (1, 7, 31, 40, 65, 96, 192)),
    *(Case(1, 4, 2, 65, 1027, 64, c, "packed") for c in (False, True)),
    *(Case(2, 3, 1, 300, 64, 32, c, "bthd") for c in (False, True)),
    *(
        Case(1, 2, 1, n, n, 64, causal, kind=kind)
        for kind in get_args(Kind)[1:]
        for n in (33, 700)
        for causal in (False, True)
    ),
    Case(0, 2, 2, 8, 8, 32),
    Case(1, 1, 1, 0, 8, 32),
    Case(1, 1, 1, 4096, 4096, 64),
    Case(1, 1, 1, 4095, 4095, 32, causal=False),
)
EFFORTS = Efforts(
    quick=Effort(rounds=6, least=6),
    search=Effort(rounds=24),
    confirm=Effort(rounds=16),
    verify=Effort(rounds=32),
)


def unlisted(rng: np.random.Generator) -> list[Case]:
    """Cases that nobody can have prepared for: few of them are named above."""
    cases = []
    for _ in range(_UNLISTED):
        queries, keys = np.exp(rng.uniform(0.0, math.log(900.0), 2)).astype(int).tolist()
        kv_heads, group, width = rng.integers([1, 1, 1], [3, 4, 140]).tolist()
        layout: Layout = rng.choice(get_args(Layout)).item()
        causal = bool(rng.integers(2))
        cases.append(Case(1, kv_heads * group, kv_heads, queries, keys, width, causal, layout))
    return cases


def attention_task(folder: Path, kernel: Kernel[Case]) -> TimedTask[Case]:
    """A task of attention whose start lies in `folder`."""
    task = TimedTask(
        folder,
        {kernel.function: kernel},
        Cases(QUICK, [Case(1, 2, 2, 160, 160, 64)], SEARCH, HELD_OUT, VERIFIED, unlisted),
        Contrast("long_over_short", lambda case: case.keys >= LONG),
    )
    task.efforts = EFFORTS
    return task


def baselines_of(
    folder: Path, task: TimedTask[Case], rivals: Mapping[str, Callable[[Format], Rival]]
) -> Callable[[str], dict[str, dict[str, float]]]:
    """Make what a task calls `baselines`: the start, 1 by definition, and rivals beside it.

    Args:
        folder: of the task.
        task: what it times.
        rivals: makes each; those whose name begins with `torch` only where that is installed. All
            run in this process.
    """

    def baselines(split: str) -> dict[str, dict[str, float]]:
        table = tomllib.loads((folder / "task.toml").read_text(encoding="utf-8"))["program"]
        ((name, kernel),) = task.kernels.items()
        signatures = {name: NativeFunction(tuple(table["functions"][name]["arguments"]))}
        start = compiled(folder / table["files"][0], table["compile_flags"], signatures)
        cases: Sequence[Case] = task.cases.held_out if split == "held_out" else task.cases.search
        rows = {"plain loops (the start)": {"speedup": 1.0}}
        form = BFLOAT16 if name.endswith("_bf16") else FLOAT32
        for label, make in rivals.items():
            if label.startswith("torch") and not importlib.util.find_spec("torch"):
                continue
            rival = TrustedProgram(signatures, {name: make(form)})
            result = Trial(rival, start, kernel).compare(cases, task.efforts.search)
            rows[label] = {"speedup": result.ratio}
        return rows

    return baselines
