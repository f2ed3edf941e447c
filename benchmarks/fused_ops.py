"""Fused operations against PyTorch: eager as found, and the best of tuned eager and Inductor.

    python benchmarks/fused_ops.py [--ops rmsnorm,rope] [--pairs 24] [--threads 1] [--no-inductor]

Needs torch. For every operation and shape (none of which a task searches) a pass of ours, forward
and backward where the operation has a gradient, is interleaved in random order with each rival:
eager PyTorch as a user finds it; the fastest of eager PyTorch with a C library that keeps freed
memory and of `torch.compile`; and a plain loop that moves the bytes that nobody can avoid moving,
which is the floor. By CPU time on one thread, by wall time on several. The kernels are the adopted
ones of this machine, else those written by hand; the table says which.
"""

from __future__ import annotations

import argparse
import ctypes
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
from record import header, table

FLOOR = Path(__file__).with_name("data") / "bandwidth_floor.cpp"
FLAGS = ("-O3", "-march=native", "-std=c++17")
GLANCES = 3


class Subject(NamedTuple):
    """An operation on one shape.

    Attributes:
        shape: for the table.
        ours, eager: a pass each; `others` are further rivals of the strongest setting.
        traced: what `torch.compile` is given, with the inputs; None where it is left out.
        reads, writes: float32 numbers that must come from memory and go there.
    """

    shape: str
    ours: Callable[[], Any]
    eager: Callable[[], Any]
    others: dict[str, Callable[[], Any]]
    traced: Callable[[Callable[..., Any]], Callable[[], Any]] | None
    reads: int
    writes: int


def both_ways(function: Callable[..., Any], inputs: Sequence[Any]) -> Callable[[], Any]:
    """Forward and backward; gradients go nowhere."""
    import torch

    wanted = [one for one in inputs if one.requires_grad]
    above = torch.ones_like(function(*inputs))
    return lambda: torch.autograd.grad(function(*inputs), wanted, above)


def trained(shape: str, ours: Any, eager: Any, inputs: Sequence[Any], *, reads: int, writes: int,
            **others: Any) -> Subject:  # fmt: skip
    """A subject that goes both ways."""
    return Subject(
        shape, both_ways(ours, inputs), both_ways(eager, inputs),
        {name: both_ways(one, inputs) for name, one in others.items()},
        lambda compile_: both_ways(compile_(eager), inputs), reads, writes,
    )  # fmt: skip


def leaf(*shape: int) -> Any:
    import torch

    return torch.randn(shape, requires_grad=True)


