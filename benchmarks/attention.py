"""The hand-written attention kernel against PyTorch's, fp32, one thread, by CPU time.

    python benchmarks/attention.py [--pairs 24] [--shapes 10]

Needs torch. Two rivals for each shape, each interleaved with the kernel in random order: PyTorch as
found (`scaled_dot_product_attention`), and the fastest of that and the form with two matrix
products, at float32 matrix product precision `highest` and `medium` (which routes to oneDNN and
rounds no operand on processors without hardware for it), with a C library that keeps freed memory.
The kernel is labelled as written by hand: what it gains is no gain of the search.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import breeder
from breeder.core import NativeFunction
from breeder.kernels import Inputs, Output, TrustedBatch, TrustedProgram, compiled
from breeder.kernels.attention import FUNCTION, SIGNATURE, Case, draw
from breeder.measurement import Comparison, Limits, Settings, Spent, Work, compare
from record import header, table

FLAGS = ("-O3", "-march=native", "-std=c++17", "-fopenmp-simd")
SHAPES = (
    (8, 8, 128, 32, True), (4, 8, 256, 32, True), (4, 8, 256, 32, False), (4, 8, 512, 64, True),
    (4, 8, 512, 64, False), (2, 8, 1024, 64, True), (1, 4, 1024, 128, True),
    (1, 8, 2048, 64, True), (1, 8, 2048, 64, False), (1, 4, 4096, 64, True),
)  # fmt: skip
"""Batch, heads, rows, width, causal."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30
GLANCES = 3  # runs of each setting before the fastest one is measured


class Rival(NamedTuple):
    """A way to compute attention with PyTorch."""

    name: str
    precision: str
    run: Callable[[], Any]


class Row(NamedTuple):
    """One shape: the comparison, the rival and what the kernel reached in GFLOP/s."""

    result: Comparison
    rival: Rival
    rate: float
    case: str


def kernel_source() -> Path:
    """The kernel written by hand."""
    return Path(breeder.__file__).parent / "kernels" / "known" / "flash_attention_forward.cpp"


def laid_out(program: TrustedProgram, case: Case) -> tuple[TrustedBatch, list[Any]]:
    """One call of the kernel, ready to run, and the arguments that it gets."""
    arguments = [
        np.zeros(one.shape, np.float32) if isinstance(one, Output) else one
        for one in draw(Inputs(1), case)
    ]
    return program.prepare(FUNCTION, [arguments]), arguments


def rivals(arguments: list[Any], *, causal: bool) -> list[Rival]:
    """PyTorch's own kernel, then the form with matrix products, at either precision."""
    from breeder.training.pytorch import torch

    q, k, v = (torch.from_numpy(one) for one in arguments[:3])
    scale = arguments[-1]
    hidden = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).triu(1) if causal else None

    def products() -> Any:
        scores = (q * scale) @ k.transpose(-1, -2)
        if hidden is not None:
            scores.masked_fill_(hidden, -math.inf)
        return torch.softmax(scores, dim=-1) @ v

    def fused() -> Any:
        return torch.nn.functional.scaled_dot_product_attention(
            q, k, v, is_causal=causal, scale=scale
        )

    return [
        Rival(f"{name}, {precision}", precision, run)
        for name, run in (("SDPA", fused), ("matmul", products))
        for precision in ("highest", "medium")
    ]


def rival_work(rival: Rival) -> Work:
    """One run of a rival on this thread, without gradients."""
    from breeder.training.pytorch import torch

    def work() -> Spent:
        torch.set_float32_matmul_precision(rival.precision)
        with torch.no_grad():
            wall, cpu = time.perf_counter(), time.thread_time()
            rival.run()
            return Spent(time.thread_time() - cpu, time.perf_counter() - wall)

    return work


def fastest(choices: list[Rival]) -> Rival:
    """The rival with the shortest of a few runs."""
    works = [rival_work(one) for one in choices]
    best = [min(work().cpu_seconds for _ in range(GLANCES)) for work in works]
    return choices[best.index(min(best))]


def measured(rival: Rival, work: Work, pairs: int) -> Comparison:
    """Time of the rival over time of the kernel."""
    return compare(
        rival_work(rival),
        work,
        rng=random.Random(1),
        limits=Limits(seconds=600.0, pairs=pairs),
        settings=Settings(sequential=False),
    )


def check(batch: TrustedBatch, rival: Rival) -> None:
    """Stop when the kernel and PyTorch do not compute the same."""
    batch.run()
    ours, theirs = batch.output(0)[1], rival.run().numpy()
    if not np.allclose(ours, theirs, rtol=1e-3, atol=1e-4 * np.abs(theirs).max()):
        raise SystemExit(f"{rival.name}: the kernel's result differs")


def keep_freed_memory() -> None:
    """Have the C library keep large blocks, as MALLOC_MMAP_THRESHOLD_ and the like do."""
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def row(program: TrustedProgram, shape: tuple[Any, ...], pairs: int, *, tuned: bool) -> Row:
    """Measure one shape against PyTorch as found, or against its fastest setting."""
    size, heads, rows, width, causal = shape
    case = Case(size, heads, heads, rows, rows, width, causal)
    batch, arguments = laid_out(program, case)
    choices = rivals(arguments, causal=causal)
    rival = fastest(choices) if tuned else choices[0]
    check(batch, rival)
    result = measured(rival, batch.run, pairs)
    seconds = median(one.cpu_seconds for one in result.candidate_seconds)
    operations = 4.0 * size * heads * rows * rows * width / (2 if causal else 1)
    return Row(result, rival, operations / seconds / 1e9, str(case))


def mean_ratio(results: list[Comparison]) -> str:
    """Geometric mean; its interval from the shapes' own, taken as independent."""
    logs = [math.log(one.ratio) for one in results]
    widths = [math.log(one.fixed_high / one.fixed_low) / 2 for one in results]
    centre, half = sum(logs) / len(logs), math.hypot(*widths) / len(widths)
    return f"{math.exp(centre):.2f}x [{math.exp(centre - half):.2f}, {math.exp(centre + half):.2f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description="Attention, fp32, forward, one thread.")
    parser.add_argument("--pairs", type=int, default=24, help="of timings for each shape and rival")
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="how many of them")
    options = parser.parse_args()
    from breeder.training.pytorch import torch

    torch.set_num_threads(1)
    program = compiled(kernel_source(), FLAGS, {FUNCTION: NativeFunction(SIGNATURE)})
    shapes = SHAPES[: options.shapes]
    found = [row(program, shape, options.pairs, tuned=False) for shape in shapes]
    keep_freed_memory()
    strongest = [row(program, shape, options.pairs, tuned=True) for shape in shapes]
    print(
        header(f"Attention forward, fp32, one thread, written by hand, torch {torch.__version__}")
    )
    lines = [
        [one.case, f"{one.rate:.0f}", _ratio(one.result), _ratio(best.result), best.rival.name]
        for one, best in zip(found, strongest, strict=True)
    ]
    columns = ["shape", "GFLOP/s", "SDPA as found", "strongest", "which"]
    print(table(columns, lines))
    for name, causal in (("causal", True), ("full", False)):
        chosen = [i for i, shape in enumerate(shapes) if shape[4] is causal]
        if chosen:
            first, second = (
                mean_ratio([rows[i].result for i in chosen]) for rows in (found, strongest)
            )
            print(f"{name}: {first} as found, {second} strongest (geometric means)")


def _ratio(one: Comparison) -> str:
    return f"{one.ratio:.2f}x [{one.fixed_low:.2f}, {one.fixed_high:.2f}]"


if __name__ == "__main__":
    main()
