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
evaluate = load_evaluator(FOLDER, "evaluate.py")
grid = importlib.import_module("tiling_grid")
kernels = importlib.import_module("tiling_kernels")
clocks = importlib.import_module("tiling_clock")
extremes = importlib.import_module("tiling_extremes")
shapes = importlib.import_module("tiling_shapes")
KernelClock = clocks.KernelClock
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
    loaded.run(shape, (stored_a[None], stored_b[None], c[None]), tiling)
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
    good = np.zeros((2, 4, 4), np.float32)
    shape, tiling = Shape(4, 4, 4), loaded.family.textbook()
    loaded.run(shape, (good, good, good.copy()), tiling)
    for bad in (
        np.zeros((2, 4, 4)),
        np.zeros((2, 4, 5), np.float32),
        np.zeros((1, 4, 4), np.float32),
        np.zeros((2, 8, 8), np.float32)[:, ::2, ::2],
    ):
        with pytest.raises(ValueError, match=r"expected|dense"):
            loaded.run(shape, (good, bad, good.copy()), tiling)


def test_time_is_measured_and_grows_with_the_work(compiled):
    loaded = kernels.Kernels(compiled)
    _, _, a, b = operands(SHAPE, np.random.default_rng(0))
    arrays = (a[None], b[None], np.empty((1, 256, 256), np.float32))
    one = min(loaded.run(SHAPE, arrays, loaded.family.textbook()) for _ in range(5))
    many = min(loaded.run(SHAPE, arrays, loaded.family.textbook(), repetitions=20) for _ in "abc")
    assert 5 * one < many < 80 * one


def test_kernel_clock_times_and_checks_every_tiling(compiled):
    loaded = kernels.Kernels(compiled)
    clock = KernelClock(loaded, seed=0)
    shape = Shape(33, 50, 20, b_transposed=True)
    seconds = clock.round(shape, [loaded.family.textbook(), Tiling(1, 1, 1, 8, 16, 0, 0, 1, 1)])
    assert all(1e-8 < s < 1.0 for s in seconds)


@pytest.mark.parametrize("threads", [1, 3])
def test_repetitions_take_the_sets_of_operands_in_turn(compiled, threads):
    loaded = kernels.Kernels(compiled, threads=threads)
    shape = Shape(40, 33, 21, a_transposed=True)
    draw = np.random.default_rng(7).standard_normal
    operands = clocks.Operands(shape, 3, lambda *size: draw(size, dtype=np.float32))
    tiling = loaded.family.textbook()._replace(threads=threads)
    for first, repetitions in ((0, 2), (1, 2), (2, 2), (0, 7)):
        operands.poison()
        loaded.run(shape, operands.arrays, tiling, repetitions=repetitions, first=first)
        written = {(first + r) % 3 for r in range(repetitions)}
        for one in range(3):
            if one in written:
                operands.check(one, tiling)
                operands.check(one, tiling, [0, 39])
            else:
                assert np.isnan(operands.arrays[2][one]).all()


def test_a_single_wrong_element_is_found(compiled):
    loaded = kernels.Kernels(compiled)
    operands = clocks.Operands(SHAPE, 1, lambda *size: np.ones(size, np.float32))
    tiling = loaded.family.textbook()
    loaded.run(SHAPE, operands.arrays, tiling)
    operands.arrays[2][0, 200, 255] *= 1.0001
    operands.check(0, tiling, [0, 199])
    for rows in (None, [200]):
        with pytest.raises(EvaluatorError, match="wrong product on 256x256x256 NN"):
            operands.check(0, tiling, rows)


@pytest.mark.parametrize("broken_from", [1, 30])
def test_kernel_clock_notices_products_that_go_wrong_later(compiled, broken_from):
    class Broken(kernels.Kernels):
        calls = 0

        def run(self, shape, operands, tiling, *, repetitions=1, first=0):
            seconds = super().run(shape, operands, tiling, repetitions=repetitions, first=first)
            self.calls += 1
            if self.calls >= broken_from:
                operands[2][:, :, 0] += 1.0
            return seconds

    clock = KernelClock(Broken(compiled), seed=0)
    small = Shape(24, 24, 24)

    def batches():
        for _ in range(200):
            clock.round(small, [Tiling(8, 1, 96, 256, 256, 1, 1, 0, 1)])

    with pytest.raises(EvaluatorError, match="wrong product"):
        batches()


@pytest.mark.parametrize("kind", extremes.KINDS)
def test_extreme_operands_come_out_right_on_unusual_shapes(compiled, kind):
    loaded = kernels.Kernels(compiled)
    for number, shape in enumerate(shapes.UNUSUAL):
        extremes.check(loaded, shape, loaded.family.textbook(), kind, seed=number)


def test_a_kernel_that_writes_to_its_operands_is_found(compiled, monkeypatch):
    class Scribbler(kernels.Kernels):
        def run(self, shape, operands, tiling, **options):
            seconds = super().run(shape, operands, tiling, **options)
            operands[0][0, 0, 0] = 5.0
            return seconds

    class Negligent(clocks.Operands):
        def check(self, *_): ...

    monkeypatch.setattr(extremes, "Operands", Negligent)
    loaded = Scribbler(compiled)
    with pytest.raises(EvaluatorError, match="wrote to its operands"):
        extremes.check(loaded, Shape(5, 6, 7), loaded.family.textbook(), "normal", seed=1)


class Named:
    """A candidate with one answer for every shape."""

    seed = 11

    def __init__(self, **changes) -> None:
        self.answer = {**evaluate.kernels().family.textbook()._asdict(), **changes}

    def call(self, function, rows, **_limits):
        return [self.answer for _ in rows]


@pytest.fixture
def small_verification(compiled, monkeypatch):
    monkeypatch.setattr(evaluate, "build", lambda folder: compiled)
    monkeypatch.setattr(evaluate, "kernels", lambda: kernels.Kernels(compiled))
    monkeypatch.setattr(evaluate, "HELD_OUT", {"tiny": (Shape(24, 40, 24), Shape(1, 64, 32))})
    monkeypatch.setattr(evaluate, "UNUSUAL", (Shape(1, 1, 1), Shape(3, 7, 5, True, True)))


def test_verification_reports_intervals_for_both_lists(small_verification):
    result = evaluate.verify(Named(rows=1, vectors=1, kc=8))
    assert set(result.metrics) == set(result.intervals) == {"speedup", "unusual_speedup"}
    for name, (low, high) in result.intervals.items():
        assert 0 < low <= result.metrics[name] <= high
    # A register tile of one vector and blocks of depth 8 take several times as long.
    assert result.intervals["speedup"][1] < 1.0
    assert result.artifacts["verified shapes"].count("\n") == 3


def test_verification_stops_at_a_wrong_element(small_verification, monkeypatch):
    class Careless(kernels.Kernels):
        def run(self, shape, operands, tiling, **options):
            seconds = super().run(shape, operands, tiling, **options)
            operands[2][:, -1, -1] *= np.float32(1.001)
            return seconds

    monkeypatch.setattr(evaluate, "Kernels", Careless)
    with pytest.raises(EvaluatorError, match="wrong product"):
        evaluate.verify(Named())


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
