"""The hand-written attention kernels against PyTorch's: CPU time, of two threads elapsed time.

    python benchmarks/attention.py [--pairs 12] [--threads 1] [--work both] [--types fp32 bf16]

Needs torch. Two rivals for each shape, each interleaved with the kernels in random order: PyTorch
as found (`scaled_dot_product_attention`), and the fastest of that and the form with two matrix
products at float32 matrix product precision `highest` and `medium`, with a C library that keeps
freed memory. A setting counts only where it computes in the format: on processors with hardware for
it, `medium` rounds operands to bfloat16, which `--rounding` allows in order to show what that is
worth. `both` is a forward and a backward pass through autograd. The shapes are none that a kernel
was written on. The kernels are by hand: what they gain is no gain of the search.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from breeder.measurement import Comparison, Limits, Settings, compare
from breeder.training.attention import attention
from breeder.training.operators import timed, use_registry
from breeder.training.pytorch import torch
from breeder.training.registry import KernelRegistry
from breeder.verification.registry import Registry
from record import header, table

SHAPES = (
    (4, 8, 320, 64, True), (1, 6, 1800, 64, False), (1, 4, 896, 128, True), (4, 8, 320, 64, False),
    (8, 6, 144, 32, True), (2, 6, 640, 64, True), (1, 4, 896, 128, False), (1, 6, 1800, 64, True),
    (1, 8, 1152, 32, True), (2, 6, 640, 32, False),
)  # fmt: skip
"""Batch, heads, rows, width, causal."""

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
ERRORS = {"fp32": 1e-5, "bf16": 2e-2}
"""Relative error (L2) that a result of the format stays below."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30
GLANCES = 3  # runs of each setting before the fastest one is measured


class Inputs(NamedTuple):
    """What attention is computed of; `grad` is that of the result."""

    q: Any
    k: Any
    v: Any
    grad: Any
    causal: bool


class Way(NamedTuple):
    """A way to compute attention."""

    name: str
    precision: str
    attend: Callable[[Any, Any, Any], Any]


class Row(NamedTuple):
    """One shape: the comparison, the rival's name and what the kernels reached in GFLOP/s."""

    result: Comparison
    rival: str
    rate: float


def drawn(shape: tuple[Any, ...], kind: str) -> Inputs:
    """Normal numbers."""
    *sizes, causal = shape
    torch.manual_seed(1)
    q, k, v, grad = (torch.randn(sizes).to(TYPES[kind]) for _ in range(4))
    return Inputs(q.requires_grad_(), k.requires_grad_(), v.requires_grad_(), grad, causal)


def kernels(inputs: Inputs) -> Way:
    """Ours."""
    scale = 1.0 / math.sqrt(inputs.q.shape[-1])
    return Way("kernels", "highest", lambda q, k, v: attention(q, k, v, inputs.causal, scale)[0])


def rivals(inputs: Inputs) -> list[Way]:
    """PyTorch's own kernel, then the form with matrix products, at either precision."""
    rows = inputs.q.shape[2]
    hidden = torch.ones(rows, rows, dtype=torch.bool).triu(1) if inputs.causal else None
    scale = 1.0 / math.sqrt(inputs.q.shape[-1])

    def products(q: Any, k: Any, v: Any) -> Any:
        scores = (q * scale) @ k.transpose(-1, -2)
        if hidden is not None:
            scores = scores.masked_fill(hidden, -math.inf)
        return torch.softmax(scores, dim=-1) @ v

    def fused(q: Any, k: Any, v: Any) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=inputs.causal)

    precisions = ("highest", "medium") if inputs.q.dtype == torch.float32 else ("highest",)
    return [
        Way(f"{name}, {precision}", precision, attend)
        for name, attend in (("SDPA", fused), ("matmul", products))
        for precision in precisions
    ]


def job(way: Way, inputs: Inputs, work: str) -> Callable[[], Any]:
    """One pass: the result, or the result and its gradients."""

    def run() -> Any:
        torch.set_float32_matmul_precision(way.precision)
        if work == "forward":
            with torch.no_grad():
                return [way.attend(*inputs[:3])]
        out = way.attend(*inputs[:3])
        return [out, *torch.autograd.grad(out, inputs[:3], inputs.grad)]

    return run


def error(got: list[Any], inputs: Inputs, work: str) -> float:
    """Largest relative error (L2) of the results, against the formula in float64."""
    q, k, v = (one.detach().double().requires_grad_() for one in inputs[:3])
    exact = job(rivals(inputs)[-1]._replace(precision="highest"),
                Inputs(q, k, v, inputs.grad.double(), inputs.causal), work)()  # fmt: skip
    return max(
        float((one.double() - other).norm().detach() / other.norm().detach())
        for one, other in zip(got, exact, strict=True)
    )


