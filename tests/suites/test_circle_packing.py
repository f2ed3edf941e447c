"""The circle packing task: exact check and repair, the building blocks, the stages."""

import importlib
import json
import math
import os
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import breeder.suites
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.evaluation.loading import load_evaluator
from breeder.task import load_native
from suites.direct import DirectCandidate

FOLDER = Path(breeder.suites.__file__).parent / "maths" / "circle_packing"
evaluate = load_evaluator(FOLDER, "evaluate.py")
exact = importlib.import_module("exact_packing")
moves = importlib.import_module("packing_moves")

# A packing that holds exactly: quarters of the square, all numbers powers of two.
QUARTERS = np.array([[x, y, 0.25] for x in (0.25, 0.75) for y in (0.25, 0.75)])

needs_records = pytest.mark.skipif(
    not os.environ.get("BREEDER_MATHS"),
    reason="BREEDER_MATHS does not point at published constructions",
)


def is_valid(rows):
    """The constraints once more, written independently of the task's own check."""
    exact_rows = [tuple(map(Fraction, row)) for row in rows]
    inside = all(r > 0 and r <= min(x, y, 1 - x, 1 - y) for x, y, r in exact_rows)
    apart = all(
        (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 >= (a[2] + b[2]) ** 2
        for a, b in combinations(exact_rows, 2)
    )
    return inside and apart


def published(name):
    path = Path(os.environ["BREEDER_MATHS"]) / name
    if path.suffix == ".npy":
        return np.load(path)
    data = json.loads(path.read_text())
    return np.array(data["circles"] if isinstance(data, dict) else data)


def test_a_valid_packing_is_left_alone():
    packing = exact.repair(QUARTERS, 4)
    assert packing.rows == QUARTERS.tolist()
    assert packing.total == 1.0
    assert packing.shrunk == 0.0
    assert exact.repair(QUARTERS.tolist(), 4) == packing  # as it comes out of a store


@pytest.mark.parametrize(
    ("row", "column", "change"),
    [
        (0, 2, 1e-12),  # overlaps and leaves the square
        (0, 2, 1e-16),
        (1, 0, 1e-12),  # two neighbours, one wall
        (2, 0, 1e-15),  # leaves the square
        (3, 1, -1e-13),
        (3, 2, 0.1),
        (0, 2, 1e6),
    ],
)
def test_tampering_never_gains(row, column, change):
    tampered = QUARTERS.copy()
    tampered[row, column] += change
    packing = exact.repair(tampered, 4)
    assert is_valid(packing.rows)
    assert packing.total <= 1.0
    if abs(change) >= 2e-16:
        assert packing.total < np.nextafter(tampered[:, 2].sum(), 2.0)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: np.where(a == 0.75, np.nan, a), "not finite"),
        (lambda a: np.where(a == 0.75, np.inf, a), "not finite"),
        (lambda a: a + 0j, "expected floats"),
        (lambda a: a > 0.5, "expected floats"),
        (lambda a: (4 * a).astype(int), "expected floats"),
        (lambda a: a[:3], "shape"),
        (lambda a: a[:, :2], "shape"),
        (lambda a: a[None], "shape"),
        (lambda a: a.tolist()[:3], "shape"),
        (lambda a: [*a.tolist()[:3], [0.5]], "rows of three floats"),
        (lambda a: [*a.tolist()[:3], [0.5, 0.5, "1"]], "rows of three floats"),
        (lambda a: [*a.tolist()[:3], [0.5, 0.5, True]], "rows of three floats"),
        (lambda a: None, "got NoneType"),
        (lambda a: 2.64, "got float"),
        (lambda a: a * [1, 1, -1], "not positive"),
        (lambda a: a * [1, 1, 0], "not positive"),
        (lambda a: a * [1e308, 1, 1], "outside"),
        (lambda a: a - [0.25 + 1e-15, 0, 0], "outside"),
        (lambda a: a * [0, 1, 1], "no room"),  # centres on the wall
        (lambda a: a[[0, 0, 1, 2]], "no room"),  # a circle twice
        (lambda a: a * [1, 1, 5e-324], "not positive"),
    ],
)
def test_what_is_no_packing_is_refused(spoil, words):
    with pytest.raises(InvalidAnswerError, match=words):
        exact.repair(spoil(QUARTERS), 4)


