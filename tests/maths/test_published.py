"""Published constructions come out at the values they are known for; changed, they are refused.

The conformance classes of each problem hold more of them. Here are the rest, and what no change of
a published construction may do: pass as something it is not.
"""

import os
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeder.maths import RefusedError, problem
from breeder.maths.files import load
from conformance.problems import NO_NUMBERS, needs_published, places, published, replaced

pytestmark = needs_published

# File -> (problem, value rounded to the worse side, whether it takes a repair).
REST = {
    "ae_tensor_245.json": ("matrix_multiplication_2_4_5", "32", False),
    "ae_tensor_247.json": ("matrix_multiplication_2_4_7", "45", False),
    "ae_tensor_248.json": ("matrix_multiplication_2_4_8", "51", False),
    "ae_tensor_256.json": ("matrix_multiplication_2_5_6", "47", False),
    "ae_tensor_346.json": ("matrix_multiplication_3_4_6", "54", False),
    "ae_tensor_348.json": ("matrix_multiplication_3_4_8", "74", False),
    "ae_tensor_356.json": ("matrix_multiplication_3_5_6", "68", False),
    "ae_tensor_357.json": ("matrix_multiplication_3_5_7", "80", False),
    "ae_tensor_445.json": ("matrix_multiplication_4_4_5", "61", False),
    "ae_tensor_447.json": ("matrix_multiplication_4_4_7", "85", False),
    "ae_tensor_555.json": ("matrix_multiplication_5_5_5", "93", False),
    "kakeya3d_p3_alphaevolve.json": ("kakeya_3_3", "15", False),
    "nikodym2d_q49_alphaevolve.json": ("nikodym_7", "2170", False),
}

# Of every kind one that holds as it stands and is quickly verified.
STRICT = {
    "heilconv13_alphaevolve.json": "heilbronn_convex_13",
    "heiltriangles11_loongflow.json": "heilbronn_triangle_11",
    "circ26_jsagent.json": "circle_packing_26",
    "circrect21_alphaevolve_v2.json": "circles_in_rectangle_21",
    "maxmin2d16_together.json": "max_min_ratio_2_16",
    "tammes50_jsagent.json": "tammes_50",
    "ringloading_alphaevolve.json": "ring_loading_15",
    "ae_tensor_333.json": "matrix_multiplication_3_3_3",
    "kakeya3d_p5_alphaevolve.json": "kakeya_3_5",
    "nikodym2d_q9_alphaevolve.json": "nikodym_3",
    "noiso64_alphaevolve.json": "no_isosceles_64",
    "diffbasis_alphaevolve.json": "difference_basis",
    "sumdiff_alphaevolve_2003.json": "sums_differences",
    "flat69_jsagent.json": "flat_polynomial_69",
    "uncert_hermite_goncalves.json": "uncertainty",
    "ac1_alphaevolve_v1.json": "autocorrelation_1",
}
LISTS = {  # those whose construction is a list of things that must differ
    "heilconv13_alphaevolve.json",
    "heiltriangles11_loongflow.json",
    "circ26_jsagent.json",
    "maxmin2d16_together.json",
    "tammes50_jsagent.json",
    "kakeya3d_p5_alphaevolve.json",
    "nikodym2d_q9_alphaevolve.json",
    "noiso64_alphaevolve.json",
    "diffbasis_alphaevolve.json",
    "sumdiff_alphaevolve_2003.json",
}


@cache
def data_of(name):
    return load(Path(os.environ["BREEDER_MATHS"]) / name)


def core(name):
    """The problem of a strict file, and its construction alone, as lists that may be changed."""
    found = problem(STRICT[name])
    return found, found.write(found.read(data_of(name)))


@pytest.mark.parametrize("name", REST)
def test_the_rest_comes_out_at_its_values(name):
    which, value, repair = REST[name]
    found = problem(which)
    for data, _ in published({name: None}):
        verified = found.verify(data, repair=repair)
        assert verified.value.decimal(len(value.partition(".")[2])) == value


@pytest.mark.parametrize("name", STRICT)
@given(st.data())
@settings(max_examples=12, deadline=None)
def test_what_is_no_number_is_refused_wherever_it_stands(name, data):
    found, construction = core(name)
    place = data.draw(st.sampled_from(places(construction)))
    kind = data.draw(st.sampled_from(sorted(NO_NUMBERS)))
    with pytest.raises(RefusedError):
        found.verify(
            replaced(construction, place, NO_NUMBERS[kind]), repair=data.draw(st.booleans())
        )


@pytest.mark.parametrize("name", sorted(LISTS))
@given(st.data())
@settings(max_examples=6, deadline=None)
def test_a_thing_that_occurs_twice_is_refused(name, data):
    found, construction = core(name)
    numbers = st.integers(0, len(construction) - 1)
    one, other = data.draw(st.tuples(numbers, numbers).filter(lambda pair: pair[0] != pair[1]))
    copied = list(construction)
    copied[one] = copied[other]
    with pytest.raises(RefusedError):
        found.verify(copied)
    with pytest.raises(RefusedError):
        found.verify([*construction, construction[one]])


