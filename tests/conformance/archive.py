"""What every implementation of `Archive` must do. Subclass `ArchiveConformance`, give `make`."""

import gc
import random
import sys
import weakref
from collections.abc import Sequence

import pytest

from breeder.archive.archive import Archive
from breeder.core import Direction, Elite, Evaluation, Objective, Placement, Program
from breeder.task import FeatureSection

ONE = (Objective("score"),)
TWO = (Objective("score"), Objective("time", Direction.MINIMIZE))
SPREAD = (FeatureSection(name="spread", low=0, high=10, bins=10),)
SIZE_AND_SPREAD = (FeatureSection(name="size", low=8, high=128, bins=4, log=True), *SPREAD)


class Metrics(dict[str, float]):
    """A mapping whose end can be observed."""


def elite(name: str, score: float, *, spread: float = 0.5, size: int = 10, **more: float) -> Elite:
    """An elite with fitness `score`, or `score - time` when a time is given."""
    metrics = Metrics(score=score, spread=spread, **more)
    program = Program(name, {"program.py": f"# {name}\n"}, size=size)
    return Elite(program, Evaluation(metrics=metrics), score - more.get("time", 0.0))


def random_elite(rng: random.Random, number: int, *, timed: bool = False) -> Elite:
    """Coarse scores, so that ties are common."""
    more = {"time": float(rng.randrange(20))} if timed else {}
    return elite(
        f"p{number}",
        float(rng.randrange(20)),
        spread=rng.random() * 10,
        size=rng.randrange(4, 200),
        **more,
    )


def fill(archive: Archive, count: int, *, seed: int = 0, islands: int = 2, timed: bool = False):
    """Place `count` random elites; returns them with what became of each."""
    rng = random.Random(seed)
    placed = []
    for number in range(count):
        one = random_elite(rng, number, timed=timed)
        placed.append((one, archive.place(one, rng.randrange(islands))))
    return placed


def names(elites: Sequence[Elite]) -> list[str]:
    return [one.program.id for one in elites]


