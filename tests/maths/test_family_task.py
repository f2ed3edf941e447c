import pytest

from breeder.maths import RefusedError, problem
from breeder.maths.family_task import FamilyTask
from breeder.maths.search_task import GAIN_WORTH, HELD_OUT_SEEDS, Budgets
from maths.test_search_task import ISOSCELES, THREE, TWO, ScriptedCandidate

SMALL, LARGE = problem("no_isosceles_8"), problem("no_isosceles_16")
TASK = FamilyTask((SMALL, LARGE), unseen=(problem("no_isosceles_12"),))
BOTH = {SMALL.name: TWO, LARGE.name: THREE}


def test_the_quick_stage_tries_the_first_problem():
    candidate = ScriptedCandidate(TWO)
    assert TASK.quick(candidate) == {"quick_score": 2.0}
    assert candidate.calls == [("no_isosceles", 8, None, 5, Budgets().quick)]


def test_every_problem_gets_its_share_of_the_time():
    candidate = ScriptedCandidate(TWO, THREE, TWO, THREE)
    result = TASK.full(candidate)
    assert [call[:2] for call in candidate.calls] == 2 * [("no_isosceles", 8), ("no_isosceles", 16)]
    assert [call[2] for call in candidate.calls] == [None, None, TWO, THREE]
    assert [call[-1] for call in candidate.calls] == [1.5, 1.5, 6.0, 6.0]
    assert candidate.restarts == 1
    assert result.construction == BOTH
    assert result.metrics["score"] == 2.5
    assert result.metrics["value_no_isosceles_8"] == 2.0
    assert result.metrics["value_no_isosceles_16"] == 3.0
    assert "no_isosceles_16 from 3 to 3" in result.artifacts["search"]


def test_the_best_of_every_problem_is_kept():
    known = {SMALL.name: THREE, LARGE.name: TWO}
    result = TASK.full(ScriptedCandidate(TWO, THREE, TWO, TWO, construction=known))
    assert result.construction == {SMALL.name: THREE, LARGE.name: THREE}
    assert result.metrics["scratch_score"] == 2.5
    assert result.metrics["merit"] == 2.5 + GAIN_WORTH * (3.0 - 2.5)


def test_a_task_may_leave_out_the_search_onward():
    candidate = ScriptedCandidate(TWO, THREE)
    task = FamilyTask((SMALL, LARGE), budgets=Budgets(onward=0.0))
    assert task.full(candidate).construction == BOTH
    assert len(candidate.calls) == 2


def test_the_long_stage_goes_on_from_the_best_known():
    candidate = ScriptedCandidate(THREE, TWO, construction=BOTH)
    result = TASK.long(candidate)
    assert [call[2] for call in candidate.calls] == [TWO, THREE]
    assert result.construction == {SMALL.name: THREE, LARGE.name: THREE}


def test_held_out_searches_use_unseen_seeds_and_problems():
    candidate = ScriptedCandidate(TWO, TWO, THREE, construction=BOTH)
    metrics = TASK.held_out(candidate)
    assert metrics["score"] == 2.5
    assert metrics["scratch_score"] == 2.0
    assert metrics["value_no_isosceles_12"] == 3.0
    assert all(call[3] >= HELD_OUT_SEEDS for call in candidate.calls)


@pytest.mark.parametrize(
    "construction",
    [None, [], TWO, {}, {SMALL.name: TWO}, {**BOTH, "more": TWO}, {**BOTH, LARGE.name: ISOSCELES}],
)
def test_what_does_not_hold_for_every_problem_is_refused(construction):
    with pytest.raises(RefusedError):
        TASK.verify(construction)
    assert TASK.verify(BOTH)["score"] == 2.5
