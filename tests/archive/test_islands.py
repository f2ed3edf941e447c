import math
import random

import pytest

from breeder.archive.islands import IslandArchive
from breeder.archive.selection import SelectionConfig
from breeder.core import Elite, Evaluation, Failure, FailureKind, Placement, Program
from breeder.errors import EvaluatorError
from conformance.archive import ONE, SPREAD, TWO, ArchiveConformance, elite, fill
from conformance.archive_measured import MeasuredConformance


class TestIslandArchive(ArchiveConformance, MeasuredConformance):
    def make(self, objectives=ONE, features=SPREAD, *, islands=2, migration_interval=0):
        selection = SelectionConfig(islands=islands, migration_interval=migration_interval)
        return IslandArchive(objectives, features, selection=selection)


def make(*, objectives=ONE, features=SPREAD, **options):
    return IslandArchive(objectives, features, selection=SelectionConfig(**options))


def test_without_features_the_grid_is_eight_bins_of_size():
    archive = IslandArchive(ONE)
    for size in (1, 8, 18, 39, 84, 182, 396, 862, 1879, 10**9):
        archive.place(elite(f"s{size}", 1.0, size=size), 0)
    assert [view.cell for view in archive.cells()] == [(bin,) for bin in range(8)]


def test_inadmissible_elites_are_refused_and_change_nothing():
    archive = make()
    failed = Evaluation(metrics={"score": 1.0}, failure=Failure(FailureKind.CRASH))
    for bad in (
        Elite(Program("a", {}), failed, 1.0),
        elite("b", math.nan),
        elite("c", math.inf),
    ):
        with pytest.raises(ValueError, match="not admissible"):
            archive.place(bad, 0)
    assert (len(archive), archive.placements, archive.best()) == (0, 0, None)


@pytest.mark.parametrize("island", [-1, 2])
def test_there_are_only_so_many_islands(island):
    with pytest.raises(ValueError, match="there are 2"):
        make(islands=2).place(elite("a", 1.0), island)


def test_missing_objective_and_feature_are_named():
    bare = Elite(Program("a", {}), Evaluation(metrics={"time": 1.0}), 1.0)
    with pytest.raises(EvaluatorError, match=r"objective 'score' is not among the metrics"):
        make().place(bare, 0)
    bare = Elite(Program("a", {}), Evaluation(metrics={"score": 1.0}), 1.0)
    with pytest.raises(EvaluatorError, match=r"feature 'spread' .*\(score\)"):
        make().place(bare, 0)


def test_a_lagging_island_restarts_from_the_best_of_all():
    archive = make(islands=2, migration_interval=0, reset_after=5)
    archive.place(elite("best", 9.0, spread=7.5), 0)
    for number in range(5):
        archive.place(elite(f"p{number}", 1.0 - number, spread=number + 0.5), 1)
    assert (archive.resets, len(archive)) == (0, 6)
    archive.place(elite("last", 0.0, spread=9.5), 1)
    assert archive.resets == 1
    found = [(view.island, view.elite.program.id) for view in archive.cells()]
    assert found == [(0, "best"), (1, "best")]


