"""What an archive does where fitness is measured. Subclass with `make` as in `archive`."""

import random
from collections.abc import Sequence
from dataclasses import replace

from breeder.archive.archive import Archive
from breeder.core import Elite, Objective, Placement
from breeder.task import FeatureSection
from conformance.archive import ONE, SPREAD, elite, names


def measured(name: str, score: float, error: float, **fields) -> Elite:
    """An elite whose fitness has a standard error."""
    return replace(elite(name, score, **fields), error=error)


class MeasuredConformance:
    def make(
        self,
        objectives: Sequence[Objective] = ONE,
        features: Sequence[FeatureSection] = SPREAD,
        *,
        islands: int = 2,
        migration_interval: int = 0,
    ) -> Archive:
        raise NotImplementedError

    def test_an_older_one_stays_unless_the_errors_support_the_difference(self):
        archive = self.make()
        archive.place(measured("a", 1.0, 0.1), 0)
        assert archive.place(measured("lucky", 1.13, 0.1), 0) is Placement.REJECTED
        assert archive.place(measured("better", 1.15, 0.1), 0) is Placement.IMPROVED
        assert archive.place(measured("smaller", 1.15, 0.1, size=5), 0) is Placement.REJECTED

    def test_a_revised_one_is_ranked_by_its_new_fitness(self):
        archive = self.make()
        archive.place(measured("a", 1.0, 0.01), 0)
        archive.place(measured("lucky", 2.0, 0.01), 0)
        archive.place(measured("c", 1.1, 0.01, spread=5.0), 1)
        archive.revise("lucky", measured("lucky", 0.9, 0.005))
        best = archive.best()
        assert best is not None
        assert (best.program.id, best.fitness) == ("c", 1.1)
        # What it displaced, and is still known, has its cell again.
        assert [v.elite.program.id for v in archive.cells() if v.island == 0] == ["a"]
        assert names(archive.front()) == ["c"]
        archive.revise("a", measured("a", 1.2, 0.005))
        best = archive.best()
        assert best is not None
        assert (best.program.id, best.error) == ("a", 0.005)

    def test_a_withdrawn_one_is_gone_and_draws_go_on(self):
        archive = self.make()
        archive.place(measured("a", 1.0, 0.01), 0)
        archive.place(measured("cheat", 2.0, 0.01, spread=5.0), 1)
        archive.revise("cheat", None)
        assert [view.elite.program.id for view in archive.cells()] == ["a"]
        assert names(archive.front()) == ["a"]
        drawn = {archive.draw(random.Random(seed)).parent.program.id for seed in range(50)}
        assert drawn == {"a"}
        # Somebody must be left to draw from; and whoever is unknown changes nothing.
        archive.revise("a", None)
        archive.revise("unknown", None)
        assert archive.draw(random.Random(0)).parent.program.id == "a"

    def test_revising_keeps_the_archive_whole(self):
        archive = self.make(islands=3, migration_interval=7)
        rng = random.Random(4)
        for number in range(400):
            one = measured(
                f"p{number}", rng.gauss(1, 0.1), 0.1,
                spread=rng.random() * 10, size=rng.randrange(4, 200),
            )  # fmt: skip
            archive.place(one, rng.randrange(3))
            if number % 9 == 4:
                again = measured(
                    one.program.id, rng.gauss(1, 0.02), 0.02,
                    spread=one.evaluation.metrics["spread"], size=one.program.size,
                )  # fmt: skip
                archive.revise(one.program.id, None if number % 2 else again)
            kept = [view.elite for view in archive.cells()]
            best = archive.best()
            assert best is not None
            assert len(kept) == len(archive)
            assert best.fitness >= max(one.fitness for one in kept)
            assert names(archive.front())[0] == best.program.id
            archive.draw(random.Random(number))
