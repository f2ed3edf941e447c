"""The compiled matrix products of the matmul tiling task: correct, timed, built once."""

import importlib
import itertools
import random
from pathlib import Path

import numpy as np
import pytest

import breeder.suites
from breeder.errors import EvaluatorError
from breeder.evaluation.loading import load_evaluator

FOLDER = Path(breeder.suites.__file__).parent / "kernels" / "matmul_tiling"
load_evaluator(FOLDER, "evaluate.py")
grid = importlib.import_module("tiling_grid")
kernels = importlib.import_module("tiling_kernels")
KernelClock = importlib.import_module("tiling_times").KernelClock
Shape = importlib.import_module("tiling_family").Shape
Tiling = importlib.import_module("tiling_family").Tiling

SHAPE = Shape(256, 256, 256)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    try:
        kernels.find_compiler()
    except EvaluatorError as error:
        pytest.skip(str(error))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kernels.CACHE_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        return kernels.build()


def operands(shape, rng):
    a = rng.standard_normal((shape.m, shape.k)).astype(np.float32)
    b = rng.standard_normal((shape.k, shape.n)).astype(np.float32)
    stored_a = np.ascontiguousarray(a.T) if shape.a_transposed else a
    stored_b = np.ascontiguousarray(b.T) if shape.b_transposed else b
    return a, b, stored_a, stored_b


def worst_error(loaded, shape, tiling, rng):
    """Largest error against float64, in units of the float32 rounding of |A| |B|."""
    a, b, stored_a, stored_b = operands(shape, rng)
    c = np.full((shape.m, shape.n), np.nan, np.float32)
    loaded.run(shape, stored_a, stored_b, c, tiling)
    exact = a.astype(float) @ b.astype(float)
    scale = np.abs(a).astype(float) @ np.abs(b).astype(float)
    return float((np.abs(c - exact) / scale).max() / np.finfo(np.float32).eps)


def drawn_tiling(draw, family):
    return family.snap(
        {
            "rows": draw.randint(1, 14),
            "vectors": draw.randint(1, 6),
            "mc": draw.randint(1, 160),
            "kc": draw.randint(1, 160),
            "nc": draw.randint(1, 300),
            "pack_a": draw.randint(0, 1),
            "pack_b": draw.randint(0, 1),
            "order": draw.randint(0, 1),
            "threads": draw.randint(1, 4),
        }
    )


def test_random_members_of_the_family_multiply_odd_shapes_correctly(compiled):
    loaded = kernels.Kernels(compiled, threads=4)
    rng, draw = np.random.default_rng(1), random.Random(1)
    for _ in range(300):
        m, n, k = (draw.choice((1, 2, 5, 15, 16, 17, 31, 63, 100, 131, 200)) for _ in range(3))
        shape = Shape(m, n, k, draw.random() < 0.5, draw.random() < 0.5)
        tiling = drawn_tiling(draw, loaded.family)
        # The worst case of summing k terms one by one is k/2 roundings; random signs stay far off.
        assert worst_error(loaded, shape, tiling, rng) < 4, (shape, tiling)


def test_every_register_tile_is_correct_packed_and_in_place(compiled):
    loaded = kernels.Kernels(compiled)
    rng = np.random.default_rng(2)
    for vectors, rows in enumerate(loaded.family.tallest, start=1):
        for height, pack, order in itertools.product(range(1, rows + 1), (0, 1), (0, 1)):
            tiling = Tiling(height, vectors, 3 * height, 24, 1000, pack, pack, order, 1)
            shape = Shape(2 * height + 1, vectors * loaded.family.lanes + 3, 40)
            assert worst_error(loaded, shape, tiling, rng) < 4, tiling


