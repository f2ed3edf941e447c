"""Scores the forward pass of attention: right within float32, and faster than plain loops."""

import importlib.util
import math
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from breeder.core import NativeFunction
from breeder.evaluation import Candidate, Result
from breeder.kernels import Effort, Inputs, Trial, TrialResult, TrustedProgram, compiled
from breeder.kernels.attention import FUNCTION, KERNEL, SIGNATURE, Case, Kind, Layout

FOLDER = Path(__file__).parent
START = {"initial.cpp": (FOLDER / "initial.cpp").read_text(encoding="utf-8")}
LONG = 400  # keys

QUICK = [
    *(Case(1, 1, 1, n, n, 32) for n in (1, 5, 17)),
    *(Case(1, 2, 1, 67, 67, 64), Case(2, 2, 2, 130, 130, 32, causal=False, layout="packed")),
    *(
        Case(1, 1, 1, 9, 70, 128),
        Case(1, 1, 1, 70, 9, 24),
        Case(1, 1, 1, 80, 80, 32, kind="rising"),
    ),
    Case(1, 1, 1, 600, 600, 64, kind="large"),
]
QUICK_TIMED = [Case(1, 2, 2, 160, 160, 64)]
SEARCH = [
    Case(2, 4, 4, 128, 128, 32),
    Case(1, 4, 2, 256, 256, 64),
    Case(1, 2, 2, 300, 300, 64, causal=False, layout="bthd"),
    Case(1, 1, 1, 512, 512, 128),
    Case(1, 1, 1, 1024, 1024, 64),
]
HELD_OUT = [
    Case(1, 8, 8, 192, 192, 32, causal=False),
    Case(1, 4, 1, 224, 224, 64, layout="packed"),
    Case(1, 2, 2, 200, 333, 128, causal=False),
    Case(1, 2, 2, 768, 768, 32, layout="bthd"),
    Case(1, 1, 1, 2048, 2048, 64),
]
VERIFIED = [
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
]
UNLISTED = 8
# Gains are large here and calls are long, the reference's longest of all: a score of few rounds and
# few checks tells programs apart, and a challenger is measured anew before anything is believed.
QUICK_EFFORT = Effort(rounds=2, least=2, batch_seconds=0.005, checked=0.25)
SEARCH_EFFORT = Effort(rounds=4, least=4, batch_seconds=0.005, checked=0.2, error=0.25)
CONFIRM_EFFORT = Effort(rounds=12, batch_seconds=0.005, checked=0.25)
VERIFY_EFFORT = Effort(rounds=32)


def trial(candidate: Candidate) -> Trial[Case]:
    """The candidate beside the start."""
    return Trial(candidate, candidate.beside(START), KERNEL)


def quick(candidate: Candidate) -> Result:
    """First stage: small, odd and extreme inputs, then a glance at the speed."""
    on_trial = trial(candidate)
    on_trial.check(QUICK)
    result = on_trial.compare(QUICK_TIMED, QUICK_EFFORT)
    return Result({"quick_speedup": result.ratio})


def evaluate(candidate: Candidate) -> Result:
    """Second stage: all training shapes, until it is clear whether the champion is beaten."""
    return scored(trial(candidate).compare(SEARCH, SEARCH_EFFORT, candidate.to_beat), SEARCH)


def confirm(candidate: Candidate) -> Result:
    """A challenger on fresh samples; every input is fresh anyway."""
    return scored(trial(candidate).compare(SEARCH, CONFIRM_EFFORT, candidate.to_beat), SEARCH)


def evaluate_held_out(candidate: Candidate) -> Result:
    """Shapes that the search never timed."""
    return scored(trial(candidate).compare(HELD_OUT, VERIFY_EFFORT), HELD_OUT)


def verify(candidate: Candidate) -> Result:
    """Odd, empty, long and extreme inputs, then the held-out shapes timed from scratch."""
    on_trial = trial(candidate)
    on_trial.check([*VERIFIED, *QUICK, *SEARCH, *HELD_OUT, *unlisted(Inputs().rng)])
    return scored(on_trial.compare(HELD_OUT, VERIFY_EFFORT), HELD_OUT)


def unlisted(rng: np.random.Generator) -> list[Case]:
    """Cases that nobody can have prepared for: few of them are named above."""
    cases = []
    for _ in range(UNLISTED):
        queries, keys = np.exp(rng.uniform(0.0, math.log(900.0), 2)).astype(int).tolist()
        kv_heads, group, width = rng.integers([1, 1, 1], [3, 4, 140]).tolist()
        layout: Layout = rng.choice(get_args(Layout)).item()
        causal = bool(rng.integers(2))
        cases.append(Case(1, kv_heads * group, kv_heads, queries, keys, width, causal, layout))
    return cases