def test_progress_postpones_a_reset():
    archive = make(islands=2, migration_interval=0, reset_after=5)
    archive.place(elite("best", 99.0), 0)
    for number in range(30):
        archive.place(elite(f"p{number}", float(number // 4)), 1)
    assert archive.resets == 0


def test_the_leading_island_is_never_reset():
    archive = make(islands=2, migration_interval=0, reset_after=5)
    archive.place(elite("best", 9.0, spread=7.5), 0)
    for number in range(50):
        archive.place(elite(f"p{number}", 1.0, spread=1.5), 0)
    assert archive.resets == 0
    assert len(archive) == 2


def test_a_reset_frees_the_island_for_weaker_programs():
    archive = make(islands=2, migration_interval=0, reset_after=2)
    archive.place(elite("best", 9.0, spread=7.5), 0)
    archive.place(elite("strong", 5.0, spread=1.5), 1)
    archive.place(elite("b", 4.0, spread=1.5), 1)
    archive.place(elite("c", 4.0, spread=1.5), 1)
    assert archive.resets == 1
    assert archive.place(elite("weak", 1.0, spread=1.5), 1) is Placement.NEW


def test_several_good_programs_of_one_cell_are_exploited():
    archive = make(islands=1, explore=0.0, exploit=1.0)
    for number in range(50):
        archive.place(elite(f"p{number}", float(number)), 0)
    rng = random.Random(0)
    parents = {archive.draw(rng).parent.program.id for _ in range(3000)}
    assert parents == {f"p{number}" for number in range(30, 50)}


def test_programs_that_behave_alike_take_one_place_among_the_best():
    archive = make(islands=1, explore=0.0, exploit=1.0)
    archive.place(elite("other", 0.5, spread=1.5), 0)
    archive.place(elite("large", 1.0, size=30), 0)
    archive.place(elite("small", 1.0, size=20), 0)
    archive.place(elite("middle", 1.0, size=25), 0)
    rng = random.Random(0)
    assert {archive.draw(rng).parent.program.id for _ in range(500)} == {"small", "other"}


def test_ranks_follow_the_power_law():
    archive = make(islands=1, explore=0.0, exploit=1.0, rank_power=2.0)
    for number in range(3):
        archive.place(elite(f"p{number}", float(number)), 0)
    rng = random.Random(1)
    parents = [archive.draw(rng).parent.program.id for _ in range(20_000)]
    total = 1 + 1 / 4 + 1 / 9
    for name, weight in (("p2", 1.0), ("p1", 1 / 4), ("p0", 1 / 9)):
        expected = weight / total
        # Five standard errors of a share among 20,000.
        margin = 5 * math.sqrt(expected * (1 - expected) / 20_000)
        assert abs(parents.count(name) / 20_000 - expected) < margin


def test_what_the_shares_leave_goes_to_the_best():
    archive = make(islands=1, explore=0.0, exploit=0.0)
    fill(archive, 100, islands=1)
    rng = random.Random(2)
    parents = {archive.draw(rng).parent.fitness for _ in range(100)}
    best = archive.best()
    assert best is not None
    assert parents == {best.fitness}


def test_exploring_is_uniform_over_cells():
    archive = make(islands=1, explore=1.0, exploit=0.0)
    for number in range(10):
        archive.place(elite(f"p{number}", float(number), spread=number + 0.5), 0)
    rng = random.Random(3)
    parents = [archive.draw(rng).parent.program.id for _ in range(10_000)]
    margin = 5 * math.sqrt(0.1 * 0.9 / 10_000)
    assert all(abs(parents.count(f"p{n}") / 10_000 - 0.1) < margin for n in range(10))


def test_the_front_is_bounded_and_keeps_its_ends():
    archive = make(objectives=TWO, front=8)
    rng = random.Random(4)
    order = list(range(200))
    rng.shuffle(order)
    for number in order:
        archive.place(elite(f"p{number}", float(number), time=1.5 * number), 0)
    front = [int(one.program.id[1:]) for one in archive.front()]
    assert len(front) == 8
    assert {0, 199} <= set(front)
    gaps = [b - a for a, b in zip(sorted(front), sorted(front)[1:], strict=False)]
    assert max(gaps) < 100
    best = archive.best()
    assert best is not None
    assert best.program.id == "p0"


def test_shares_must_not_exceed_one():
    with pytest.raises(ValueError, match="must not exceed 1"):
        SelectionConfig(explore=0.7, exploit=0.5)


def test_an_island_that_only_follows_is_reset_too():
    archive = make(islands=2, migration_interval=1, reset_after=5)
    archive.place(elite("best", 9.0, spread=7.5), 0)
    for number in range(6):
        archive.place(elite(f"p{number}", 1.0, spread=number + 0.5), 1)
    assert archive.resets >= 1
    assert {v.elite.program.id for v in archive.cells() if v.island == 0} == {"best"}
