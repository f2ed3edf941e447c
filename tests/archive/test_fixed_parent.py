import random
from dataclasses import replace

import pytest

from breeder.archive.fixed_parent import FixedParentArchive
from conformance.archive import ONE, SPREAD, elite


def drawn(archive, count=20):
    rng = random.Random(1)
    return [archive.draw(rng, inspirations=3) for _ in range(count)]


def test_the_first_elite_is_always_the_parent_and_nothing_else_is_shown():
    archive = FixedParentArchive(ONE, SPREAD)
    archive.place(elite("start", 1.0), 0)
    for number in range(30):
        archive.place(elite(f"better{number}", 2.0 + number), number % 2)
    assert {parents.parent.program.id for parents in drawn(archive)} == {"start"}
    assert all(parents.inspirations == () for parents in drawn(archive))
    assert {parents.island for parents in drawn(archive)} == {0, 1}
    assert archive.best().program.id == "better29"


def test_an_empty_archive_says_so():
    with pytest.raises(LookupError):
        FixedParentArchive(ONE).draw(random.Random(0))


def test_a_replay_completes_the_start_although_its_cell_was_taken():
    archive = FixedParentArchive(ONE)
    archive.place(elite("start", 1.0), 0)
    for number in range(100):
        archive.place(elite(f"better{number}", 2.0 + number), number % 2)
    known = {}

    def load(number):
        known[number] = True
        name = "start" if number == 0 else f"better{number - 1}"
        full = elite(name, 1.0 if number == 0 else 1.0 + number)
        return replace(full, program=replace(full.program, files={"a.py": name}))

    archive.complete(load)
    assert 0 in known
    assert drawn(archive, 1)[0].parent.program.files == {"a.py": "start"}


def test_a_start_that_is_measured_again_stays_the_parent():
    archive = FixedParentArchive(ONE)
    archive.place(elite("start", 1.0), 0)
    archive.place(elite("better", 2.0), 0)
    archive.revise("start", elite("start", 0.5))
    assert drawn(archive, 1)[0].parent.fitness == 0.5
