import math

from breeder.archive.entry import Entry, dominates
from breeder.archive.front import ParetoFront, crowding
from breeder.core import Elite, Evaluation, Program


def entry(number, *scores):
    elite = Elite(Program(str(number), {}), Evaluation(), sum(scores))
    return Entry(elite, (0,), scores, (-sum(scores), 0, number))


def test_dominance_needs_one_strictly_better_objective():
    assert dominates((1.0, 2.0), (1.0, 1.0))
    assert not dominates((1.0, 1.0), (1.0, 1.0))
    assert not dominates((2.0, 0.0), (1.0, 1.0))


def test_crowding_is_the_size_of_the_gap():
    points = [(0.0, 10.0), (1.0, 8.0), (4.0, 2.0), (10.0, 0.0)]
    distances = crowding(points)
    assert distances[0] == distances[3] == math.inf
    assert distances[1] == 4 / 10 + 8 / 10
    assert distances[2] == 9 / 10 + 8 / 10


def test_crowding_of_equal_values_is_finite():
    assert crowding([(1.0, 1.0)] * 3) == [math.inf, 0.0, math.inf]


def test_a_dominating_entry_clears_what_it_dominates():
    front = ParetoFront(8)
    assert front.offer(entry(0, 1.0, 5.0))
    assert front.offer(entry(1, 5.0, 1.0))
    assert front.offer(entry(2, 2.0, 6.0))
    assert [e.number for e in front.entries] == [1, 2]
    assert not front.offer(entry(3, 2.0, 5.0))


def test_the_best_rank_survives_crowding_although_it_is_the_youngest():
    front = ParetoFront(2)
    front.offer(entry(0, 0.0, 10.0))
    front.offer(entry(1, 10.0, 0.0))
    front.offer(entry(2, 9.0, 9.0))
    assert 2 in {e.number for e in front.entries}
    assert len(front.entries) == 2