def rmsnorm(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n = rows * columns
    return trained(
        f"{rows} x {columns}", lambda x, w: fused.rmsnorm(x, w, 1e-5),
        lambda x, w: torch.nn.functional.rms_norm(x, (columns,), w, 1e-5),
        (leaf(rows, columns), leaf(columns)), reads=3 * n, writes=2 * n,
    )  # fmt: skip


def layernorm(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n = rows * columns
    return trained(
        f"{rows} x {columns}", lambda x, w, b: fused.layernorm(x, w, b, 1e-5)[0],
        lambda x, w, b: torch.nn.functional.layer_norm(x, (columns,), w, b, 1e-5),
        (leaf(rows, columns), leaf(columns), leaf(columns)), reads=3 * n, writes=2 * n,
    )  # fmt: skip


def cross_entropy(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n, targets = rows * columns, torch.randint(columns, (rows,))
    return trained(
        f"{rows} x {columns}", lambda x: fused.cross_entropy(x, targets),
        lambda x: torch.nn.functional.cross_entropy(x, targets),
        (leaf(rows, columns),), reads=n, writes=n,
    )  # fmt: skip


def cross_entropy_in_place(rows: int, columns: int) -> Subject:
    """The logits become their gradient, as code may have it that needs them no more."""
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n, targets = rows * columns, torch.randint(columns, (rows,))
    return trained(
        f"{rows} x {columns}", lambda x: fused.cross_entropy(x, targets, in_place=True),
        lambda x: torch.nn.functional.cross_entropy(x, targets),
        (leaf(rows, columns),), reads=n, writes=n,
    )  # fmt: skip


def rope_pairs(batch: int, tokens: int, heads: int, width: int) -> Subject:
    """Against complex numbers, too: neighbours turn together, as in Llama's own code.

    It is another order of elements, so models whose halves turn together cannot use it.
    """
    return rope(batch, tokens, heads, width, halves=False)


def rope(batch: int, tokens: int, heads: int, width: int, *, halves: bool = True) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    x = torch.randn(batch, tokens, heads, width)
    angles = torch.arange(tokens)[:, None] * 10.0 ** -torch.linspace(0, 4, width // 2)
    cosines, sines = (torch.cat((one, one), -1) for one in (angles.cos(), angles.sin()))
    turns = torch.polar(torch.ones_like(angles), angles)[:, None]

    def eager(x: Any) -> Any:
        first, second = x.chunk(2, -1)
        return x * cosines[:, None] + torch.cat((-second, first), -1) * sines[:, None]

    def pairs(x: Any) -> Any:
        return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turns).flatten(
            -2
        )

    return Subject(
        f"{batch} x {tokens} x {heads} x {width}", lambda: fused.rope(x, cosines, sines),
        lambda: eager(x), {} if halves else {"complex": lambda: pairs(x)},
        lambda compile_: (lambda run: lambda: run(x))(compile_(eager)), x.numel(), x.numel(),
    )  # fmt: skip


def swiglu(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n = rows * columns
    return trained(
        f"{rows} x {columns}", fused.swiglu,
        lambda gate, up: torch.nn.functional.silu(gate) * up,
        (leaf(rows, columns), leaf(rows, columns)), reads=5 * n, writes=3 * n,
    )  # fmt: skip


def softmax(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    x = torch.randn(rows, columns)
    return Subject(
        f"{rows} x {columns}", lambda: fused.softmax(x), lambda: torch.softmax(x, -1), {},
        lambda compile_: (lambda run: lambda: run(x))(compile_(lambda x: torch.softmax(x, -1))),
        x.numel(), x.numel(),
    )  # fmt: skip


def embedding(count: int, vocabulary: int, columns: int) -> Subject:
    """The backward pass alone."""
    from breeder.training.fused.embedding import embedding_backward
    from breeder.training.pytorch import torch

    grad = torch.randn(count, columns)
    tokens = (vocabulary * torch.rand(count) ** 3).long()

    def eager(grad: Any) -> Any:
        return torch.ops.aten.embedding_dense_backward(grad, tokens, vocabulary, -1, False)

    return Subject(
        f"{count} of {vocabulary} x {columns}",
        lambda: embedding_backward(grad, tokens, vocabulary, -1), lambda: eager(grad), {},
        lambda compile_: (lambda run: lambda: run(grad))(compile_(eager)),
        count * columns, vocabulary * columns,
    )  # fmt: skip


def adamw(count: int) -> Subject:
    """Eager is `fused=True`; the others of the strongest setting are PyTorch's other two ways."""
    from breeder.training import fused
    from breeder.training.pytorch import torch

    def stepper(kind: Any, **options: Any) -> Callable[[], Any]:
        parameter = torch.nn.Parameter(torch.randn(count))
        parameter.grad = torch.randn(count)
        return kind([parameter], lr=1e-4, **options).step  # type: ignore[no-any-return]

    plain = torch.optim.AdamW
    return Subject(
        f"{count}", stepper(fused.AdamW), stepper(plain, fused=True),
        {"foreach": stepper(plain, foreach=True)}, None, 4 * count, 3 * count,
    )  # fmt: skip


def int8_gemv(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    weight = torch.randint(-128, 128, (rows, columns), dtype=torch.int8)
    scales, x = torch.rand(rows) * 1e-2, torch.randn(columns)
    wide, half = weight.float() * scales[:, None], x.bfloat16()[None]
    narrow = scales.bfloat16()
    return Subject(
        f"{rows} x {columns}", lambda: fused.int8_gemv(weight, scales, x), lambda: wide @ x,
        {"int8pack, bfloat16": lambda: torch._weight_int8pack_mm(half, weight, narrow)},
        None, rows * columns // 4, rows,
    )  # fmt: skip


def int4_gemv(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    numbers = torch.randint(0, 16, (rows, columns), dtype=torch.int32)
    packed = (numbers[:, ::2] | numbers[:, 1::2] << 4).to(torch.uint8)
    scales, x = torch.rand(rows, columns // 32) * 1e-2, torch.randn(columns)
    wide = ((numbers - 8) * scales.repeat_interleave(32, 1)).contiguous()
    theirs = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 2)
    zeros = torch.stack((scales, torch.zeros_like(scales)), -1).transpose(0, 1)
    zeros, half = zeros.contiguous().bfloat16(), x.bfloat16()[None]
    return Subject(
        f"{rows} x {columns}", lambda: fused.int4_gemv(packed, scales, x), lambda: wide @ x,
        {"int4pack, bfloat16": lambda: torch.ops.aten._weight_int4pack_mm_for_cpu(
            half, theirs, 32, zeros)},
        None, rows * columns // 8, rows,
    )  # fmt: skip


OPERATIONS: dict[str, tuple[Callable[..., Subject], Sequence[tuple[int, ...]]]] = {
    "rmsnorm": (rmsnorm, [(4096, 512), (2048, 768), (1000, 1536)]),
    "cross_entropy": (cross_entropy, [(1024, 8192), (256, 32000), (500, 5003)]),
    "cross_entropy_in_place": (cross_entropy_in_place, [(1024, 8192), (256, 32000), (500, 5003)]),
    "rope": (rope, [(4, 512, 8, 64), (8, 256, 8, 32), (1, 1024, 16, 128)]),
    "rope_pairs": (rope_pairs, [(4, 512, 8, 64), (8, 256, 8, 32), (1, 1024, 16, 128)]),
    "swiglu": (swiglu, [(2048, 1408), (4096, 688), (700, 2816)]),
    "softmax": (softmax, [(4096, 512), (2048, 2048), (6000, 197)]),
    "embedding": (embedding, [(2048, 8192, 512), (4096, 2048, 256), (1000, 32000, 256)]),
    "adamw": (adamw, [(262_144,), (1_048_576,), (8_388_608,)]),
    "layernorm": (layernorm, [(4096, 512), (2048, 768), (1576, 384)]),
    "int8_gemv": (int8_gemv, [(2048, 512), (4096, 1024), (32000, 512)]),
    "int4_gemv": (int4_gemv, [(2048, 512), (4096, 1024), (11008, 2048)]),
}


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


def floor_of(move: Any, subject: Subject) -> Callable[[], Any]:
    """A loop that moves the bytes that the operation must move, in buffers of that size."""
    from breeder.training.pytorch import torch

    source, target = torch.ones(subject.reads), torch.zeros(subject.writes)
    return lambda: move(source.data_ptr(), target.data_ptr(), subject.reads, subject.writes)


def strongest(subject: Subject, *, inductor: bool) -> tuple[str, Callable[[], Any]]:
    """The fastest of a few runs: eager, its other forms, and compiled."""
    from breeder.training.operators import timed
    from breeder.training.pytorch import torch

    choices = {"eager": subject.eager, **subject.others}
    if inductor and subject.traced is not None:
        torch.compiler.reset()
        choices["Inductor"] = subject.traced(lambda one: torch.compile(one, dynamic=False))
    times = {}
    for name, run in choices.items():
        work: Work = timed(run, 1)
        run()
        times[name] = min(work().cpu_seconds for _ in range(GLANCES))
    best = min(times, key=lambda name: times[name])
    return best, choices[best]


class Row(NamedTuple):
    """One subject: against eager as found, against the strongest setting, against the floor."""

    found: Comparison
    strongest: Comparison
    which: str
    floor: Comparison


def loop(folder: Path) -> Any:
    """The loop of the floor, compiled."""
    signature = NativeFunction(("float32[]", "inout float32[]", "int64", "int64"))
    compiled_source(FLOOR, FLAGS, {"move": signature})  # says in one line what is wrong with it
    built: list[str | Path] = ["g++", *FLAGS, "-shared", "-fPIC", "-o", folder / "floor.so", FLOOR]
    subprocess.run(built, check=True)
    move = ctypes.CDLL(str(folder / "floor.so")).move
    move.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    return move


def rows(subjects: Sequence[tuple[str, Subject]], options: argparse.Namespace) -> list[Row]:
    """Measure everything; a line for each subject as it comes."""
    pairs, threads = options.pairs, options.threads
    found = [measured(one.eager, one.ours, pairs, threads) for _, one in subjects]
    keep_freed_memory()
    done = []
    with tempfile.TemporaryDirectory() as folder:
        move = loop(Path(folder))
        for (name, one), first in zip(subjects, found, strict=True):
            which, rival = strongest(one, inductor=not options.no_inductor)
            second = measured(rival, one.ours, pairs, threads)
            least = measured(floor_of(move, one), one.ours, pairs, 1)
            done.append(Row(first, second, which, least))
            print(f"{name} {one.shape}: {_ratio(first)}, {_ratio(second)} {which}", flush=True)
    return done


def show(subjects: Sequence[tuple[str, Subject]], measured_rows: Sequence[Row]) -> None:
    """The table, and means for each operation."""
    from breeder.training.calls import NEEDED
    from breeder.training.operators import registry

    lines = [
        [name, one.shape, _ratio(row.found), _ratio(row.strongest), row.which,
         f"{1 / row.floor.ratio:.2f}"]
        for (name, one), row in zip(subjects, measured_rows, strict=True)
    ]  # fmt: skip
    columns = ["operation", "shape", "eager as found", "strongest", "which", "time / floor"]
    print(table(columns, lines))
    for name in dict.fromkeys(name for name, _ in subjects):
        some = [row for (op, _), row in zip(subjects, measured_rows, strict=True) if op == name]
        against = mean_ratio([row.found for row in some])
        best = mean_ratio([row.strongest for row in some])
        print(f"{name}: {against} as found, {best} strongest (geometric means)")
        kind = name.removesuffix("_in_place").removesuffix("_pairs")
        for op in NEEDED.get(kind, (kind,)):
            kernel = registry().kernel_for(op, "")
            print(f"{op}: {kernel.source.origin if kernel else registry().kernels(op)[1]}")


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
    print(header(f"Fused operations, fp32, {options.threads} threads, torch {torch.__version__}"))
    show(subjects, rows(subjects, options))


def _ratio(one: Comparison) -> str:
    return f"{one.ratio:.2f}x [{one.fixed_low:.2f}, {one.fixed_high:.2f}]"


if __name__ == "__main__":
    main()