def test_the_least_positive_radius_is_a_circle():
    tiny = QUARTERS.copy()
    tiny[0] = [0.5, 0.5, 5e-324]
    assert exact.repair(tiny, 4).total == 0.75


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 9).flatmap(
        lambda n: arrays(np.float64, (n, 3), elements=st.floats(0.001, 0.999, width=64))
    )
)
def test_repair_is_valid_and_never_gains(circles):
    n = len(circles)
    try:
        packing = exact.repair(circles, n)
    except InvalidAnswerError:
        return  # no room left for a circle
    assert is_valid(packing.rows)
    after = np.array(packing.rows)
    assert np.array_equal(after[:, :2], circles[:, :2])
    assert (after[:, 2] <= circles[:, 2]).all()
    total = sum(map(Fraction, after[:, 2].tolist()), Fraction(0))
    assert Fraction(packing.total) <= total < Fraction(math.nextafter(packing.total, 9.0))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1e-15, 1e-12, 1e-9, 1e-6]))
def test_repair_takes_off_little_more_than_the_overlap(seed, size):
    rng = np.random.default_rng(seed)
    nearly = QUARTERS.copy()
    nearly[:, 2] += size * rng.random(4)
    packing = exact.repair(nearly, 4)
    assert is_valid(packing.rows)
    assert 1.0 - 1e-7 * size - 1e-15 <= packing.total <= 1.0


@given(st.fractions(min_value=0, max_value=4))
def test_root_is_just_below(square):
    root = exact.root_below(square)
    assert root**2 <= square < (root + Fraction(1, 2**exact.ROOT_BITS)) ** 2


@given(st.fractions(min_value=-10, max_value=10))
def test_rounding_goes_down(value):
    down = exact.rounded_down(value)
    assert Fraction(down) <= value < Fraction(math.nextafter(down, math.inf))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[0.5, 0.5, 0.5 + 2**-52]], "circle 0 is not inside"),
        ([[0.25, 0.5, 0.25], [0.75, 0.5, 0.25], [0.5, 0.5, 2**-60]], "circles 0 and 2 overlap"),
        ([[0.25, 0.5, 0.25], [0.75 - 2**-53, 0.5, 0.25]], "circles 0 and 1 overlap"),
        ([[0.5, 0.5, 0.0]], "circle 0 is not inside"),
    ],
)
def test_verification_has_no_tolerance(rows, words):
    with pytest.raises(InvalidAnswerError, match=words):
        exact.verify(rows)


def test_log_gap_counts_digits():
    assert evaluate.log_gap(evaluate.RECORD - 1e-6) == pytest.approx(6.0, abs=1e-6)
    assert evaluate.log_gap(evaluate.RECORD) == 13.0
    assert evaluate.log_gap(2.7) == 13.0
    assert evaluate.log_gap(0.5) == pytest.approx(-math.log10(evaluate.RECORD - 0.5))


def test_blocks_give_packings_of_the_same_circles():
    rng = np.random.default_rng(3)
    start = moves.random_circles(7, 0.05, rng)
    before = start.copy()
    for block in (
        lambda c: moves.shifted(c, 0.1, rng),
        lambda c: moves.relocated(c, 2, rng),
        lambda c: moves.swapped(c, 2, rng),
        moves.feasible,
        moves.radii_lp,
        lambda c: moves.relax(c, 50, 60.0),
        lambda c: moves.polish(c, 20, 2.0),
    ):
        assert block(start).shape == (7, 3)
        assert np.isfinite(block(start)).all()
        assert np.array_equal(start, before)  # a block never writes into its argument


def test_radii_lp_is_best_for_its_centres():
    circles = moves.radii_lp(np.array([[0.25, 0.5, 0.01], [0.75, 0.5, 0.01], [0.5, 0.5, 0.01]]))
    assert circles[:, 2].sum() == pytest.approx(0.5)


