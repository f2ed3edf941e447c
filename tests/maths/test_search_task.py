import pytest

from breeder.maths import RefusedError, problem
from breeder.maths.search_task import GAIN_WORTH, HELD_OUT_SEEDS, Budgets, SearchTask, repeated

GRID = problem("no_isosceles_8")
TWO, THREE = [[0, 0], [1, 0]], [[0, 0], [1, 0], [3, 0]]
ISOSCELES = [[0, 0], [1, 0], [2, 0]]


class ScriptedCandidate:
    """Answers calls of `search` with prepared data and notes what it was given."""

    def __init__(self, *answers, construction=None, seed=5):
        self.answers = list(answers)
        self.construction = construction
        self.seed = seed
        self.calls = []
        self.restarts = 0

    def call(self, function, *arguments, cpu_seconds=None):
        assert function == "search"
        assert cpu_seconds > arguments[-1]
        self.calls.append(arguments)
        return self.answers.pop(0)

    def restart(self):
        self.restarts += 1


def test_the_quick_stage_searches_from_nothing_under_its_budget():
    candidate = ScriptedCandidate(TWO)
    assert SearchTask(GRID).quick(candidate) == {"quick_score": 2.0}
    assert candidate.calls == [(8, None, 5, Budgets().quick)]


@pytest.mark.parametrize("answer", [ISOSCELES, None, [], [[0, 9]], [[0, float("nan")]], "three"])
def test_what_is_no_construction_is_refused(answer):
    with pytest.raises(RefusedError):
        SearchTask(GRID).quick(ScriptedCandidate(answer))


def test_the_full_stage_goes_on_from_the_better_of_scratch_and_known():
    candidate = ScriptedCandidate(THREE, TWO, construction=TWO)
    result = SearchTask(GRID).full(candidate)
    assert [call[1] for call in candidate.calls] == [None, THREE]
    assert candidate.calls[0][2] != candidate.calls[1][2]
    assert candidate.restarts == 1
    assert result.construction == THREE
    assert result.metrics["score"] == result.metrics["value"] == 3.0
    assert result.metrics["merit"] == 3.0 + GAIN_WORTH * (3.0 - 2.0)
    assert "from 2 to 3" in result.artifacts["search"]


def test_the_best_known_is_kept_where_nothing_better_is_found():
    result = SearchTask(GRID).full(ScriptedCandidate(TWO, TWO, construction=THREE))
    assert result.construction == THREE
    assert (result.metrics["score"], result.metrics["scratch_score"]) == (3.0, 2.0)
    assert result.metrics["merit"] == 2.0


def test_a_carried_construction_is_verified_anew():
    with pytest.raises(RefusedError, match="equally far"):
        SearchTask(GRID).full(ScriptedCandidate(TWO, TWO, construction=ISOSCELES))


def test_the_long_stage_improves_on_the_best_known():
    candidate = ScriptedCandidate(THREE, construction=TWO)
    result = SearchTask(GRID, budgets=Budgets(long=7.0)).long(candidate)
    assert candidate.calls[0][1] == TWO
    assert candidate.calls[0][-1] == 7.0
    assert result.construction == THREE
    assert SearchTask(GRID).long(ScriptedCandidate(TWO)).construction == TWO


def test_held_out_searches_use_unseen_seeds_and_problems():
    other = problem("no_isosceles_16")
    candidate = ScriptedCandidate(TWO, THREE, construction=THREE)
    metrics = SearchTask(GRID, unseen=(other,)).held_out(candidate)
    assert metrics["value"] == 3.0
    assert metrics["scratch_value"] == 2.0
    assert metrics["value_no_isosceles_16"] == 3.0
    assert [call[0] for call in candidate.calls] == [8, 16]
    assert all(call[2] >= HELD_OUT_SEEDS for call in candidate.calls)


def test_what_is_carried_is_exact_and_what_a_program_gets_is_plain():
    task = SearchTask(problem("ring_loading_1"))
    candidate = ScriptedCandidate([["1/3", "1/3"]], [["1/3", 0.25]])
    result = task.full(candidate)
    assert result.construction == [["1/3", "1/3"]]
    assert candidate.calls[1][1] == [[1 / 3, 1 / 3]]
    assert task.verify(result.construction)["value"] == result.metrics["value"] <= 1 / 3


def test_verification_repairs_nothing():
    task = SearchTask(problem("erdos_minimum_overlap"))
    nearly = [0.5, 0.5 + 1e-9]
    assert task.full(ScriptedCandidate(nearly, nearly)).metrics["value"] < 0.51
    with pytest.raises(RefusedError, match="integral"):
        task.verify(nearly)


def test_the_plain_method_repeats_a_search_for_so_much_cpu_time():
    times = iter([0.0, 0.0, 4.0, 4.0, 9.8, 9.9])
    calls = []

    def procedure(n, best, seed, seconds):
        calls.append((best, seed, seconds))
        return THREE if best is None else TWO

    best, used = repeated(GRID, procedure, 3, 10.0, 7.0, lambda: next(times))
    assert best.value.lower == 3
    assert [seed for _, seed, _ in calls] == [3, 4]
    assert calls[1][0] == THREE
    assert all(seconds <= 7.0 for _, _, seconds in calls)
    assert 9.5 <= used <= 10.0
