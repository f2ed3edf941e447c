"""How the suite decides what counts as caught, with an executor that answers what it is told."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from breeder.core import Evaluation, Failure, FailureKind
from breeder.errors import EvaluatorError
from breeder.executors.executor import Job, Split
from breeder.verification.cheats import Cheat, Honest, chapters, runner
from breeder.verification.cheats.catalogue import Chapter
from breeder.verification.cheats.runner import Trial

EXACT, MEASURED = "systems/online_bin_packing", "kernels/rmsnorm"
HONEST = Honest(name="plain", what="nothing special", code="honest")


@dataclass
class Scripted:
    """An `Executor` that answers with the next evaluation for a program that holds a word."""

    answers: Mapping[str, Iterator[Evaluation]]
    slots: int = 1
    jobs: list[Job] = field(default_factory=list)

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def evaluate(self, job: Job) -> Evaluation:
        self.jobs.append(job)
        text = "".join(job.program.files.values())
        return next(next(found for word, found in self.answers.items() if word in text))

    async def baselines(self, split: Split) -> Mapping[str, Mapping[str, float]]:
        return {}

    async def check_construction(self, construction: bytes) -> Mapping[str, float]:
        return {}


def try_cheat(
    task: str, cheat: Cheat, *answers: Evaluation, start_score: float | None = None
) -> tuple[bool, str, int]:
    """Whether it was caught, by what, and how many evaluations there were."""
    executor = Scripted({"cheating": iter(answers), "": iter([scored(2.0)])})
    made = Chapter(task, {}, (cheat,), (HONEST,), start_score)
    outcome = asyncio.run(Trial(made, made.load_task(), executor, 1).cheat(cheat))
    return outcome.caught, outcome.by, len(executor.jobs)


def cheat(**values: Any) -> Cheat:
    return Cheat(name="c", tries="t", why="w", code="cheating", **values)


def scored(value: float) -> Evaluation:
    return Evaluation({"excess": -value})


def measured(value: float, low: float, high: float) -> Evaluation:
    return Evaluation({"speedup": value}, intervals={"speedup": (low, high)})


def failed(kind: FailureKind, detail: str) -> Evaluation:
    return Evaluation(failure=Failure(kind, detail, "quick"))


@pytest.mark.parametrize(
    ("failure", "caught"),
    [
        (failed(FailureKind.INVALID, "bin 3 overflows"), True),
        (failed(FailureKind.INVALID, "another reason"), False),
        (failed(FailureKind.CRASH, "bin 3 overflows"), False),
        (failed(FailureKind.EVALUATOR, "bin 3 overflows"), False),
    ],
)
def test_the_failure_must_name_the_cheat(failure: Evaluation, caught: bool) -> None:
    wrong = cheat(kinds=("invalid",), words="overflows")
    assert try_cheat(EXACT, wrong, failure) == (caught, str(failure.failure), 1)


def test_one_that_must_fail_is_not_excused_by_gaining_nothing() -> None:
    caught, by, _ = try_cheat(EXACT, cheat(kinds=("invalid",)), scored(-100.0))
    assert not caught
    assert by.startswith("NOT CAUGHT: scores -100")


@pytest.mark.parametrize(("score", "caught"), [(2.0, True), (2.0 + 1e-9, False), (1.0, True)])
def test_exact_scores_are_compared_exactly(score: float, caught: bool) -> None:
    assert try_cheat(EXACT, cheat(like="plain"), scored(score))[::2] == (caught, 2)


def test_a_margin_is_for_rounding() -> None:
    assert try_cheat(EXACT, cheat(like="plain", margin=1e-6), scored(2.0 + 1e-9))[0]


def test_a_score_below_a_threshold_comes_to_nothing() -> None:
    too_low = failed(FailureKind.THRESHOLD, "quick_speedup = 0.48 is below 0.6")
    assert try_cheat(EXACT, cheat(kinds=("invalid",), like="plain"), too_low)[0]
    assert not try_cheat(EXACT, cheat(kinds=("invalid",)), too_low)[0]


def test_a_reference_that_fails_clears_nobody() -> None:
    executor = Scripted(
        {"cheating": iter([scored(1.0)]), "": iter([failed(FailureKind.INVALID, "broken")])}
    )
    made = Chapter(EXACT, {}, (), (HONEST,))
    trial = Trial(made, made.load_task(), executor, 1)
    outcome = asyncio.run(trial.cheat(cheat(like="plain")))
    assert not outcome.caught
    assert "plain beside it failed: invalid" in outcome.by


@pytest.mark.parametrize(
    ("answers", "caught", "words"),
    [
        ([measured(1.0, 0.9, 1.15)], True, "score not earned"),
        ([measured(1.5, 1.3, 1.7)], False, "NOT CAUGHT: scores 1.5"),
        # Too wide to tell: measured again, and never excused.
        ([measured(1.0, 0.5, 2.0), measured(1.0, 0.9, 1.1)], True, "score not earned"),
        ([measured(1.0, 0.5, 2.0)] * 3, False, "too noisy to tell"),
        ([Evaluation({"speedup": 1.0})] * 3, False, "too noisy to tell"),
    ],
)
def test_measured_scores_need_an_interval_that_excludes_a_gain(
    answers: list[Evaluation], caught: bool, words: str
) -> None:
    found = try_cheat(MEASURED, cheat(like="start"), *answers, start_score=1.0)
    assert (found[0], found[2]) == (caught, len(answers))
    assert words in found[1]


def test_the_start_is_evaluated_where_its_score_is_not_known() -> None:
    assert try_cheat(EXACT, cheat(like="start"), scored(2.5))[::2] == (False, 2)


def test_an_honest_variant_is_refused_by_any_failure() -> None:
    executor = Scripted({"": iter([failed(FailureKind.THRESHOLD, "too slow")])})
    made = Chapter(EXACT, {}, (), (HONEST,))
    outcome = asyncio.run(Trial(made, made.load_task(), executor, 1).honest(HONEST))
    assert outcome.refused
    assert "too slow" in outcome.by


def test_programs_to_be_verified_meet_a_seed_of_their_own() -> None:
    seeds = set()
    for _ in range(2):
        executor = Scripted({"": iter([failed(FailureKind.INVALID, "")] * 2)})
        made = chapters()[0]
        trial = Trial(made, made.load_task(), executor, 1)
        asyncio.run(trial.cheat(cheat(split="verify")))
        asyncio.run(trial.cheat(cheat()))
        seeds |= {job.seed for job in executor.jobs}
        assert executor.jobs[1].seed == 17
    assert len(seeds) == 3


def test_a_fault_of_the_evaluator_is_raised_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Scripted):
        async def evaluate(self, job: Job) -> Evaluation:
            raise EvaluatorError("the evaluator is broken")

    monkeypatch.setattr(runner, "LocalExecutor", lambda task, slots: Broken({}, slots))
    with pytest.raises(EvaluatorError, match="is broken"):
        runner.run_all(tasks=[EXACT])