class ArchiveConformance:
    def make(
        self,
        objectives: Sequence[Objective] = ONE,
        features: Sequence[FeatureSection] = SPREAD,
        *,
        islands: int = 2,
        migration_interval: int = 0,
    ) -> Archive:
        raise NotImplementedError

    # ---- placing

    def test_an_empty_archive_has_nothing(self):
        archive = self.make()
        assert archive.best() is None
        assert archive.front() == ()
        assert archive.cells() == ()
        assert len(archive) == 0
        with pytest.raises(LookupError):
            archive.draw(random.Random(0))

    def test_an_empty_cell_is_opened(self):
        archive = self.make()
        assert archive.place(elite("a", 1.0, spread=0.5), 0) is Placement.NEW
        assert archive.place(elite("b", 0.0, spread=1.5), 0) is Placement.NEW
        assert len(archive) == 2

    def test_a_better_one_takes_the_cell(self):
        archive = self.make()
        archive.place(elite("a", 1.0), 0)
        assert archive.place(elite("b", 2.0), 0) is Placement.IMPROVED
        assert [view.elite.program.id for view in archive.cells()] == ["b"]

    def test_a_worse_one_is_rejected(self):
        archive = self.make()
        archive.place(elite("a", 1.0), 0)
        assert archive.place(elite("b", 0.5), 0) is Placement.REJECTED
        assert [view.elite.program.id for view in archive.cells()] == ["a"]

    @pytest.mark.parametrize(
        ("size", "placement"),
        [(9, Placement.IMPROVED), (10, Placement.REJECTED), (11, Placement.REJECTED)],
    )
    def test_equal_fitness_goes_to_the_smaller_then_to_the_older(self, size, placement):
        archive = self.make()
        archive.place(elite("old", 1.0, size=10), 0)
        assert archive.place(elite("young", 1.0, size=size), 0) is placement
        kept = archive.cells()[0].elite.program.id
        assert kept == ("young" if placement else "old")

    def test_cells_are_clamped_at_both_ends(self):
        archive = self.make()
        archive.place(elite("low", 1.0, spread=-1e300), 0)
        archive.place(elite("high", 1.0, spread=1e300), 0)
        assert [view.cell for view in archive.cells()] == [(0,), (9,)]

    def test_a_bin_begins_at_its_lower_edge(self):
        archive = self.make()
        for spread in (0.0, 0.999, 1.0, 8.999, 9.0, 10.0):
            archive.place(elite(f"at{spread}", spread, spread=spread), 0)
        assert [view.cell for view in archive.cells()] == [(0,), (1,), (8,), (9,)]

    def test_logarithmic_bins_of_size(self):
        archive = self.make(features=SIZE_AND_SPREAD)
        for size in (1, 15, 17, 33, 65, 5000):
            archive.place(elite(f"s{size}", float(size), size=size), 0)
        found = [(view.cell[0], view.elite.program.size) for view in archive.cells()]
        assert found == [(0, 15), (1, 17), (2, 33), (3, 5000)]

    def test_cells_come_in_order_of_island_and_coordinates(self):
        archive = self.make(features=SIZE_AND_SPREAD, islands=3)
        fill(archive, 300, islands=3)
        keys = [(view.island, view.cell) for view in archive.cells()]
        assert keys == sorted(keys)
        assert len(set(keys)) == len(keys) == len(archive) > 30

    def test_a_cell_keeps_the_best_that_was_offered(self):
        archive = self.make(features=SIZE_AND_SPREAD, islands=1)
        placed = [one for one, _ in fill(archive, 500, islands=1)]
        age = {one.program.id: number for number, one in enumerate(placed)}

        def rank(one: Elite):
            return (-one.fitness, one.program.size, age[one.program.id])

        # Which programs share a cell is learnt from archives of one program each.
        by_cell: dict[tuple[int, ...], list[Elite]] = {}
        for one in placed:
            alone = self.make(features=SIZE_AND_SPREAD, islands=1)
            alone.place(one, 0)
            by_cell.setdefault(alone.cells()[0].cell, []).append(one)
        expected = {cell: min(ones, key=rank).program.id for cell, ones in by_cell.items()}
        assert {view.cell: view.elite.program.id for view in archive.cells()} == expected

    def test_islands_do_not_see_each_other(self):
        archive = self.make()
        archive.place(elite("a", 2.0), 0)
        assert archive.place(elite("b", 1.0), 1) is Placement.NEW
        assert [(v.island, v.elite.program.id) for v in archive.cells()] == [(0, "a"), (1, "b")]

    # ---- best and front

    def test_best_is_over_all_islands_and_the_older_on_equality(self):
        archive = self.make()
        archive.place(elite("a", 1.0), 0)
        archive.place(elite("b", 3.0), 1)
        archive.place(elite("smaller", 3.0, size=5), 1)
        archive.place(elite("c", 2.0), 0)
        best = archive.best()
        assert best is not None
        assert best.program.id == "b"

    def test_with_one_objective_the_front_is_the_best(self):
        archive = self.make()
        fill(archive, 50)
        assert archive.front() == (archive.best(),)

    def test_the_front_is_what_no_other_dominates(self):
        archive = self.make(TWO)
        placed = [one for one, _ in fill(archive, 300, timed=True)]
        points = {(o.evaluation.metrics["score"], o.evaluation.metrics["time"]) for o in placed}
        expected = {
            (score, time)
            for score, time in points
            if not any(s >= score and t <= time and (s, t) != (score, time) for s, t in points)
        }
        front = archive.front()
        found = [(o.evaluation.metrics["score"], o.evaluation.metrics["time"]) for o in front]
        assert sorted(found) == sorted(expected)
        assert [o.fitness for o in front] == sorted((o.fitness for o in front), reverse=True)

    def test_of_equal_points_on_the_front_the_older_stays(self):
        archive = self.make(TWO)
        archive.place(elite("old", 1.0, time=1.0), 0)
        archive.place(elite("young", 1.0, time=1.0), 1)
        assert names(archive.front()) == ["old"]

    def test_dominance_comes_before_fitness_within_a_cell(self):
        # A weight of zero hides the second objective from the fitness.
        archive = self.make((Objective("score"), Objective("time", Direction.MINIMIZE, 0.0)))

        def timed(name: str, time: float) -> Elite:
            one = elite(name, 1.0, time=time)
            return Elite(one.program, one.evaluation, 1.0)

        archive.place(timed("slow", 5.0), 0)
        assert archive.place(timed("fast", 4.0), 0) is Placement.IMPROVED
        assert archive.place(timed("slower", 6.0), 0) is Placement.REJECTED

    # ---- drawing

    def test_equal_random_states_draw_the_same(self):
        archive = self.make(features=SIZE_AND_SPREAD)
        fill(archive, 200)
        for seed in range(50):
            assert archive.draw(random.Random(seed)) == archive.draw(random.Random(seed))

    def test_drawing_changes_nothing(self):
        one, other = self.make(features=SIZE_AND_SPREAD), self.make(features=SIZE_AND_SPREAD)
        fill(one, 200)
        fill(other, 200)
        rng = random.Random(1)
        for _ in range(100):
            one.draw(rng)
        assert fill(one, 200, seed=2) == fill(other, 200, seed=2)
        self.assert_equal(one, other)

    @pytest.mark.parametrize("count", [0, 1, 3, 8])
    def test_inspirations_are_others_and_none_twice(self, count):
        archive = self.make(features=SIZE_AND_SPREAD)
        fill(archive, 200)
        rng = random.Random(3)
        for _ in range(200):
            drawn = archive.draw(rng, inspirations=count)
            ids = names(drawn.inspirations)
            assert len(ids) == len(set(ids)) == count
            assert drawn.parent.program.id not in ids
            fitness = [one.fitness for one in drawn.inspirations]
            assert fitness == sorted(fitness, reverse=True)

    def test_a_single_program_has_no_inspirations(self):
        archive = self.make()
        archive.place(elite("a", 1.0), 0)
        drawn = archive.draw(random.Random(0))
        assert drawn.parent.program.id == "a"
        assert drawn.inspirations == ()

    def test_draws_visit_every_island_and_every_cell(self):
        archive = self.make(features=SIZE_AND_SPREAD, islands=3)
        fill(archive, 200, islands=3)
        rng = random.Random(4)
        draws = [archive.draw(rng) for _ in range(10_000)]
        seen = {(drawn.island, drawn.parent.program.id) for drawn in draws}
        assert {drawn.island for drawn in draws} == {0, 1, 2}
        assert {(v.island, v.elite.program.id) for v in archive.cells()} <= seen

    def test_one_program_is_enough_to_visit_every_island(self):
        archive = self.make(islands=4)
        archive.place(elite("start", 1.0), 0)
        rng = random.Random(5)
        draws = [archive.draw(rng) for _ in range(200)]
        assert {drawn.island for drawn in draws} == {0, 1, 2, 3}
        assert {drawn.parent.program.id for drawn in draws} == {"start"}

    def test_better_parents_are_drawn_more_often(self):
        archive = self.make(islands=1)
        for number in range(10):
            archive.place(elite(f"p{number}", float(number), spread=number + 0.5), 0)
        rng = random.Random(6)
        parents = [archive.draw(rng).parent.program.id for _ in range(4000)]
        assert parents.count("p9") > 2 * parents.count("p5") > 0
        assert parents.count("p0") > 0

    def test_parents_come_from_the_front_too(self):
        archive = self.make(TWO, islands=1)
        # All in one cell; only the front keeps the first, which has the shortest time.
        archive.place(elite("lean", 0.0, time=1.0), 0)
        for number in range(100):
            archive.place(elite(f"p{number}", 50.0 + number, time=2.0 + number / 2), 0)
        rng = random.Random(7)
        assert "lean" in {archive.draw(rng).parent.program.id for _ in range(2000)}

    # ---- migration

    def test_migration_happens_on_a_count_of_placements(self):
        archive = self.make(migration_interval=4)
        for number in range(3):
            archive.place(elite(f"p{number}", float(number)), 0)
        assert {view.island for view in archive.cells()} == {0}
        archive.place(elite("p3", 3.0), 0)
        found = [(view.island, view.elite.program.id) for view in archive.cells()]
        assert found == [(0, "p3"), (1, "p3")]

    def test_news_travel_one_island_per_migration(self):
        archive = self.make(islands=3, migration_interval=2)
        reached = []
        for number in range(6):
            archive.place(elite(f"p{number}", -float(number)), 0)
            reached.append(len({v.island for v in archive.cells()}))
        assert reached == [1, 2, 2, 3, 3, 3]

    def test_a_migrant_does_not_displace_something_better(self):
        archive = self.make(migration_interval=2)
        archive.place(elite("a", 1.0), 0)
        archive.place(elite("b", 2.0), 1)
        assert [v.elite.program.id for v in archive.cells()] == ["b", "b"]

    # ---- determinism and bounds

    def assert_equal(self, one: Archive, other: Archive) -> None:
        """Two archives that cannot be told apart, by views or by draws."""
        assert one.cells() == other.cells()
        assert one.front() == other.front()
        assert one.best() == other.best()
        for seed in range(100):
            left = one.draw(random.Random(seed), inspirations=8)
            assert left == other.draw(random.Random(seed), inspirations=8)

    @pytest.mark.parametrize("objectives", [ONE, TWO], ids=["one", "two"])
    def test_equal_sequences_give_equal_archives(self, objectives):
        timed = len(objectives) > 1
        one = self.make(objectives, SIZE_AND_SPREAD, migration_interval=7)
        other = self.make(objectives, SIZE_AND_SPREAD, migration_interval=7)
        assert fill(one, 600, timed=timed) == fill(other, 600, timed=timed)
        self.assert_equal(one, other)

    @pytest.mark.parametrize("objectives", [ONE, TWO], ids=["one", "two"])
    def test_work_does_not_grow_with_placements(self, objectives):
        timed = len(objectives) > 1
        archive = self.make(objectives, SIZE_AND_SPREAD, migration_interval=7)
        fill(archive, 1000, seed=1, timed=timed)
        early = calls(lambda: self.place_and_draw(archive, timed))
        fill(archive, 8000, seed=2, timed=timed)
        late = calls(lambda: self.place_and_draw(archive, timed))
        assert late < 1.5 * early

    def place_and_draw(self, archive: Archive, timed: bool) -> None:
        rng = random.Random(9)
        for one, _ in fill(archive, 200, seed=3, timed=timed):
            assert one is not None
            archive.draw(rng)

    def test_what_is_not_kept_is_let_go(self):
        archive = self.make(features=SIZE_AND_SPREAD, migration_interval=7)
        rng = random.Random(10)
        alive = []
        for number in range(3000):
            one = random_elite(rng, number)
            alive.append(weakref.ref(one.evaluation.metrics))
            archive.place(one, number % 2)
        del one
        gc.collect()
        assert len(archive) <= 80
        assert sum(reference() is not None for reference in alive) <= 80 + 2 * 20 + 64 + 1


def calls(action) -> int:
    """Number of Python and C calls that an action makes: work that no noisy clock measures."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    previous = sys.getprofile()
    sys.setprofile(profile)
    try:
        action()
    finally:
        sys.setprofile(previous)
    return count
