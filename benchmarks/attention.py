"""The hand-written attention kernels against PyTorch's: CPU time, of two threads elapsed time.

    python benchmarks/attention.py [--pairs 12] [--threads 1] [--work both] [--types fp32 bf16]
        [--no-engines] [--rounding]

Needs torch. Two rivals for each shape, each interleaved with the kernels in random order: PyTorch
as found (`scaled_dot_product_attention`), and, with a C library that keeps freed memory, the
fastest of that and the form with two matrix products at float32 matrix product precision `highest`
and `medium`, both compiled, `flex_attention` and ONNX Runtime (where it and `onnx` are installed),
see `attention_rivals.py`. A rival counts only where it computes in the format: on processors with
hardware for it, `medium` rounds operands to bfloat16, which `--rounding` allows in order to show
what that is worth. `both` is a forward and a backward pass through autograd. The shapes are none
that a kernel was written on. The kernels are by hand: what they gain is no gain of the search.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import random
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from attention_rivals import Absent, Inputs, Way, eager, engines, passes, products
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

ROUNDED = 2e-2
"""The same where operands may be rounded to bfloat16."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 1 << 30
FEWEST = 6  # pairs
GLANCES = 3  # runs of each setting before the fastest one is measured


class Row(NamedTuple):
    """One shape: comparison, the rival's name, GFLOP/s and seconds of the kernels, all rivals."""

    result: Comparison
    rival: str
    rate: float
    seconds: float
    field: Field | None


def drawn(shape: tuple[Any, ...], kind: str) -> Inputs:
    """Normal numbers."""
    *sizes, causal = shape
    torch.manual_seed(1)
    q, k, v, grad = (torch.randn(sizes).to(TYPES[kind]) for _ in range(4))
    return Inputs(q.requires_grad_(), k.requires_grad_(), v.requires_grad_(), grad, causal)


def kernels(inputs: Inputs) -> Way:
    """Ours."""
    causal, scale = inputs.causal, inputs.scale
    return Way("kernels", "highest", lambda q, k, v: attention(q, k, v, causal, scale)[0])


class Field(NamedTuple):
    """The rivals on one shape.

    Attributes:
        fastest: of those that compute in the format.
        seconds: rival -> shortest of a few runs, by the clock that decides.
        left_out: rival -> why it does not count.
    """

    fastest: Way
    seconds: dict[str, float]
    left_out: dict[str, str]


def exact(inputs: Inputs, work: str) -> list[Any]:
    """The results of the formula in float64."""
    q, k, v = (one.detach().double().requires_grad_() for one in inputs[:3])
    wide = Inputs(q, k, v, inputs.grad.double(), inputs.causal)
    return passes(Way("exact", "highest", products(wide)), wide, work)()  # type: ignore[no-any-return]


def error(got: list[Any], wanted: list[Any]) -> float:
    """Largest relative error (L2) of the results."""
    return max(
        float((one.double() - other).norm().detach() / other.norm().detach())
        for one, other in zip(got, wanted, strict=True)
    )


def field(inputs: Inputs, what: tuple[str, str], options: Any) -> Field:
    """Try every rival: those that are right are timed in a few runs."""
    kind, work = what
    wanted = exact(inputs, work)
    seconds: dict[str, float] = {}
    left_out: dict[str, str] = {}
    right: dict[str, Way] = {}

    def tried(way: Way) -> bool:
        run = passes(way, inputs, work)
        off = error(run(), wanted)
        if not off <= max(ERRORS[kind], ROUNDED if options.rounding else 0.0):
            left_out[way.name] = f"relative error {off:.1e}"
            return False
        right[way.name], job = way, timed(run, options.threads)
        seconds[way.name] = min(getattr(job(), clock(options)) for _ in range(GLANCES))
        return True

    usable = {one.precision: None for one in eager(inputs) if tried(one)}
    for one in () if options.no_engines else engines(inputs, work, tuple(usable), options.threads):
        if isinstance(one, Absent):
            left_out[one.name] = one.reason
        else:
            tried(one)
    return Field(right[min(seconds, key=lambda name: seconds[name])], seconds, left_out)


def clock(options: Any) -> str:
    """What decides: CPU time cannot tell what a second thread gains."""
    return "wall_seconds" if options.threads > 1 else "cpu_seconds"


def keep_freed_memory() -> None:
    """Have the C library keep large blocks, as MALLOC_MMAP_THRESHOLD_ and the like do."""
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def row(shape: tuple[Any, ...], what: tuple[str, str], options: Any, *, tuned: bool) -> Row:
    """Measure one shape against PyTorch as found, or against its fastest rival."""
    kind, work = what
    inputs = drawn(shape, kind)
    rivals = field(inputs, what, options) if tuned else None
    rival = rivals.fastest if rivals else eager(inputs)[0]
    ours = passes(kernels(inputs), inputs, work)
    if error(ours(), exact(inputs, work)) > ERRORS[kind]:
        raise SystemExit(f"{shape}: the kernels' results are wrong")
    result = compare(
        timed(passes(rival, inputs, work), options.threads),
        timed(ours, options.threads),
        rng=random.Random(1),
        limits=Limits(seconds=600.0, pairs=options.pairs),
        settings=Settings(
            sequential=False, threads=options.threads,
            clock="wall" if options.threads > 1 else "cpu",
        ),
    )  # fmt: skip
    seconds = median(getattr(one, clock(options)) for one in result.candidate_seconds)
    batch, heads, rows, width, causal = shape
    operations = 4.0 * batch * heads * rows * rows * width / (2 if causal else 1)
    rate = operations * (3.5 if work == "both" else 1) / seconds / 1e9
    return Row(result, rival.name, rate, seconds, rivals)


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
    show_field(best)


def show_field(best: list[Row]) -> None:
    """All rivals' times over ours, of a few runs each, and why others do not count."""
    fields = [(one, one.field) for one in best if one.field is not None]
    names = dict.fromkeys(name for _, rivals in fields for name in rivals.seconds)
    lines = [
        [name, *(f"{rivals.seconds[name] / one.seconds:.2f}" if name in rivals.seconds else ""
                 for one, rivals in fields)]
        for name in names
    ]  # fmt: skip
    shapes = ["x".join(map(str, shape[:4])) + (" c" if shape[4] else "") for shape in SHAPES]
    print("\nshortest of a few runs of each rival over the median of ours, not interleaved")
    print(table(["rival", *shapes[: len(fields)]], lines))
    reasons: dict[str, list[str]] = {}
    for _, rivals in fields:
        for name, reason in rivals.left_out.items():
            reasons.setdefault(name, []).append(reason)
    for name, told in reasons.items():
        print(f"{name}: left out {len(told)} times, first for: {told[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Attention by hand-written kernels.")
    parser.add_argument("--pairs", type=int, default=12, help="of timings for each shape and rival")
    parser.add_argument("--shapes", type=int, default=len(SHAPES), help="how many of them")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--work", nargs="+", choices=("forward", "both"), default=["forward", "both"]
    )
    parser.add_argument("--types", nargs="+", choices=tuple(TYPES), default=list(TYPES))
    parser.add_argument("--no-engines", action="store_true", help="eager PyTorch alone as rival")
    parser.add_argument("--rounding", action="store_true", help="let rivals round to bfloat16")
    options = parser.parse_args()
    if options.pairs < FEWEST:
        raise SystemExit(f"--pairs {options.pairs}: {FEWEST} at least, as fewer give no interval")
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
