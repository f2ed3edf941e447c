"""Fused operations against PyTorch: eager as found, and the best of tuned eager and Inductor.

    python benchmarks/fused_ops.py [--ops rmsnorm,rope] [--pairs 24] [--threads 1] [--no-inductor]

Needs torch. For every operation and shape (none of which a task searches) a pass of ours, forward
and backward where the operation has a gradient, is interleaved in random order with each rival:
eager PyTorch as a user finds it; the fastest of eager PyTorch with a C library that keeps freed
memory and of `torch.compile`; and a plain loop that moves the bytes that nobody can avoid moving,
which is the floor: what a pass costs at the bandwidth that this processor has for arrays of these
sizes. Where the floor itself is less than the bar faster than the rival, no kernel can meet the
bar. By CPU time on one thread, by wall time on several. The kernels are the adopted ones of this
machine, else those written by hand; the table says which.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import math
import random
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attention import keep_freed_memory, mean_ratio
from breeder.core import NativeFunction
from breeder.kernels import compiled as compiled_source
from breeder.measurement import Clock, Comparison, Limits, Settings, Work, compare
from fused_subjects import OPERATIONS, Subject
from record import header, table

FLOOR = Path(__file__).with_name("data") / "bandwidth_floor.cpp"
LOOPS = ("move", "move_past")
FLAGS = ("-O3", "-march=native", "-std=c++17")
GLANCES = 3
BARS = {
    "rmsnorm": 3.0, "cross_entropy": 3.0, "cross_entropy_in_place": 3.0, "rope": 3.0,
    "swiglu": 1.4, "softmax": 2.0, "embedding": 1.5, "adamw": 1.0,
}  # fmt: skip
"""How much faster than the strongest setting an operation is meant to be."""

NEAR = 1.2
"""Times of the floor that count as being there."""


def measured(rival: Callable[[], Any], ours: Callable[[], Any], pairs: int,
             threads: int) -> Comparison:  # fmt: skip
    """Time of the rival over time of ours."""
    from breeder.training.operators import timed

    clock: Clock = "cpu" if threads == 1 else "wall"
    return compare(
        timed(rival, threads), timed(ours, threads), rng=random.Random(1),
        limits=Limits(seconds=120.0, pairs=pairs, warm_up=3),
        settings=Settings(sequential=False, threads=threads, clock=clock),
    )  # fmt: skip


def quickest(choices: dict[str, Callable[[], Any]], threads: int) -> str:
    """The one with the shortest of a few runs, by the clock that `measured` goes by."""
    from breeder.training.operators import timed

    clock = "cpu_seconds" if threads == 1 else "wall_seconds"
    times = {}
    for name, run in choices.items():
        work: Work = timed(run, threads)
        run()
        times[name] = min(getattr(work(), clock) for _ in range(GLANCES))
    return min(times, key=lambda name: times[name])


def floor_of(loops: Any, subject: Subject, threads: int) -> Callable[[], Any]:
    """A loop that moves the bytes that the operation must move, in buffers of that size.

    The quicker of stores through the caches and past them; threads share reads and writes.
    """
    from breeder.training.operators import in_pieces
    from breeder.training.pytorch import torch

    source, target = torch.ones(subject.reads), torch.zeros(subject.writes)
    spans = [
        [count * part // threads for count in (subject.reads, subject.writes)]
        for part in range(threads + 1)
    ]

    def moving(move: Any) -> Callable[[], Any]:
        def run(ends: tuple[list[int], list[int]]) -> None:
            (read, write), (last_read, last_write) = ends
            at = source.data_ptr() + 4 * read, target.data_ptr() + 4 * write
            move(*at, last_read - read, last_write - write)

        return lambda: in_pieces(run, list(itertools.pairwise(spans)))

    choices = {name: moving(getattr(loops, name)) for name in LOOPS}
    return choices[quickest(choices, threads)]


def strongest(subject: Subject, threads: int, *, inductor: bool) -> tuple[str, Callable[[], Any]]:
    """The fastest of a few runs: eager, its other forms, and compiled."""
    from breeder.training.pytorch import torch

    choices = {"eager": subject.eager, **subject.others}
    if inductor and subject.traced is not None:
        torch.compiler.reset()
        choices["Inductor"] = subject.traced(lambda one: torch.compile(one, dynamic=False))
    best = quickest(choices, threads)
    return best, choices[best]


class Row(NamedTuple):
    """One subject: against eager as found, against the strongest setting, against the floor."""

    found: Comparison
    strongest: Comparison
    which: str
    floor: Comparison


def loop(folder: Path) -> Any:
    """The loops of the floor, compiled."""
    signature = NativeFunction(("float32[]", "inout float32[]", "int64", "int64"))
    compiled_source(FLOOR, FLAGS, dict.fromkeys(LOOPS, signature))  # tells what is wrong with it
    built: list[str | Path] = ["g++", *FLAGS, "-shared", "-fPIC", "-o", folder / "floor.so", FLOOR]
    subprocess.run(built, check=True)
    loops = ctypes.CDLL(str(folder / "floor.so"))
    for name in LOOPS:
        arguments = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
        getattr(loops, name).argtypes = arguments
    return loops


def rows(subjects: Sequence[tuple[str, Subject]], options: argparse.Namespace) -> list[Row]:
    """Measure everything; a line for each subject as it comes."""
    pairs, threads = options.pairs, options.threads
    found = [measured(one.eager, one.ours, pairs, threads) for _, one in subjects]
    keep_freed_memory()
    done = []
    with tempfile.TemporaryDirectory() as folder:
        loops = loop(Path(folder))
        for (name, one), first in zip(subjects, found, strict=True):
            which, rival = strongest(one, threads, inductor=not options.no_inductor)
            second = measured(rival, one.ours, pairs, threads)
            least = measured(floor_of(loops, one, threads), one.ours, pairs, threads)
            done.append(Row(first, second, which, least))
            print(f"{name} {one.shape}: {_ratio(first)}, {_ratio(second)} {which}", flush=True)
    return done


def show(subjects: Sequence[tuple[str, Subject]], measured_rows: Sequence[Row]) -> None:
    """The table, and means for each operation."""
    from breeder.training.calls import NEEDED
    from breeder.training.operators import registry

    lines = [
        [name, one.shape, _ratio(row.found), _ratio(row.strongest), row.which,
         f"{1 / row.floor.ratio:.2f}", f"{row.strongest.ratio / row.floor.ratio:.2f}x"]
        for (name, one), row in zip(subjects, measured_rows, strict=True)
    ]  # fmt: skip
    columns = ["operation", "shape", "eager as found", "strongest", "which", "time / floor",
               "floor over strongest"]  # fmt: skip
    print(table(columns, lines))
    for name in dict.fromkeys(name for name, _ in subjects):
        some = [row for (op, _), row in zip(subjects, measured_rows, strict=True) if op == name]
        against = mean_ratio([row.found for row in some])
        best = mean_ratio([row.strongest for row in some])
        verdict = _verdict(name, some)
        print(f"{name}: {against} as found, {best} strongest (geometric means){verdict}")
        kind = name.removesuffix("_in_place").removesuffix("_pairs")
        for op in NEEDED.get(kind, (kind,)):
            kernel = registry().kernel_for(op, "")
            print(f"{op}: {kernel.source.origin if kernel else registry().kernels(op)[1]}")


def _verdict(name: str, some: Sequence[Row]) -> str:
    """Whether the bar is met; if not, whether moving the bytes alone would leave room for it."""
    if name not in BARS:
        return ""
    ratio = math.exp(sum(math.log(row.strongest.ratio) for row in some) / len(some))
    times = math.exp(-sum(math.log(row.floor.ratio) for row in some) / len(some))
    told = f"; {times:.2f} times the floor, which is {ratio * times:.2f}x over the strongest; "
    told += f"bar {BARS[name]:g}x "
    if ratio >= BARS[name]:
        return told + "met"
    if ratio * times < BARS[name]:
        return told + "is beyond the floor" + (", which is reached" if times <= NEAR else "")
    return told + "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description="Fused operations, fp32.")
    parser.add_argument("--ops", default=",".join(OPERATIONS), help="which, comma-separated")
    parser.add_argument("--pairs", type=int, default=24, help="of timings for each rival")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-inductor", action="store_true", help="leave torch.compile out")
    options = parser.parse_args()
    names = options.ops.split(",")
    unknown = sorted(set(names) - set(OPERATIONS))
    if unknown:
        raise SystemExit(f"--ops: {', '.join(unknown)}: not one of {', '.join(OPERATIONS)}")
    from breeder.training import KernelRegistry, use_registry
    from breeder.training.pytorch import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    use_registry(KernelRegistry(timed=False))  # kernels wherever there are any: they are on trial
    subjects = [
        (name, OPERATIONS[name][0](*shape)) for name in names for shape in OPERATIONS[name][1]
    ]
    title = f"Fused operations, fp32 (decoding: bf16), {options.threads} threads"
    print(header(f"{title}, torch {torch.__version__}"))
    show(subjects, rows(subjects, options))


def _ratio(one: Comparison) -> str:
    return f"{one.ratio:.2f}x [{one.fixed_low:.2f}, {one.fixed_high:.2f}]"


if __name__ == "__main__":
    main()
