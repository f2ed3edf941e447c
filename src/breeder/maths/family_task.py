"""Evaluators of mathematical tasks that try one program on several problems.

A formula that holds for one prime is a number; one that holds for many is a construction. Where a
problem has parameters, a candidate is tried on several of them at once: `search(family,
*parameters, best, seed, cpu_seconds)`. The score is the mean of the problems' scores, and the best
construction of every problem is kept by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from breeder.evaluation.candidate import Candidate, Result
from breeder.maths.problem import Problem, Verified
from breeder.maths.refusal import RefusedError
from breeder.maths.search_task import (
    GAIN_WORTH,
    HELD_OUT_SEEDS,
    LARGEST_GAIN,
    Budgets,
    kept,
    plain_data,
    search,
)

Found = dict[str, Verified]


@dataclass(frozen=True, slots=True)
class FamilyTask:
    """The evaluate functions of a task whose candidates are tried on several problems.

    An evaluate.py makes one and names its bound methods, as for `SearchTask`.

    Attributes:
        problems: verify and score; the quick stage tries the first alone.
        unseen: problems on which only the held-out evaluation tries a program.
        budgets: CPU seconds of the searches of a stage, in equal shares for the problems.
    """

    problems: tuple[Problem[Any], ...]
    unseen: tuple[Problem[Any], ...] = ()
    budgets: Budgets = field(default_factory=Budgets)

    def quick(self, candidate: Candidate) -> dict[str, float]:
        """Search for the first problem from nothing, shortly: `quick_score`."""
        first = self.problems[0]
        found = _search(candidate, first, None, candidate.seed, self.budgets.quick)
        return {"quick_score": first.score(found.value)}

    def full(self, candidate: Candidate) -> Result:
        """Search from nothing, then on from the best constructions known, and keep the best.

        `score` belongs to the chain of programs that led to the constructions. `merit` says what
        this program is worth: its mean score from nothing, and `GAIN_WORTH` times what it added to
        the mean score of the best known, at most `LARGEST_GAIN`.
        """
        candidate.restart()  # nothing of the quick stage's search is left
        known = self._known(candidate)
        scratch = self._searched(candidate, {}, 0, self.budgets.scratch)
        ground = self._better(scratch, known)
        onward = ground
        if self.budgets.onward:
            onward = self._searched(candidate, ground, 1, self.budgets.onward)
        found = self._better(onward, ground)
        before = known or found
        gain = min(self._score(found) - self._score(before), LARGEST_GAIN)
        worth = self._score(scratch)
        metrics = {
            **self._metrics(found),
            "scratch_score": worth,
            "merit": worth + GAIN_WORTH * gain,
        }
        return self._result(metrics, before, found)

    def long(self, candidate: Candidate) -> Result:
        """Search on from the best constructions known for `budgets.long` CPU seconds in all."""
        known = self._known(candidate)
        found = self._better(self._searched(candidate, known, 2, self.budgets.long), known)
        return self._result(self._metrics(found), known or found, found)

    def held_out(self, candidate: Candidate) -> dict[str, float]:
        """Verify the carried constructions again; search from nothing with seeds never used before.

        The searches get the time of the full stage's from nothing; `scratch_score` is their mean,
        and every unseen problem has its own `value_NAME`.
        """
        share = self.budgets.scratch / len(self.problems)
        seed = HELD_OUT_SEEDS + candidate.seed
        scratch = {
            problem.name: _search(candidate, problem, None, seed, share)
            for problem in self.problems
        }
        metrics = self._metrics(self._known(candidate) or scratch)
        metrics["scratch_score"] = self._score(scratch)
        for other in self.unseen:
            found = _search(candidate, other, None, seed, share)
            metrics[f"value_{other.name}"] = float(found.value)
        return metrics

    def verify(self, construction: object) -> dict[str, float]:
        """Verify constructions as they stand, exactly; nothing is repaired or remembered.

        Raises:
            RefusedError: one is none, or is missing.
        """
        return self._metrics(self._read(construction))

    def _searched(self, candidate: Candidate, start: Found, step: int, cpu_seconds: float) -> Found:
        share = cpu_seconds / len(self.problems)
        found = {}
        for problem in self.problems:
            known = start.get(problem.name)
            best = None if known is None else plain_data(problem, known)
            found[problem.name] = _search(candidate, problem, best, candidate.seed + step, share)
        return found

    def _read(self, construction: object) -> Found:
        if not isinstance(construction, Mapping):
            raise RefusedError("expected a mapping from names of problems to constructions")
        names = {problem.name for problem in self.problems}
        if set(construction) != names:
            raise RefusedError(f"expected constructions of {', '.join(sorted(names))}")
        return {
            problem.name: problem.verify(construction[problem.name]) for problem in self.problems
        }

    def _known(self, candidate: Candidate) -> Found:
        """The carried constructions, verified anew; empty where there are none."""
        return {} if candidate.construction is None else self._read(candidate.construction)

    def _better(self, found: Found, known: Found) -> Found:
        """The better construction of every problem."""
        best = dict(found)
        for problem in self.problems:
            earlier, sign = known.get(problem.name), int(problem.direction.sign)
            now = found[problem.name].value.certified
            if earlier is not None and sign * (earlier.value.certified - now) >= 0:
                best[problem.name] = earlier
        return best

    def _score(self, found: Found) -> float:
        return fmean(problem.score(found[problem.name].value) for problem in self.problems)

    def _metrics(self, found: Found) -> dict[str, float]:
        values = {f"value_{name}": float(verified.value) for name, verified in found.items()}
        return {"score": self._score(found), **values}

    def _result(self, metrics: dict[str, float], before: Found, after: Found) -> Result:
        words = "; ".join(
            f"{name} from {before[name].value.decimal()} to {verified.value.decimal()}"
            for name, verified in after.items()
        )
        constructions = {
            problem.name: kept(problem, after[problem.name]) for problem in self.problems
        }
        return Result(metrics, {"search": words}, constructions)


def _search(
    candidate: Candidate, problem: Problem[Any], best: object, seed: int, cpu_seconds: float
) -> Verified:
    return search(candidate, problem, best, seed, cpu_seconds, leading=(problem.family,))
