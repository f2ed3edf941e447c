import random
import time

import pytest

from breeder.archive.islands import IslandArchive
from breeder.archive.replay import replay
from breeder.archive.selection import SelectionConfig
from breeder.archive.store import EvaluationRecord, Store
from breeder.core import Cost, Elite, Evaluation, FailureKind, Program
from conformance.archive import ONE, SIZE_AND_SPREAD, TWO, ArchiveConformance, random_elite
from conformance.store import RUN, failed, program

SELECTION = SelectionConfig(islands=3, migration_interval=11, reset_after=40)


def make(objectives, selection=SELECTION):
    return IslandArchive(objectives, SIZE_AND_SPREAD, selection=selection)


def run(store, archive, count, *, timed=False, text=""):
    """Place and record as the engine does, failures and held-out evaluations in between."""
    rng = random.Random(5)
    for number in range(count):
        bare = random_elite(rng, number, timed=timed)
        evaluation = Evaluation(
            metrics=dict(bare.evaluation.metrics),
            cost=Cost(0.1, 0.2),
            stage="full",
            stages_run=1,
            artifacts={"note": f"n{number}"},
            construction=bytes([number % 256]),
        )
        files = {"program.py": f"x = {number}\n{text}"}
        made = Program(bare.program.id, files, size=bare.program.size)
        island = rng.randrange(3)
        placement = archive.place(Elite(made, evaluation, bare.fitness), island)
        row = EvaluationRecord(
            made.id,
            evaluation,
            draw=number,
            island=island,
            fitness=bare.fitness,
            placement=placement,
        )
        store.record(made, row)
        if number % 7 == 3:
            store.record(program(f"bad{number}"), failed(f"bad{number}", FailureKind.CRASH))
            held_out = EvaluationRecord(made.id, evaluation, split="held_out", fitness=99.0)
            store.record(made, held_out)


@pytest.mark.parametrize("objectives", [ONE, TWO], ids=["one", "two"])
def test_a_replayed_archive_is_the_original(tmp_path, objectives):
    original = make(objectives)
    with Store.create(tmp_path, RUN) as store:
        run(store, original, 600, timed=len(objectives) > 1)
    assert original.resets > 0
    replayed = make(objectives)
    with Store.open(tmp_path, readonly=True) as store:
        replay(replayed, store)
    ArchiveConformance().assert_equal(original, replayed)
    assert (replayed.placements, replayed.resets) == (original.placements, original.resets)
    # And it goes on like the original.
    rng, other = random.Random(8), random.Random(8)
    for number in range(600, 800):
        elite = random_elite(rng, number, timed=len(objectives) > 1)
        again = random_elite(other, number, timed=len(objectives) > 1)
        assert original.place(elite, number % 3) is replayed.place(again, number % 3)
    ArchiveConformance().assert_equal(original, replayed)


def test_an_empty_store_gives_an_empty_archive(tmp_path):
    archive = make(ONE)
    with Store.create(tmp_path, RUN) as store:
        replay(archive, store)
    assert (len(archive), archive.best()) == (0, None)


def test_replay_needs_an_empty_archive(tmp_path):
    archive = make(ONE)
    archive.place(random_elite(random.Random(0), 0), 0)
    with Store.create(tmp_path, RUN) as store, pytest.raises(ValueError, match="empty archive"):
        replay(archive, store)


def test_ten_thousand_programs_are_replayed_in_two_cpu_seconds(tmp_path):
    with Store.create(tmp_path, RUN) as store:
        run(store, make(ONE), 10_000, text="y = 1\n" * 340)
        begin = time.thread_time()
        replay(make(ONE), store)
        assert time.thread_time() - begin < 2.0
