import math
from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from breeder.core import Direction
from breeder.errors import UserError
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.maths import Bound, Problem, Record, RefusedError, Sheet, Value, problem
from breeder.maths.reading import numbers, plain


@dataclass(frozen=True)
class Sum(Problem):
    """A problem whose construction is its value."""

    known: Sheet = field(default=Sheet())
    family = "sum"
    direction = Direction.MINIMIZE
    key = "terms"
    statement = "Sum."

    @property
    def sheet(self):
        return self.known

    @property
    def parameters(self):
        return {}

    def read(self, data):
        return tuple(numbers(data, self.key, 10))

    def write(self, construction):
        return [plain(term) for term in construction]

    def measure(self, construction):
        return self.exactly(sum(construction))

    def example(self):
        return [1]


def test_a_value_beyond_a_proved_bound_is_refused():
    bounded = Sum(Sheet(bound=Bound("1.5", "a theorem")))
    assert bounded.verify([1.5]).value.lower == Fraction(3, 2)
    with pytest.raises(RefusedError, match=r"passes the proved bound 1\.5"):
        bounded.verify([1.5 - 2.0**-52])


def test_a_refusal_is_a_candidates_failure_and_a_users_mistake():
    assert issubclass(RefusedError, InvalidAnswerError)
    assert issubclass(RefusedError, UserError)


def test_the_best_record_is_the_best_that_is_no_claim():
    records = (
        Record("2.0", "a", "2001"),
        Record("1.5", "b", "2002"),
        Record("1.8", "c", "2003"),
        Record("1.1", "d", "2004", claim=True),
    )
    known = Sum(Sheet(records))
    assert known.best == records[1]
    assert known.gap(known.exactly(2)) == Fraction(1, 2)
    assert Sum().best is None
    assert Sum().gap(Sum().exactly(1)) is None


def test_a_gap_is_positive_short_of_the_record_whichever_way_it_improves():
    assert problem("erdos_minimum_overlap").gap(
        Value(Fraction(1, 2), Fraction(1, 2), Direction.MINIMIZE)
    ) == Fraction(1, 2) - Fraction("0.3808590566")
    kissing = problem("kissing_11")
    assert kissing.gap(kissing.exactly(600)) == 4
    assert kissing.gap(kissing.exactly(605)) == -1


def test_a_digit_is_worth_one_wherever_it_is():
    scored = Sum(Sheet(aim=Fraction(1), resolution=Fraction(1, 10**6)))
    at = [scored.score(scored.exactly(1 + Fraction(1, 10**k))) for k in range(7)]
    assert at == pytest.approx(list(range(7)))
    # Beyond the resolution a straight line of the same slope goes on, past the aim as well.
    step = Fraction(1, 10**12)
    close = scored.exactly(1 + Fraction(1, 10**6) - step)
    slope = (scored.score(close) - 6.0) / float(step)
    assert slope == pytest.approx(1e6 / math.log(10), rel=1e-3)
    assert scored.score(scored.exactly(0)) > scored.score(scored.exactly(1)) > 6


def test_a_problem_without_an_aim_is_scored_by_its_value():
    assert Sum().score(Sum().exactly(3)) == -3.0
    assert problem("kissing_11").score(problem("kissing_11").exactly(593)) == 593.0


def test_an_interval_is_rounded_to_the_worse_side():
    low, high = Fraction(1, 3), Fraction(2, 3)
    least, most = Value(low, high, Direction.MINIMIZE), Value(low, high, Direction.MAXIMIZE)
    assert (least.decimal(3), most.decimal(3)) == ("0.667", "0.333")
    assert (least.certified, most.certified) == (high, low)
    assert Fraction(float(least)) > high
    assert Fraction(float(most)) < low
    assert not least.exact
    assert Value(low, low, Direction.MINIMIZE).exact


def test_equal_constructions_have_equal_bytes_however_they_are_written():
    first = Sum().verify([0.5, 2, "1/3"])
    second = Sum().verify({"terms": ["1/2", 2.0, "2/6"], "sum": 99})
    assert first == second
    assert first.encoded == b'{"problem":"sum","terms":[0.5,2,"1/3"]}'
    assert len(first.digest) == 64


def test_a_value_too_large_for_a_float_is_infinitely_bad():
    assert float(Value(Fraction(10) ** 400, Fraction(10) ** 400, Direction.MINIMIZE)) == math.inf
