"""Inputs are fresh, of the scale asked for, and come again only from the same seed."""

import numpy as np
import pytest

from breeder.kernels import Inputs


def test_the_same_seed_draws_the_same():
    one, other = Inputs(7), Inputs(7)
    assert np.array_equal(one.normal(3, 4), other.normal(3, 4))
    assert one.magnitude(1, 10) == other.magnitude(1, 10)


def test_without_a_seed_everything_is_new():
    assert Inputs().entropy != Inputs().entropy
    assert not np.array_equal(Inputs().normal(100), Inputs().normal(100))


def test_no_window_comes_again():
    inputs = Inputs(1)
    seen = {inputs.normal(32).tobytes() for _ in range(2000)}
    assert len(seen) == 2000


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e18])
def test_numbers_have_the_scale_asked_for(scale):
    x = Inputs(3).normal(100, 100, scale=scale)
    assert x.shape == (100, 100)
    assert x.dtype == np.float32
    assert 0.8 * scale < np.std(x, dtype=np.float64) < 1.2 * scale


def test_arrays_larger_than_the_pool_and_empty_ones_are_drawn():
    inputs = Inputs(4)
    assert inputs.normal(0, 8).shape == (0, 8)
    assert inputs.normal(3_000_000).size == 3_000_000
    assert inputs.normal(4, dtype=np.float64).dtype == np.float64


def test_arrays_belong_to_the_caller():
    inputs = Inputs(5)
    first = inputs.normal(1000)
    kept = first.copy()
    first[:] = 0
    assert kept.any()
    assert all(inputs.normal(1000).all() for _ in range(50))


def test_magnitudes_cover_their_range():
    inputs = Inputs(6)
    drawn = [inputs.magnitude(1e-3, 1e3) for _ in range(500)]
    assert 1e-3 <= min(drawn) < 1e-2
    assert 1e2 < max(drawn) <= 1e3
    assert 0.3 < sum(x < 1 for x in drawn) / 500 < 0.7
