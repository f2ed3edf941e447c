"""An evolved tiling heuristic beside BLAS libraries, on the task's held-out shapes, one thread.

Usage: python benchmarks/matmul_libraries.py [PROGRAM] [--onednn FILE] [--mkl FILE] [--rounds N]

PROGRAM is a program file or the folder of a champion (the one that ships by default); it runs in
the sandbox and says only which tiling each shape gets. OpenBLAS is the one inside numpy. oneDNN
(`libdnnl.so`, package onednn-cpu-gomp) and MKL (`libmkl_rt.so`, package mkl) are measured when
their files are named or lie where pip puts them; else a line says that they are absent. All are
called from C in batches of the same length, interleaved in random order, on the same operands, and
timed by the CPU time of the thread. Every library's first product is compared with float64.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
os.environ["MKL_THREADING_LAYER"] = "SEQUENTIAL"

import numpy as np

from breeder.admission import program_id
from breeder.core import Program
from breeder.errors import BreederError, UserError
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.task import Task
from breeder.task_formats import load
from record import header, table
from tiling_variant import TASK, write_variant

FOLDER = load(TASK).folder
sys.path.insert(0, str(FOLDER))

from tiling_clock import BATCH_SECONDS, ROTATED, SETS, Operands  # type: ignore[import-not-found]  # noqa: E402
from tiling_comparison import Comparison  # type: ignore[import-not-found]  # noqa: E402
from tiling_family import Shape, Tiling  # type: ignore[import-not-found]  # noqa: E402
from tiling_kernels import Kernels, find_compiler  # type: ignore[import-not-found]  # noqa: E402
from tiling_shapes import HELD_OUT, flat  # type: ignore[import-not-found]  # noqa: E402

CHAMPION = Path(__file__).parents[1] / "champions" / "kernels-matmul_tiling"
CHOICES = '''"""The tiling task; its confirmation says what a program chooses, held-out shapes."""

import json

from breeder.evaluation import Result
from tiling_task import HELD_OUT, ask, evaluate, flat, kernels, quick, verify


def confirm(candidate):
    chosen = ask(candidate, kernels().family, flat(HELD_OUT))
    return Result({"speedup": 1.0}, {"tilings": json.dumps(chosen)}, intervals={"speedup": (1, 1)})
'''
BATCH = r"""
#include <stdint.h>
#include <time.h>
typedef int64_t whole;
/* 0: CBLAS with 64-bit integers, 1: CBLAS with 32-bit integers, 2: dnnl_sgemm. All row-major. */
typedef void cblas64(int, int, int, whole, whole, whole, float, const float *, whole,
                     const float *, whole, float, float *, whole);
typedef void cblas32(int, int, int, int, int, int, float, const float *, int, const float *, int,
                     float, float *, int);
typedef int dnnl(char, char, whole, whole, whole, float, const float *, whole, const float *,
                 whole, float, float *, whole);
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}
double batch(void *f, int kind, const int *s, const float *a, const float *b, float *c, int sets,
             int first, int count)
{
    const whole m = s[0], n = s[1], k = s[2], lda = s[3] ? m : k, ldb = s[4] ? k : n;
    const double begin = now();
    for (int r = 0; r < count; r++) {
        const whole one = (first + r) % sets;
        const float *x = a + one * m * k, *y = b + one * k * n;
        float *z = c + one * m * n;
        if (kind == 0)
            ((cblas64 *)f)(101, 111 + s[3], 111 + s[4], m, n, k, 1, x, lda, y, ldb, 0, z, n);
        else if (kind == 1)
            ((cblas32 *)f)(101, 111 + s[3], 111 + s[4], m, n, k, 1, x, lda, y, ldb, 0, z, n);
        else
            ((dnnl *)f)(s[3] ? 'T' : 'N', s[4] ? 'T' : 'N', m, n, k, 1, x, lda, y, ldb, 0, z, n);
    }
    return now() - begin;
}
"""

Batch = Callable[[Operands, int, int], float]
"""Runs `count` products from set `first` on and returns the CPU seconds of all."""


class Library(NamedTuple):
    """A library's product: its address, how it is called (see BATCH), and what it is."""

    name: str
    address: int
    kind: int


def numpys() -> Library:
    """The OpenBLAS that numpy brings."""
    folder = Path(np.__file__).parent.parent / "numpy.libs"
    found = sorted(folder.glob("libscipy_openblas64_*.so"))
    if not found:
        raise UserError(f"{folder}: no OpenBLAS; install numpy from a wheel")
    symbol = ctypes.CDLL(str(found[0])).scipy_cblas_sgemm64_
    return Library(f"OpenBLAS of numpy {np.__version__}", _address(symbol), 0)


def others(onednn: Path | None, mkl: Path | None) -> Iterator[Library]:
    """The libraries oneDNN and MKL, as far as they are here; says what is absent."""
    for name, file, pattern, symbol, kind in (
        ("oneDNN", onednn, "libdnnl.so*", "dnnl_sgemm", 2),
        ("MKL", mkl, "libmkl_rt.so*", "cblas_sgemm", 1),
    ):
        path = file or next(iter(sorted((Path(sys.prefix) / "lib").glob(pattern))), None)
        try:
            if path is None:
                raise OSError(f"no {pattern} below {sys.prefix}; name the file")
            loaded = ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            yield Library(name, _address(getattr(loaded, symbol)), kind)
        except (OSError, AttributeError) as error:
            print(f"{name} is not measured: {error}", file=sys.stderr)


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def compiled(folder: Path) -> Any:
    """The batch of a library's products."""
    source, output = folder / "batch.c", folder / "batch.so"
    source.write_text(BATCH, encoding="utf-8")
    command = [find_compiler(), "-O2", "-shared", "-fPIC", str(source), "-o", str(output)]
    subprocess.run(command, check=True)
    batch = ctypes.CDLL(str(output)).batch
    batch.restype = ctypes.c_double
    return batch


