import pytest
from tests.evaluation.scripted_sandbox import ScriptedSandbox

from breeder.core import FailureKind, Limits
from breeder.evaluation import wire
from breeder.evaluation.live_candidate import (
    MAX_OUTPUT_CHARACTERS,
    LiveCandidate,
    seed_of_program,
)
from breeder.evaluation.protocol import Evaluate, ProgramPlan
from breeder.evaluation.sandbox import CandidateFailedError

PROGRAM = ProgramPlan(main="a.py", mode="python", support={}, functions={})
LIMITS = Limits(cpu_seconds=10.0, wall_seconds=100.0)


def make(sandbox: ScriptedSandbox, construction: object = None) -> LiveCandidate:
    packed = None if construction is None else wire.encode(construction)
    request = Evaluate({"a.py": "x = 1\n"}, "search", packed, 7, initial=False)
    return LiveCandidate(sandbox, PROGRAM, LIMITS, request, {"data.txt": "d"})


def test_starts_at_the_first_call_and_keeps_the_process() -> None:
    sandbox = ScriptedSandbox({"double": lambda x: 2 * x})
    candidate = make(sandbox)
    assert sandbox.started == []
    assert candidate.call("double", 4) == 8
    assert candidate.call("double", 5) == 10
    assert len(sandbox.started) == 1


def test_the_program_gets_evolved_and_support_files_and_the_seed() -> None:
    sandbox = ScriptedSandbox({"f": lambda: 1})
    candidate = make(sandbox)
    candidate.call("f")
    spec, _ = sandbox.started[0]
    assert spec.files == {"a.py": "x = 1\n", "data.txt": "d"}
    assert candidate.seed == 7
    assert spec.seed == seed_of_program(7) != 7
    assert candidate.files == {"a.py": "x = 1\n"}


def test_evolved_files_win_over_support_files_of_the_same_name() -> None:
    sandbox = ScriptedSandbox({"f": lambda: 1})
    request = Evaluate({"a.py": "evolved\n"}, "search", None, 0, initial=False)
    LiveCandidate(sandbox, PROGRAM, LIMITS, request, {"a.py": "original\n"}).call("f")
    assert sandbox.started[0][0].files == {"a.py": "evolved\n"}


def test_construction_is_decoded_once_and_absent_means_none() -> None:
    candidate = make(ScriptedSandbox({}), {"radii": [1.0, 2.0]})
    assert candidate.construction == {"radii": [1.0, 2.0]}
    assert candidate.construction is candidate.construction
    assert make(ScriptedSandbox({})).construction is None


def test_cpu_time_is_a_budget_over_all_calls_of_a_stage() -> None:
    sandbox = ScriptedSandbox({"f": lambda: 1}, cost=4.0)
    candidate = make(sandbox)
    for _ in range(3):
        candidate.call("f")
    assert [cpu for _, cpu, _ in sandbox.programs[0].calls] == [10.0, 6.0, 2.0]
    with pytest.raises(CandidateFailedError) as caught:
        candidate.call("f")
    assert caught.value.failure.kind is FailureKind.CPU_TIME
    assert candidate.cpu_seconds == 12.0


def test_a_new_stage_has_a_fresh_budget() -> None:
    sandbox = ScriptedSandbox({"f": lambda: 1}, cost=9.0)
    candidate = make(sandbox)
    candidate.call("f")
    candidate.begin_stage(3.0, 50.0)
    candidate.call("f")
    assert sandbox.programs[0].calls[1][1] == 3.0
    assert sandbox.programs[0].calls[1][2] == pytest.approx(50.0, abs=5.0)


def test_limits_of_a_call_only_lower_what_is_left() -> None:
    sandbox = ScriptedSandbox({"f": lambda: 1})
    candidate = make(sandbox)
    candidate.call("f", cpu_seconds=1.5, wall_seconds=2.5)
    candidate.call("f", cpu_seconds=1000.0, wall_seconds=1000.0)
    (_, cpu, wall), (_, later_cpu, later_wall) = sandbox.programs[0].calls
    assert (cpu, wall) == (1.5, 2.5)
    assert later_cpu == 9.5
    assert later_wall <= 100.0


def test_restart_ends_the_process_and_keeps_cost_and_output() -> None:
    sandbox = ScriptedSandbox({"f": lambda: 1})
    candidate = make(sandbox)
    candidate.call("f")
    candidate.restart()
    assert sandbox.programs[0].closed == 1
    candidate.call("f")
    assert len(sandbox.started) == 2
    assert candidate.cpu_seconds == 1.0
    assert candidate.output() == "called f\ncalled f\n"


def test_output_is_cut_to_its_tail() -> None:
    sandbox = ScriptedSandbox({"f": lambda: 1})
    candidate = make(sandbox)
    candidate.call("f")
    sandbox.programs[0].printed = "x" * 10_000 + "end"
    assert len(candidate.output()) == MAX_OUTPUT_CHARACTERS
    assert candidate.output().endswith("end")