def test_settings_of_the_grid_are_correct_on_each_layout(compiled):
    loaded = kernels.Kernels(compiled)
    rng = np.random.default_rng(3)
    # Seven and the four layouts have no common factor: each layout meets every kind of setting.
    for index, tiling in enumerate(grid.settings(loaded.family)[::7]):
        shape = Shape(61, 149, 67, index % 2 == 1, index // 2 % 2 == 1)
        assert worst_error(loaded, shape, tiling, rng) < 4, (shape, tiling)


def test_kernels_refuse_arrays_that_do_not_fit(compiled):
    loaded = kernels.Kernels(compiled)
    good = np.zeros((4, 4), np.float32)
    shape, tiling = Shape(4, 4, 4), loaded.family.textbook()
    loaded.run(shape, good, good, good.copy(), tiling)
    for bad in (
        np.zeros((4, 4)),
        np.zeros((4, 5), np.float32),
        np.zeros((8, 8), np.float32)[::2, ::2],
    ):
        with pytest.raises(ValueError, match=r"expected|dense"):
            loaded.run(shape, good, bad, good.copy(), tiling)


def test_time_is_measured_and_grows_with_the_work(compiled):
    loaded = kernels.Kernels(compiled)
    _, _, a, b = operands(SHAPE, np.random.default_rng(0))
    c = np.empty((256, 256), np.float32)
    one = min(loaded.run(SHAPE, a, b, c, loaded.family.textbook()) for _ in range(5))
    many = min(
        loaded.run(SHAPE, a, b, c, loaded.family.textbook(), repetitions=20) for _ in range(3)
    )
    assert 5 * one < many < 80 * one


def test_kernel_clock_times_and_checks_every_tiling(compiled):
    loaded = kernels.Kernels(compiled)
    clock = KernelClock(loaded, seed=0)
    shape = Shape(33, 50, 20, b_transposed=True)
    seconds = clock.round(shape, [loaded.family.textbook(), Tiling(1, 1, 1, 8, 16, 0, 0, 1, 1)])
    assert all(1e-8 < s < 1.0 for s in seconds)


def test_kernel_clock_stops_at_a_wrong_product(compiled):
    class Broken(kernels.Kernels):
        def run(self, shape, a, b, c, tiling, *, repetitions=1):
            seconds = super().run(shape, a, b, c, tiling, repetitions=repetitions)
            c[0, 0] += 1.0
            return seconds

    clock = KernelClock(Broken(compiled), seed=0)
    with pytest.raises(EvaluatorError, match="wrong product"):
        clock.round(SHAPE, [Tiling(8, 1, 96, 256, 256, 1, 1, 0, 1)])


def test_build_is_reused_and_leaves_no_partial_file(compiled, monkeypatch):
    monkeypatch.setenv(kernels.CACHE_VARIABLE, str(compiled.parent.parent))
    before = compiled.stat().st_mtime_ns
    assert kernels.build() == compiled
    assert compiled.stat().st_mtime_ns == before
    assert not list(compiled.parent.glob("*.part"))


def test_missing_compiler_is_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EvaluatorError, match=r"^matmul_tiling: no C compiler on PATH; install gcc"):
        kernels.build()


def test_damaged_library_is_one_line(tmp_path):
    library = tmp_path / "gemm-0.so"
    library.write_bytes(b"not a library")
    with pytest.raises(EvaluatorError, match="delete that file"):
        kernels.Kernels(library)


def test_refused_source_is_one_line(tmp_path, monkeypatch, compiled):
    source = tmp_path / "gemm.c"
    source.write_text("#error no such processor\n")
    monkeypatch.setattr(kernels, "SOURCE", source)
    monkeypatch.setenv(kernels.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(EvaluatorError, match=r"refuses gemm\.c: .*no such processor"):
        kernels.build()
    assert not list((tmp_path / "matmul_tiling").iterdir())


def test_unwritable_cache_is_one_line(tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.touch()
    monkeypatch.setenv(kernels.CACHE_VARIABLE, str(blocker))
    with pytest.raises(EvaluatorError, match="set BREEDER_CACHE"):
        kernels.cache_folder()
