import pytest

from breeder.maths import RefusedError, problem, problems
from breeder.maths.achieved import FOLDER, achievement

HALVES = b'{"h":[0.5,0.5],"problem":"erdos_minimum_overlap"}'
ABOUT = '[ours]\nby = "a program"\ncpu_seconds = 7200\n'


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "erdos_minimum_overlap").mkdir()
    (tmp_path / "erdos_minimum_overlap" / "about.toml").write_text(ABOUT)
    (tmp_path / "erdos_minimum_overlap" / "ours.json").write_bytes(HALVES)
    return tmp_path


def test_an_achievement_is_verified_when_it_is_asked_for(folder):
    reached = achievement(problem("erdos_minimum_overlap"), folder=folder)
    assert reached.verified.value.lower == 0.5
    assert (reached.by, reached.cpu_seconds) == ("a program", 7200.0)
    assert achievement(problem("erdos_minimum_overlap"), "baseline", folder) is None
    assert achievement(problem("kissing_11"), folder=folder) is None


def test_an_achievement_that_does_not_hold_is_refused(folder):
    path = folder / "erdos_minimum_overlap" / "ours.json"
    path.write_bytes(HALVES.replace(b"0.5,0.5", b"0.5,0.4"))
    with pytest.raises(RefusedError, match="integral"):
        achievement(problem("erdos_minimum_overlap"), folder=folder)


def test_every_achievement_that_ships_belongs_to_a_problem_and_verifies():
    names = {listed.name for listed in problems()}
    for path in FOLDER.glob("*/*.json"):
        assert path.parent.name in names
        assert achievement(problem(path.parent.name), path.stem) is not None