def fastest(choices: list[Way], inputs: Inputs, work: str, threads: int) -> Way:
    """The rival with the shortest of a few runs."""
    jobs = [timed(job(one, inputs, work), threads) for one in choices]
    best = [min(run().cpu_seconds for _ in range(GLANCES)) for run in jobs]
    return choices[best.index(min(best))]


def keep_freed_memory() -> None:
    """Have the C library keep large blocks, as MALLOC_MMAP_THRESHOLD_ and the like do."""
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def row(shape: tuple[Any, ...], what: tuple[str, str], options: Any, *, tuned: bool) -> Row:
    """Measure one shape against PyTorch as found, or against its fastest setting."""
    kind, work = what
    inputs = drawn(shape, kind)
    choices = rivals(inputs)
    if tuned and not options.rounding:
        choices = [
            one for one in choices
            if error(job(one, inputs, work)(), inputs, work) <= ERRORS[kind]
        ]  # fmt: skip
    rival = fastest(choices, inputs, work, options.threads) if tuned else choices[0]
    ours = job(kernels(inputs), inputs, work)
    if error(ours(), inputs, work) > ERRORS[kind]:
        raise SystemExit(f"{shape}: the kernels' results are wrong")
    result = compare(
        timed(job(rival, inputs, work), options.threads),
        timed(ours, options.threads),
        rng=random.Random(1),
        limits=Limits(seconds=600.0, pairs=options.pairs),
        settings=Settings(sequential=False, threads=options.threads),
    )
    clock = "wall_seconds" if options.threads > 1 else "cpu_seconds"
    seconds = median(getattr(one, clock) for one in result.candidate_seconds)
    batch, heads, rows, width, causal = shape
    operations = 4.0 * batch * heads * rows * rows * width / (2 if causal else 1)
    return Row(result, rival.name, operations * (3.5 if work == "both" else 1) / seconds / 1e9)


def mean_ratio(results: list[Comparison]) -> str:
    """Geometric mean; its interval from the shapes' own, taken as independent."""
    logs = [math.log(one.ratio) for one in results]
    widths = [math.log(one.fixed_high / one.fixed_low) / 2 for one in results]
    centre, half = sum(logs) / len(logs), math.hypot(*widths) / len(widths)
    return f"{math.exp(centre):.2f}x [{math.exp(centre - half):.2f}, {math.exp(centre + half):.2f}]"


def report(what: tuple[str, str], found: list[Row], best: list[Row]) -> None:
    """Print one table and its means."""
    print(f"\n{' '.join(what)}")
    lines = [
        [" x ".join(map(str, shape[:4])) + (" causal" if shape[4] else " full"), f"{one.rate:.0f}",
         _ratio(one.result), _ratio(other.result), other.rival]
        for shape, one, other in zip(SHAPES, found, best, strict=False)
    ]  # fmt: skip
    print(table(["shape", "GFLOP/s", "SDPA as found", "strongest", "which"], lines))
    for name, causal in (("causal", True), ("full", False)):
        chosen = [i for i, shape in enumerate(SHAPES[: len(found)]) if shape[4] is causal]
        if chosen:
            first, second = (mean_ratio([rows[i].result for i in chosen]) for rows in (found, best))
            print(f"{name}: {first} as found, {second} strongest (geometric means)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Attention by hand-written kernels.")
    parser.add_argument("--pairs", type=int, default=12, help="of timings for each shape and rival")
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="how many of them")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--work", nargs="+", choices=("forward", "both"), default=["forward", "both"]
    )
    parser.add_argument("--types", nargs="+", choices=tuple(TYPES), default=list(TYPES))
    parser.add_argument("--rounding", action="store_true", help="let rivals round to bfloat16")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shapes = SHAPES[: options.shapes]
    whats = [(kind, work) for kind in options.types for work in options.work]
    with tempfile.TemporaryDirectory() as folder:
        # By hand only, and never PyTorch's path in their place.
        use_registry(KernelRegistry(Registry(Path(folder) / "none"), timed=False))
        print(header(f"Attention, {options.threads} threads, by hand, torch {torch.__version__}"))
        rows: dict[tuple[Any, ...], Row] = {}
        total = 2 * len(whats) * len(shapes)
        for tuned in (False, True):
            if tuned:
                keep_freed_memory()
            for what in whats:
                for shape in shapes:
                    rows[what, shape, tuned] = row(shape, what, options, tuned=tuned)
                    done = rows[what, shape, tuned]
                    told = f"{' '.join(what)} {shape}: {_ratio(done.result)} of {done.rival}"
                    sys.stderr.write(f"{len(rows)} of {total}: {told}\n")
        for what in whats:
            report(what, *([rows[what, one, tuned] for one in shapes] for tuned in (False, True)))


def _ratio(one: Comparison) -> str:
    return f"{one.ratio:.2f}x [{one.fixed_low:.2f}, {one.fixed_high:.2f}]"


if __name__ == "__main__":
    main()