def test_relax_and_polish_find_the_quarters():
    rough = QUARTERS + np.random.default_rng(0).normal(0, 0.03, QUARTERS.shape)
    solved = moves.polish(moves.relax(rough, 200, 60.0), 60, 0.3)
    assert exact.repair(moves.feasible(solved), 4).total > 1.0 - 1e-9  # of equal radii, the best
    assert moves.total(None) == 0.0
    assert moves.total(QUARTERS) == 1.0


@pytest.fixture
def candidate(monkeypatch):
    """The start program; budgets of CPU time are short here."""
    for name in ("QUICK_SECONDS", "SCRATCH_SECONDS", "ON_SECONDS", "HELD_OUT_SECONDS"):
        monkeypatch.setattr(evaluate, name, 0.5)
    return DirectCandidate(FOLDER, seed=4)


def test_the_start_passes_every_stage(candidate):
    task = load_native(FOLDER)
    quick = evaluate.evaluate_quick(candidate)
    assert 2.4 < quick["quick_sum"] < evaluate.RECORD
    result = evaluate.evaluate(candidate)
    assert is_valid(result.construction)
    assert exact.repair(result.construction, 26).total == result.metrics["sum_radii"]
    metrics = {**quick, **result.metrics}
    assert {o.name for o in task.objectives} <= set(metrics)
    assert {feature.name for feature in task.file.feature} <= {"size", *metrics}
    assert task.file.stage[0].metric in quick


def test_the_carried_packing_is_never_lost(candidate):
    first = evaluate.evaluate(candidate)
    candidate.construction = first.construction
    candidate.seed = 5
    second = evaluate.evaluate(candidate)
    assert second.metrics["sum_radii"] >= first.metrics["sum_radii"]


def test_held_out_checks_the_carried_packing_and_other_sizes(candidate):
    candidate.construction = evaluate.multistart(26, 1, 0.1, relaxed=True).rows
    metrics = evaluate.evaluate_held_out(candidate)
    assert metrics["sum_radii"] == exact.repair(candidate.construction, 26).total
    assert metrics["sum_radii_20"] < metrics["scratch_sum"] < metrics["sum_radii_30"]
    candidate.construction = [*candidate.construction[:25], candidate.construction[0]]
    with pytest.raises(InvalidAnswerError, match="no room"):  # a circle twice
        evaluate.evaluate_held_out(candidate)


def test_baselines_cover_the_objectives(monkeypatch):
    monkeypatch.setattr(evaluate, "SEARCH_SECONDS", 0.1)
    monkeypatch.setattr(evaluate, "HELD_OUT_SECONDS", 0.1)
    monkeypatch.setattr(evaluate, "N", 6)
    monkeypatch.setattr(evaluate, "HELD_OUT_SIZES", (4, 5))
    search, held_out = evaluate.baselines("search"), evaluate.baselines("held_out")
    assert set(search) == set(held_out) == {"multistart", "relaxed_multistart"}
    for metrics in search.values():
        assert 1.0 < metrics["sum_radii"] < 1.5
    for metrics in held_out.values():
        assert set(metrics) == {"log_gap", "scratch_sum", "sum_radii", "sum_radii_4", "sum_radii_5"}


@needs_records
@pytest.mark.parametrize(
    ("name", "n", "low", "high"),
    [
        ("circ26_alphaevolve_v1.json", 26, 2.6358627564, 2.6358627565),
        ("circ26_alphaevolve_v2.json", 26, 2.6359830849176, 2.63598308491761),
        ("circ26_jsagent.json", 26, 2.6359830849175, 2.6359830849176),
        ("circ26_theta_formal.json", 26, 2.6359830773, 2.6359830774),
        ("circ26_shinkaevolve_theta.json", 26, 2.6359828266, 2.6359828267),
        ("circ26_ttt.json", 26, 2.6359773947, 2.6359773948),
        # Valid within a tolerance only; never above the record once repaired.
        ("circ26_theta_theta.json", 26, 2.63598163, 2.6359830849),
        ("circ26_codeevolve.npy", 26, 2.63598222, 2.6359830849),
        ("circ32_alphaevolve_v2.json", 32, 2.9395727712063, 2.93957277120640),
    ],
)
def test_published_packings_come_out_at_their_exact_values(name, n, low, high):
    packing = exact.repair(published(name), n)
    assert is_valid(packing.rows)
    assert low <= packing.total <= high


