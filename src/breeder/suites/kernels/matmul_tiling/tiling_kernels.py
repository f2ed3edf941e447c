"""Compiles the family once per machine and calls it. Needs gcc or clang on PATH."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import mmap
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tiling_family import Family, Shape, Tiling

from breeder.errors import EvaluatorError

Matrices = npt.NDArray[np.float32]

SOURCE = Path(__file__).with_name("gemm.c")
FLAGS = ("-O3", "-std=gnu11", "-ffp-contract=fast", "-fPIC", "-shared", "-pthread")
CACHE_VARIABLE = "BREEDER_CACHE"
BUILD_SECONDS = 120
HUGE_PAGE = 2 << 20
LARGEST_VECTORS = 6


def cache_folder() -> Path:
    """Where compiled kernels and timings are kept: private to the user, created when missing.

    `BREEDER_CACHE`, else `XDG_CACHE_HOME`, else `~/.cache`, else the folder for temporary files.

    Raises:
        EvaluatorError: none can be written, or it belongs to somebody else.
    """
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        places = [Path(named)]
    else:
        base = os.environ.get("XDG_CACHE_HOME")
        places = [Path(base) if base else Path("~/.cache").expanduser()]
        places = [place / "breeder" for place in places]
        places.append(Path(tempfile.gettempdir()) / f"breeder-{os.getuid()}")
    for place in places:
        folder = place / "matmul_tiling"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (OSError, RuntimeError):
            continue
        # A library from a folder that others may write is code of theirs.
        if folder.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
            return folder
    raise EvaluatorError(
        f"matmul_tiling: cannot write {places[-1]}; set {CACHE_VARIABLE} to a folder of yours"
    )


def processor() -> str:
    """What tells one kind of processor from another: model and instruction sets."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "cpu family", "model\t", "flags", "Features", "CPU part")
    first = text.split("\n\n", 1)[0]
    return "\n".join(line for line in first.splitlines() if line.startswith(wanted))


def find_compiler() -> str:
    """Path of the C compiler. Raises EvaluatorError when there is none."""
    for name in ("gcc", "clang", "cc"):
        path = shutil.which(name)
        if path:
            return path
    raise EvaluatorError("matmul_tiling: no C compiler on PATH; install gcc or clang")


def build(folder: Path | None = None) -> Path:
    """Compile gemm.c for this machine unless that was done before.

    Args:
        folder: where to keep the library; the cache folder by default.

    Returns:
        The shared library; its name is a hash of source, flags, compiler and processor.

    Raises:
        EvaluatorError: no compiler, or it refuses the source.
    """
    compiler = find_compiler()
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    parts = (SOURCE.read_bytes(), " ".join(FLAGS).encode(), version, processor().encode())
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:20]
    library = (folder or cache_folder()) / f"gemm-{digest}.so"
    if library.is_file():
        return library
    handle, fresh = tempfile.mkstemp(dir=library.parent, prefix="gemm-", suffix=".part")
    os.close(handle)
    try:
        _compile(compiler, Path(fresh))
        os.replace(fresh, library)
    finally:
        Path(fresh).unlink(missing_ok=True)
    return library


def _compile(compiler: str, output: Path) -> None:
    # Some compilers for other processors do not know -march=native; the source needs no flag.
    for march in (("-march=native",), ()):
        command = [compiler, *FLAGS, *march, str(SOURCE), "-o", str(output)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EvaluatorError(f"matmul_tiling: {compiler}: {error}") from None
        if done.returncode == 0:
            return
    lines = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
    raise EvaluatorError(f"matmul_tiling: {compiler} refuses gemm.c: {lines[0]}")


def stack(sets: int, rows: int, columns: int) -> Matrices:
    """Matrices of zeros, one after the other, in huge pages where the system gives them.

    With ordinary pages the luck of their placement decides what collides in the L2 cache, which is
    drawn anew in every process.
    """
    size = sets * rows * columns * np.dtype(np.float32).itemsize
    block = mmap.mmap(-1, -(-size // HUGE_PAGE) * HUGE_PAGE + HUGE_PAGE, flags=mmap.MAP_PRIVATE)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            block.madvise(mmap.MADV_HUGEPAGE)
    plain = np.frombuffer(block, np.uint8)
    start = -plain.ctypes.data % HUGE_PAGE
    return plain[start : start + size].view(np.float32).reshape(sets, rows, columns)


def _float_pointer(array: Matrices) -> object:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


class Kernels:
    """The compiled family.

    Attributes:
        library: path of the shared library; its stem identifies source, compiler and processor.
        family: the ranges it was compiled with; one thread unless `threads` says otherwise.
    """

    def __init__(self, library: Path | None = None, *, threads: int = 1) -> None:
        self.library = library or build()
        try:
            loaded = ctypes.CDLL(str(self.library))
        except OSError as error:
            raise EvaluatorError(f"matmul_tiling: {error}; delete that file") from None
        loaded.gemm.restype = ctypes.c_double
        self._gemm = loaded.gemm
        tallest = tuple(loaded.tallest(v) for v in range(1, LARGEST_VECTORS + 1))
        self.family = Family(loaded.lanes(), tallest, threads)

    def run(
        self,
        shape: Shape,
        operands: tuple[Matrices, Matrices, Matrices],
        tiling: Tiling,
        *,
        repetitions: int = 1,
        first: int = 0,
    ) -> float:
        """Compute C = op(A) op(B) `repetitions` times and return the CPU seconds of all together.

        `operands` are A, B and C: stacks [sets, rows, columns] of equally many matrices, dense and
        row-major, stored as `shape` says. Repetition r works on set `(first + r) % sets`. CPU time
        is that of the calling thread, with several threads that of the slowest one.

        Raises:
            EvaluatorError: no memory for the packed blocks.
            ValueError: an array does not fit the shape.
        """
        a, b, c = operands
        stored_a = (shape.k, shape.m) if shape.a_transposed else (shape.m, shape.k)
        stored_b = (shape.n, shape.k) if shape.b_transposed else (shape.k, shape.n)
        for array, one in ((a, stored_a), (b, stored_b), (c, (shape.m, shape.n))):
            expected = (len(c), *one)
            if array.shape != expected or array.dtype != np.float32:
                raise ValueError(f"expected float32 {expected}, got {array.dtype} {array.shape}")
            if not array.flags.c_contiguous:
                raise ValueError("arrays must be dense and row-major")
        seconds: float = self._gemm(
            (ctypes.c_int * len(shape))(*shape),
            _float_pointer(a),
            _float_pointer(b),
            _float_pointer(c),
            (ctypes.c_int * len(tiling))(*self.family.on(shape, tiling)),
            ctypes.c_int(len(c)),
            ctypes.c_int(first),
            ctypes.c_int(repetitions),
        )
        if seconds < 0:
            raise EvaluatorError("matmul_tiling: no memory or no thread for a product")
        return seconds