def scored(result: TrialResult, cases: Sequence[Case]) -> Result:
    """The speed-up with its interval, a feature, and a table of shapes."""
    logs = [math.log(one.ratio) for one in result.shapes]
    long = [x for x, case in zip(logs, cases, strict=True) if case.keys >= LONG]
    short = [x for x, case in zip(logs, cases, strict=True) if case.keys < LONG]
    contrast = math.exp(sum(long) / len(long) - sum(short) / len(short))
    return Result(
        {"speedup": result.ratio, "long_over_short": contrast},
        {"shapes": result.table()},
        intervals={"speedup": result.interval},
    )


def baselines(split: str) -> dict[str, dict[str, float]]:
    """The start, 1 by definition, numpy and, where it is installed, torch; all in this process."""
    flags = tomllib.loads((FOLDER / "task.toml").read_text(encoding="utf-8"))["program"]
    signatures = {FUNCTION: NativeFunction(SIGNATURE)}
    start = compiled(FOLDER / "initial.cpp", flags["compile_flags"], signatures)
    rivals: dict[str, Callable[..., None]] = {"numpy": numpy_attention}
    if importlib.util.find_spec("torch"):
        rivals["torch scaled_dot_product_attention"] = torch_attention()
    rows = {"plain loops (the start)": {"speedup": 1.0}}
    for name, function in rivals.items():
        rival = TrustedProgram(signatures, {FUNCTION: function})
        result = Trial(rival, start, KERNEL).compare(
            HELD_OUT if split == "held_out" else SEARCH, SEARCH_EFFORT
        )
        rows[name] = {"speedup": result.ratio}
    return rows


def viewed(array: Any, strides: Any, shape: Sequence[int]) -> Any:
    """The tensor of (batch, head, row, element) that lies in a flat array."""
    steps = [int(step) * array.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(array, shape, [*steps, array.itemsize])


def numpy_attention(
    q: Any, k: Any, v: Any, out: Any, logsumexp: Any, strides: Any, *sizes: Any
) -> None:
    """The same with numpy, one head after the other."""
    batch, heads, kv_heads, queries, keys, width, causal, scale = sizes
    q = viewed(q, strides[:3], (batch, heads, queries, width))
    k = viewed(k, strides[3:6], (batch, kv_heads, keys, width))
    v = viewed(v, strides[6:9], (batch, kv_heads, keys, width))
    target = viewed(out, strides[9:], (batch, heads, queries, width))
    sums = logsumexp[: batch * heads * queries].reshape(batch, heads, queries)
    hidden = np.arange(keys) > np.arange(queries)[:, None]
    for b, h in np.ndindex(batch, heads):
        g = h * kv_heads // heads
        scores = (q[b, h] * np.float32(scale)) @ k[b, g].T
        if causal:
            scores[hidden] = -np.inf
        top = scores.max(axis=1, keepdims=True)
        np.exp(scores - top, out=scores)
        total = scores.sum(axis=1, keepdims=True)
        target[b, h] = (scores @ v[b, g]) / total
        sums[b, h] = (top + np.log(total))[:, 0]


def torch_attention() -> Callable[..., None]:
    """The same with torch's own kernel, which yields the sums, too, on one thread."""
    import torch

    torch.set_num_threads(1)

    def run(q: Any, k: Any, v: Any, out: Any, logsumexp: Any, strides: Any, *sizes: Any) -> None:
        batch, heads, kv_heads, queries, keys, width, causal, scale = sizes
        steps = [(*strides[i : i + 3].tolist(), 1) for i in range(0, 12, 3)]
        flat = [torch.from_numpy(one.reshape(-1)) for one in (q, k, v, out)]
        shapes = [(batch, heads, queries, width)] + [(batch, kv_heads, keys, width)] * 2
        tensors = [
            one.as_strided(shape, step)
            for one, shape, step in zip(flat, [*shapes, shapes[0]], steps, strict=True)
        ]
        if heads != kv_heads:
            tensors[1:3] = [one.repeat_interleave(heads // kv_heads, 1) for one in tensors[1:3]]
        answer, sums = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            *tensors[:3], 0.0, bool(causal), scale=float(scale)
        )
        tensors[3].copy_(answer)
        torch.from_numpy(logsumexp[: sums.numel()]).copy_(sums.reshape(-1))

    return run