@needs_records
def test_the_reference_is_the_best_published_packing():
    best = exact.repair(published("circ26_alphaevolve_v2.json"), 26).total
    assert pytest.approx(best, abs=2e-15) == evaluate.RECORD


# ---- verifying a packing alone -----------------------------------------------------------------

GRID = [[(2 * i + 1) / 12, (2 * j + 1) / 12, 0.08] for i in range(6) for j in range(6)][:26]


def test_a_packing_that_holds_is_summed_exactly():
    metrics = evaluate.verify_packing(GRID)
    assert metrics["sum_radii"] <= sum(Fraction(r) for _, _, r in GRID)
    assert metrics["sum_radii"] == pytest.approx(26 * 0.08)
    assert evaluate.verify_packing(np.array(GRID))["sum_radii"] == metrics["sum_radii"]


def touching():
    """Two circles that touch exactly, the others far off: their numbers are powers of two."""
    rows = [[0.25, 0.25, 0.125], [0.5, 0.25, 0.125]]
    return rows + [[1 / 64 + i / 32, 0.75, 1 / 64] for i in range(24)]


def test_touching_is_allowed_and_the_last_digit_counts():
    rows = touching()
    evaluate.verify_packing(rows)
    rows[0][2] = math.nextafter(0.125, 1.0)
    with pytest.raises(InvalidAnswerError, match="overlap"):
        evaluate.verify_packing(rows)


@pytest.mark.parametrize("overlap", [1e-9, 1e-12, 1e-15])
def test_no_overlap_is_small_enough(overlap):
    rows = touching()
    rows[1][0] -= overlap
    with pytest.raises(InvalidAnswerError, match="circles 0 and 1 overlap"):
        evaluate.verify_packing(rows)


@pytest.mark.parametrize(
    "construction",
    [
        None, 2.64, "26 circles", b"", {}, [], GRID[:25], [*GRID, [0.5, 0.9, 0.01]],
        [row[:2] for row in GRID], [tuple(row) for row in GRID], [[1, 2, 3]] * 26,
        np.array(GRID, dtype=complex), np.array(GRID).T, np.array(GRID)[None],
        np.array(GRID, dtype=object), np.zeros((26, 3), dtype=np.int64),
        np.full((26, 3), 0.5), np.full((26, 3), np.nan), np.full((26, 3), np.inf),
    ],
)  # fmt: skip
def test_a_construction_that_is_no_packing_is_refused(construction):
    with pytest.raises(InvalidAnswerError):
        evaluate.verify_packing(construction)


@given(
    index=st.integers(0, 25),
    column=st.integers(0, 2),
    value=st.one_of(
        st.floats(),  # NaN, infinities, -0.0, subnormal and huge ones included
        st.floats(-1e-12, 1e-12).map(lambda by: 0.08 + by),
        st.complex_numbers(),
        st.integers(),
        st.booleans(),
        st.none(),
        st.text(max_size=2),
    ),
)
@settings(max_examples=150, deadline=None)
def test_one_tampered_number_is_refused_or_worth_what_is_left(index, column, value):
    rows = [list(row) for row in GRID]
    rows[index][column] = value
    try:
        total = evaluate.verify_packing(rows)["sum_radii"]
    except InvalidAnswerError:
        return
    assert type(value) is float
    assert is_valid(rows)
    assert total <= sum(Fraction(radius) for _, _, radius in rows)


@given(st.integers(0, 25), st.integers(0, 25))
@settings(max_examples=30, deadline=None)
def test_duplicates_are_refused(one, other):
    rows = [list(row) for row in GRID]
    rows[one] = list(rows[other])
    if one != other:
        with pytest.raises(InvalidAnswerError, match="overlap"):
            evaluate.verify_packing(rows)