@pytest.mark.parametrize("name", STRICT)
def test_a_claimed_value_is_not_looked_at(name):
    found, construction = core(name)
    claims = {"value": 1e9, "score": -1e9, "rank": 1, "n": 3, "side": 0.1, "outer_side": 0.1}
    bare = found.verify(construction)
    if isinstance(construction, dict):
        assert found.verify({**construction, **claims}).value == bare.value
    else:
        assert found.verify({found.key: construction, **claims}).value == bare.value


@given(st.integers(0, 25))
@settings(max_examples=26, deadline=None)
def test_a_circle_that_touches_another_may_not_grow_by_a_trillionth(number):
    found, circles = core("circ26_jsagent.json")
    x, y, radius = (Fraction(entry) for entry in circles[number])
    room = min(
        [x - radius, y - radius, 1 - x - radius, 1 - y - radius]
        + [
            Fraction(np.hypot(float(x) - a, float(y) - b)) - radius - Fraction(r)
            for i, (a, b, r) in enumerate(circles)
            if i != number
        ]
    )
    grown = [*circles]
    grown[number] = [*circles[number][:2], circles[number][2] + 1e-12]
    if room < Fraction(1, 10**13):
        with pytest.raises(RefusedError, match=r"overlap|inside"):
            found.verify(grown)
    else:  # a rattler
        assert found.verify(grown).value.lower > found.verify(circles).value.lower


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_a_changed_entry_of_a_tensor_is_refused(data):
    found, construction = core("ae_tensor_333.json")
    factor = data.draw(st.sampled_from("uvw"))
    place = data.draw(st.sampled_from(places(construction[factor])))
    before = construction[factor]
    for key in place:
        before = before[key]
    with pytest.raises(RefusedError, match="come out wrong"):
        found.verify(replaced(construction, (factor, *place), before + 1))


@given(st.integers(0, 52))
@settings(max_examples=53, deadline=None)
def test_a_kakeya_set_of_the_best_size_has_no_point_to_spare(number):
    found, points = core("kakeya3d_p5_alphaevolve.json")
    with pytest.raises(RefusedError, match="no line in direction"):
        found.verify(points[:number] + points[number + 1 :])


@given(st.integers(0, 14), st.integers(0, 1))
@settings(max_examples=30, deadline=None)
def test_a_pair_above_1_is_refused(number, which):
    found, pairs = core("ringloading_alphaevolve.json")
    pairs = [list(pair) for pair in pairs]
    pairs[number][which] += 1.0 - sum(pairs[number]) + 1e-12
    with pytest.raises(RefusedError, match=r"sums to 1 \+"):
        found.verify(pairs)


@given(st.integers(0, 10), st.integers(0, 1))
@settings(max_examples=22, deadline=None)
def test_a_point_that_leaves_the_triangle_is_refused(number, axis):
    found, points = core("heiltriangles11_loongflow.json")
    outside = [list(point) for point in points]
    outside[number][axis] += 1.0
    with pytest.raises(RefusedError, match="not inside"):
        found.verify(outside)


@given(st.integers(0, 49), st.floats(1e-6, 1e6))
@settings(max_examples=10, deadline=None)
def test_lengths_of_directions_do_not_matter(number, factor):
    """What a wrong normalisation made a record elsewhere: vectors near 0."""
    found, points = core("tammes50_jsagent.json")
    scaled = [list(point) for point in points]
    scaled[number] = [factor * entry for entry in scaled[number]]
    value = found.verify(points).value
    assert abs(found.verify(scaled).value.lower - value.lower) < Fraction(1, 10**14)
    scaled[number] = [0.0, 0.0, 0.0]
    with pytest.raises(RefusedError, match="is 0"):
        found.verify(scaled)


@given(st.floats(1e-12, 1e-3), st.sampled_from([-1.0, 1.0]), st.data())
@settings(max_examples=10, deadline=None)
def test_a_nudged_extremal_construction_is_worth_less(size, sign, data):
    """Records are local optima, so a value that grew by more than rounding would be a leak."""
    for name in ("maxmin2d16_together.json", "heilconv13_alphaevolve.json"):
        found, points = core(name)
        place = data.draw(st.sampled_from(places(points)))
        value = points[place[0]][place[1]] + sign * size
        before, after = found.verify(points), found.verify(replaced(points, place, value))
        assert found.gap(after.value) >= found.gap(before.value) - Fraction(1, 10**9)


@pytest.mark.slow
@given(st.integers(0, 603), st.integers(0, 21), st.sampled_from([-1, 1]))
@settings(max_examples=4, deadline=None)
def test_a_nudged_kissing_vector_is_refused(number, entry, by):
    found = problem("kissing_11")
    vectors = [list(row) for row in data_of("kissing604.json")["vectors"]]
    vectors[number][entry] += by
    with pytest.raises(RefusedError):
        found.verify(vectors)