async def choices(task: Task, candidate: Program) -> list[Tiling]:
    """What a program chooses for the held-out shapes; it runs in the sandbox."""
    executor = LocalExecutor(task)
    try:
        await executor.start()
        result = await executor.evaluate(Job(candidate, "confirm", seed=1))
    finally:
        await executor.close()
    if result.failure is not None:
        raise UserError(f"the program failed: {result.failure}")
    return [Tiling(*one) for one in json.loads(result.artifacts["tilings"])]


def contender(operands: Operands, kernels: Kernels, tiling: Tiling | Library, batch: Any) -> Batch:
    """How one contender runs on one shape."""
    if isinstance(tiling, Tiling):
        return lambda on, first, count: float(
            kernels.run(on.shape, on.arrays, tiling, repetitions=count, first=first)
        )
    shape = (ctypes.c_int * 5)(*map(int, operands.shape))
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in operands.arrays]
    address = ctypes.c_void_p(tiling.address)
    return lambda on, first, count: float(
        batch(address, tiling.kind, shape, *pointers, len(on), first, count)
    )


def measured(
    shape: Shape, tilings: dict[str, Tiling | Library], kernels: Kernels, batch: Any, rounds: int
) -> dict[str, Any]:
    """CPU seconds of a product of every contender, one for each round."""
    rng = np.random.default_rng(7)
    size = 4 * (shape.m * shape.k + shape.k * shape.n + shape.m * shape.n)
    operands = Operands(
        shape, SETS if size <= ROTATED else 1,
        lambda r, c: rng.random((r, c), dtype=np.float32) - np.float32(0.5),
    )  # fmt: skip
    run = {name: contender(operands, kernels, one, batch) for name, one in tilings.items()}
    counts: dict[str, int] = {}
    for name, go in run.items():
        operands.poison()
        go(operands, 0, len(operands))
        for one in range(len(operands)):
            operands.check(one, tilings[name])
        least = min(go(operands, 0, 1) for _ in range(3))
        counts[name] = max(1, round(BATCH_SECONDS / max(least, 1e-7)))
    chance, seconds = random.Random(7), {name: np.empty(rounds) for name in run}
    for turn in range(rounds):
        for name in chance.sample(list(run), len(run)):
            first = chance.randrange(len(operands))
            seconds[name][turn] = run[name](operands, first, counts[name]) / counts[name]
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=Path, nargs="?", default=CHAMPION)
    parser.add_argument("--onednn", type=Path)
    parser.add_argument("--mkl", type=Path)
    parser.add_argument("--rounds", type=int, default=32)
    options = parser.parse_args()
    place = options.program / "initial.py" if options.program.is_dir() else options.program
    shapes, kernels = flat(HELD_OUT), Kernels()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            files = {"initial.py": place.read_text(encoding="utf-8")}
            task = write_variant(Path(scratch) / "task", CHOICES)
            chosen = asyncio.run(choices(task, Program(program_id(files), files)))
            libraries = [numpys(), *others(options.onednn, options.mkl)]
        except (BreederError, OSError) as error:
            sys.exit(str(error))
        batch = compiled(Path(scratch))
        seconds: dict[str, list[Any]] = {}
        for shape, tiling in zip(shapes, chosen, strict=True):
            contenders: dict[str, Tiling | Library] = {"evolved": tiling}
            contenders |= {"fixed default": kernels.family.textbook()}
            contenders |= {library.name: library for library in libraries}
            for name, times in measured(shape, contenders, kernels, batch, options.rounds).items():
                seconds.setdefault(name, []).append(times)
    result = Comparison(shapes, {name: tuple(rows) for name, rows in seconds.items()})
    print(header("Evolved tiling beside libraries, held-out shapes, one thread, CPU time"))
    rows = []
    for name in seconds:
        near, wide = (result.ratio(name, "evolved", over_shapes=over) for over in (False, True))
        each = sorted(result.per_shape(name, "evolved"))
        rows.append(
            (name, f"{near.value:.3f} [{near.low:.3f}, {near.high:.3f}]",
             f"[{wide.low:.3f}, {wide.high:.3f}]", f"{each[0]:.2f} to {each[-1]:.2f}")
        )  # fmt: skip
    columns = ("rival", "evolved is faster, geometric mean [rounds 95 %]", "[shapes 95 %]", "range")
    print(table(columns, [row for row in rows if row[0] != "evolved"]))
    lines = zip(
        shapes, *(result.per_shape(name, "evolved") for name in list(seconds)[1:]), strict=True
    )
    print(
        "\n"
        + table(("shape", *list(seconds)[1:]), [(s, *(f"{x:.2f}" for x in xs)) for s, *xs in lines])
    )


if __name__ == "__main__":
    main()
