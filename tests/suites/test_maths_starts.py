"""The building blocks of start programs: slopes against differences, optima that are known."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import breeder.suites
from breeder.maths import problem
from suites.direct import DirectCandidate

MATHS = Path(breeder.suites.__file__).parent / "maths"


def loaded_start(folder):
    spec = importlib.util.spec_from_file_location(f"start_{folder}", MATHS / folder / "initial.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def differences(function, at, small=1e-6):
    """Central differences of a function of a vector, (values, entries of the vector)."""
    steps = small * np.eye(len(at))
    return np.array([function(at + step) - function(at - step) for step in steps]).T / (2 * small)


@pytest.mark.parametrize("convex", [False, True])
def test_heilbronn_slopes_and_curvature_are_those_of_the_constraints(convex):
    start, rng = loaded_start("heilbronn"), np.random.default_rng(5)
    triangles = start.Triangles(6)
    points = start.scattered((1, 6), convex, rng)
    if convex:
        points = start.unit(points[0], triangles)[None]
    polish = start.Polish(points, triangles, convex)

    def room(flat):
        return polish.room(flat.reshape(1, 2, 6).swapaxes(1, 2))[0]

    def pressed(flat):
        polish.points = flat.reshape(1, 2, 6).swapaxes(1, 2)
        return polish.force[0] @ polish.slopes()[0]

    flat = polish.points[0].T.ravel()
    assert np.allclose(polish.slopes()[0], differences(room, flat), atol=1e-8)
    assert np.allclose(polish.curvature()[0], differences(pressed, flat), atol=1e-8)


@pytest.mark.parametrize(("n", "pairs"), [(7, 3), (8, 3), (8, 4), (4, 2)])
def test_mirrored_heilbronn_sets_stay_their_own_images(n, pairs):
    start, rng = loaded_start("heilbronn"), np.random.default_rng(5)
    triangles = start.Triangles(n)
    batch = start.mirrored(start.scattered((3, n), True, rng), pairs)
    one = start.unit(batch[0], triangles)
    for sets in (batch, one, start.changed(one, pairs, triangles, True, rng)):
        assert np.allclose(sets[..., pairs : 2 * pairs, :], sets[..., :pairs, ::-1], atol=1e-12)
        assert np.allclose(sets[..., 2 * pairs :, 0], sets[..., 2 * pairs :, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("family", "n", "optimum"),
    [("heilbronn_triangle", 6, 1 / 8), ("heilbronn_convex", 6, 1 / 6)],  # Friedman's collection
)
def test_heilbronn_start_finds_small_optima(family, n, optimum):
    found = DirectCandidate(MATHS / "heilbronn", seed=1).call("search", family, n, None, 1, 1.0)
    value = float(problem(f"{family}_{n}").verify(found, repair=True).value)
    assert optimum - 1e-9 < value <= optimum + 1e-15


def test_minimum_overlap_slopes_and_curvature_are_those_of_the_overlaps():
    start, rng = loaded_start("erdos_minimum_overlap"), np.random.default_rng(5)
    for n in (8, 9):
        half, force = rng.random((n + 1) // 2), rng.random(n)
        polish = start.Polish(half, n, 0.1)

        def pressed(at, n=n, force=force):
            return force @ start.slopes(start.mirrored(at, n))

        table = differences(polish.overlaps, half)
        assert np.allclose(start.slopes(start.mirrored(half, n)), table, atol=1e-8)
        assert np.allclose(start.curvature(force), differences(pressed, half), atol=1e-8)


@pytest.mark.parametrize(
    ("folder", "at_most"),
    [("autocorrelation_1", 1.53), ("autocorrelation_3", 1.48)],  # a local minimum is about 1.55
)
def test_autocorrelation_starts_come_below_poor_minima(folder, at_most):
    found = DirectCandidate(MATHS / folder, seed=1).call("search", None, 1, 1.5)
    assert float(problem(folder).verify(found).value) < at_most


@pytest.mark.parametrize("folder", ["autocorrelation_1", "autocorrelation_3"])
def test_a_polish_of_an_autocorrelation_ends_where_nothing_is_left_to_gain(folder):
    start, rng = loaded_start(folder), np.random.default_rng(5)
    polish = start.Polish(rng.random(12), 0.3)
    while polish.gap() > 1e-10:
        polish.step(0.5)
    one = polish.f / polish.f.sum()
    peak = start.convolved(one).max()
    assert polish.t >= peak > polish.t - 1e-9
    for move in 1e-5 * rng.normal(size=(50, 12)):
        near = np.maximum(one + move, 0.0) if folder.endswith("1") else one + move
        assert start.convolved(near / near.sum()).max() > peak - 1e-8


def test_second_autocorrelation_slope_is_that_of_the_smoothed_ratio():
    start, rng = loaded_start("autocorrelation_2"), np.random.default_rng(5)
    root = rng.random(20) + 0.5
    loss = start.smoothed(20, 30.0)
    slope = differences(lambda at: loss(at)[0], root, 1e-3)
    # The norm's powers are in single precision, and so is what they say about the slope.
    assert np.allclose(loss(root)[1], slope, rtol=1e-3, atol=1e-4 * np.abs(slope).max())


def test_a_high_power_smooths_little():
    start, rng = loaded_start("autocorrelation_2"), np.random.default_rng(5)
    root = rng.random(20)
    value = np.exp(-start.smoothed(20, 1e5)(root)[0])
    assert value == pytest.approx(3.0 * start.ratio(root * root), rel=1e-4)


def test_the_ratio_that_is_searched_with_is_the_verified_one():
    start, rng = loaded_start("autocorrelation_2"), np.random.default_rng(5)
    f = rng.random(33)
    verified = float(problem("autocorrelation_2").verify(f.tolist()).value)
    assert verified == pytest.approx(start.ratio(f), rel=1e-12)


@pytest.mark.parametrize("distance", [20, 23])
def test_repeating_rows_doubles_a_comb_and_cuts_no_tooth(distance):
    start = loaded_start("autocorrelation_2")
    f = np.zeros(1000)
    f[3::distance] = f[4::distance] = 1.0
    assert start.row_distance(f) == pytest.approx(distance, abs=0.2)
    twice = start.with_rows_repeated(f)
    assert len(twice) == 2000
    assert twice.sum() == 2 * f.sum()
    teeth = np.flatnonzero(np.diff(twice, prepend=0.0) > 0)
    assert len(teeth) == 2 * (f.sum() // 2)
    assert np.all(np.diff(teeth)[:-2] == distance)


def test_second_autocorrelation_start_passes_the_first_published_constructions():
    found = DirectCandidate(MATHS / "autocorrelation_2", seed=1).call("search", None, 1, 1.5)
    assert float(problem("autocorrelation_2").verify(found).value) > 0.901564  # Boyer and Li