def test_close_twice_closes_the_process_once() -> None:
    sandbox = ScriptedSandbox({"f": lambda: 1})
    candidate = make(sandbox)
    candidate.call("f")
    candidate.close()
    candidate.close()
    assert sandbox.programs[0].closed == 1


def test_a_source_that_is_too_large_is_not_started() -> None:
    sandbox = ScriptedSandbox({"f": lambda: 1})
    request = Evaluate({"a.py": "#" * 300_000}, "search", None, 0, initial=False)
    with pytest.raises(CandidateFailedError, match=r"a\.py has 292 KiB, 256 KiB are allowed"):
        LiveCandidate(sandbox, PROGRAM, LIMITS, request, {}).call("f")
    assert sandbox.started == []


def test_prepared_calls_are_paid_from_the_budget_of_the_stage() -> None:
    sandbox = ScriptedSandbox({"double": lambda x: 2 * x}, cost=4.0)
    candidate = make(sandbox)
    batch = candidate.prepare("double", [[1], [2]])
    assert batch.run() == (4.0, 4.0)
    assert [batch.output(0), batch.output(1)] == [2, 4]
    assert batch.arguments(1) == [2]
    candidate.prepare("double", [[1]]).run()
    (first, _), (second, wall) = sandbox.programs[0].prepared
    assert (first, second) == (10.0, 6.0)
    assert wall == pytest.approx(100.0, abs=5.0)
    assert candidate.cpu_seconds == 8.0


def test_runs_end_with_the_wall_time_of_the_stage() -> None:
    candidate = make(ScriptedSandbox({"f": lambda: 1}))
    batch = candidate.prepare("f", [[]])
    candidate.begin_stage(5.0, 0.0)
    with pytest.raises(CandidateFailedError) as caught:
        batch.run()
    assert caught.value.failure.kind is FailureKind.WALL_TIME


def test_calls_of_commands_cannot_be_prepared() -> None:
    plan = ProgramPlan(main="a.sh", mode="command", support={}, functions={}, command=("sh",))
    request = Evaluate({"a.sh": ""}, "search", None, 7, initial=False)
    candidate = LiveCandidate(ScriptedSandbox({}), plan, LIMITS, request, {})
    with pytest.raises(ValueError, match="cannot be prepared"):
        candidate.prepare("f", [[]])


def test_a_failure_is_remembered_until_it_is_restarted() -> None:
    candidate = make(ScriptedSandbox({"f": lambda: 1}))
    candidate.call("f")
    assert not candidate.failed
    with pytest.raises(CandidateFailedError):
        candidate.prepare("g", [[]])
    assert candidate.failed
    candidate.restart()
    assert not candidate.failed


def test_programs_beside_it_have_the_same_files_and_none_beside_them() -> None:
    with pytest.raises(ValueError, match="only the candidate that is evaluated"):
        make(ScriptedSandbox({})).beside({"a.py": ""})
    request = Evaluate({"a.py": ""}, "search", None, 7, initial=False)
    other = make(ScriptedSandbox({}))
    candidate = LiveCandidate(
        ScriptedSandbox({}), PROGRAM, LIMITS, request, {}, lambda files, cpu, wall: other
    )
    assert candidate.beside({"a.py": "y = 1\n"}) is other
    with pytest.raises(ValueError, match=r"has the files a\.py"):
        candidate.beside({"b.py": ""})


def test_programs_side_by_side_exchange_sandboxes_and_start_afresh() -> None:
    sandboxes = [ScriptedSandbox({"f": lambda: "first"}), ScriptedSandbox({"f": lambda: "second"})]
    one, two = map(make, sandboxes)
    assert (one.call("f"), two.call("f")) == ("first", "second")
    one.exchange(two)
    assert (one.call("f"), two.call("f")) == ("second", "first")
    assert [len(sandbox.started) for sandbox in sandboxes] == [2, 2]
    two.exchange(one)
    assert (one.call("f"), two.call("f")) == ("first", "second")


def test_what_was_spent_stays_with_the_program_when_sandboxes_are_exchanged() -> None:
    one, two = make(ScriptedSandbox({"f": lambda: 1}, cost=4.0)), make(ScriptedSandbox({}))
    one.call("f")
    spent = one.cpu_seconds
    assert spent > 0.0
    one.exchange(two)
    assert (one.cpu_seconds, two.cpu_seconds) == (spent, 0.0)


def test_only_programs_in_sandboxes_can_be_exchanged() -> None:
    with pytest.raises(ValueError, match="programs beside it only"):
        make(ScriptedSandbox({})).exchange(object())  # type: ignore[arg-type]
