"""What the evaluators of mathematical search tasks share: stages, scores, carried constructions.

A candidate is a search procedure: `search(*parameters, best, seed, cpu_seconds)` gets the problem's
parameters, the best construction so far as plain data (or None), a seed and a budget of CPU time,
and returns a construction. What comes back is read, repaired by the least sufficient amount,
verified exactly and scored here; the program's own opinion of it is never asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from breeder.evaluation.candidate import Candidate, Result
from breeder.maths.problem import Problem, Verified

MARGIN = 1.5  # CPU seconds by which a search may overrun its budget before it is ended
HELD_OUT_SEEDS = 1_000_003  # selection's seeds are below
LEAST_SLICE = 0.5  # CPU seconds below which the plain method is not called again
LARGEST_GAIN = 1.0  # to find the basin of the record once is luck as much as worth
GAIN_WORTH = 0.5  # what an improvement of the best known counts beside a score from nothing


class Caller(Protocol):
    """What calls a candidate's functions: the candidate itself, or one that translates for it."""

    def call(self, function: str, *arguments: Any, cpu_seconds: float | None = None) -> Any:
        """Call a function and return what it answers; see `Candidate.call`."""
        ...


def itself(candidate: Candidate) -> Caller:
    """Return a candidate that is called as it is."""
    return candidate


@dataclass(frozen=True, slots=True)
class Budgets:
    """CPU seconds of the searches of each stage.

    Attributes:
        quick: from nothing, to see whether the program searches at all.
        scratch: from nothing, in the full stage: what the program is worth by itself.
        onward: from the best construction known, in the full stage.
        long: from the best construction known, in the long stage.
    """

    quick: float = 2.0
    scratch: float = 3.0
    onward: float = 12.0
    long: float = 100.0


@dataclass(frozen=True, slots=True)
class SearchTask:
    """The evaluate functions of a task whose candidates search for constructions of a problem.

    An evaluate.py makes one and names its bound methods: `quick`, `full`, `long` and `held_out` as
    stages, `verify` as what verifies a construction alone.

    Attributes:
        problem: verifies and scores.
        unseen: problems of the same family on which only the held-out evaluation tries a program.
        budgets: CPU seconds of each search.
        caller: translates the call of `search`, for programs that are not in Python.
    """

    problem: Problem[Any]
    unseen: tuple[Problem[Any], ...] = ()
    budgets: Budgets = Budgets()
    caller: Callable[[Candidate], Caller] = itself

    def quick(self, candidate: Candidate) -> dict[str, float]:
        """Search from nothing, shortly: `quick_score`."""
        found = self._search(candidate, self.problem, None, candidate.seed, self.budgets.quick)
        return {"quick_score": self.problem.score(found.value)}

    def full(self, candidate: Candidate) -> Result:
        """Search from nothing, then on from the best construction known, and keep the best of all.

        `score` and `value` belong to the chain of programs that led to the construction. `merit`
        says what this program is worth: its score from nothing, and `GAIN_WORTH` times what it
        added to the score of the best known, at most `LARGEST_GAIN`.
        """
        candidate.restart()  # nothing of the quick stage's search is left
        problem, known = self.problem, self._known(candidate)
        scratch = self._search(candidate, problem, None, candidate.seed, self.budgets.scratch)
        ground = self._better(scratch, known)
        start = plain_data(problem, ground)
        onward = self._search(candidate, problem, start, candidate.seed + 1, self.budgets.onward)
        found = self._better(onward, ground)
        before = known or found
        worth = problem.score(scratch.value)
        gain = min(problem.score(found.value) - problem.score(before.value), LARGEST_GAIN)
        metrics = {
            **self._metrics(found),
            "scratch_score": worth,
            "scratch_value": float(scratch.value),
            "merit": worth + GAIN_WORTH * gain,
        }
        return Result(metrics, self._words(before, found), kept(problem, found))

    def long(self, candidate: Candidate) -> Result:
        """Search on from the best construction known for `budgets.long` CPU seconds."""
        known = self._known(candidate)
        start = None if known is None else plain_data(self.problem, known)
        seed = candidate.seed + 2
        found = self._search(candidate, self.problem, start, seed, self.budgets.long)
        best = self._better(found, known)
        words = self._words(known or best, best)
        return Result(self._metrics(best), words, kept(self.problem, best))

    def held_out(self, candidate: Candidate) -> dict[str, float]:
        """Verify the carried construction again; search from nothing with seeds never used before.

        Those searches get the time of the full stage's from nothing, on the problem
        (`scratch_value`) and on every unseen one (`value_NAME`).
        """
        seconds = self.budgets.scratch
        seed = HELD_OUT_SEEDS + candidate.seed
        scratch = self._search(candidate, self.problem, None, seed, seconds)
        final = self._known(candidate) or scratch
        metrics = self._metrics(final)
        metrics["scratch_value"] = float(scratch.value)
        metrics["scratch_score"] = self.problem.score(scratch.value)
        for other in self.unseen:
            found = self._search(candidate, other, None, seed, seconds)
            metrics[f"value_{other.name}"] = float(found.value)
        return metrics

    def verify(self, construction: object) -> dict[str, float]:
        """Verify a construction as it stands, exactly; nothing is repaired or remembered.

        Raises:
            RefusedError: it is none.
        """
        return self._metrics(self.problem.verify(construction))

    def _search(
        self,
        candidate: Candidate,
        problem: Problem[Any],
        best: object,
        seed: int,
        cpu_seconds: float,
    ) -> Verified:
        return search(self.caller(candidate), problem, best, seed, cpu_seconds)

    def _known(self, candidate: Candidate) -> Verified | None:
        """The carried construction, verified anew."""
        carried = candidate.construction
        return None if carried is None else self.problem.verify(carried)

    def _better(self, found: Verified, known: Verified | None) -> Verified:
        sign = int(self.problem.direction.sign)
        if known is None or sign * (found.value.certified - known.value.certified) > 0:
            return found
        return known

    def _metrics(self, found: Verified) -> dict[str, float]:
        return {"score": self.problem.score(found.value), "value": float(found.value)}

    def _words(self, before: Verified, after: Verified) -> Mapping[str, str]:
        words = f"from {before.value.decimal()} to {after.value.decimal()}"
        if after.moved:
            words += f"; numbers moved by at most {float(after.moved):.2g} to hold exactly"
        return {"search": words}


def search(
    candidate: Caller,
    problem: Problem[Any],
    best: object,
    seed: int,
    cpu_seconds: float,
    *,
    leading: tuple[object, ...] = (),
) -> Verified:
    """Call a candidate's search under its budget of CPU time and verify what it returns.

    Args:
        candidate: whose `search` is called.
        problem: its parameters are passed, and it verifies.
        best: the construction to go on from as plain data, or None.
        seed: of the search.
        cpu_seconds: its budget; `MARGIN` is added before it is ended.
        leading: arguments before the parameters.

    Raises:
        RefusedError: it is no construction, or too far from one for a repair.
        CandidateFailedError: whatever else the candidate did wrong.
    """
    answer = candidate.call(
        "search",
        *leading,
        *problem.parameters.values(),
        best,
        seed,
        cpu_seconds,
        cpu_seconds=cpu_seconds + MARGIN,
    )
    return problem.verify(answer, repair=True)


def repeated(
    problem: Problem[Any],
    procedure: Callable[..., object],
    seed: int,
    cpu_seconds: float,
    slice_seconds: float,
    clock: Callable[[], float],
) -> tuple[Verified, float]:
    """Run one search procedure again and again for so much CPU time: the plain method.

    Every call gets `slice_seconds`, a seed of its own, and the best construction so far, as the
    programs of a run do; nothing is evolved. Only for procedures written by hand.

    Args:
        problem: verifies what comes back.
        procedure: as a candidate's `search`.
        seed: of the first call; the next ones count up.
        cpu_seconds: in all; the last call gets what is left.
        slice_seconds: of one call.
        clock: CPU seconds of this process so far.

    Returns:
        The best construction, and the CPU seconds that were used.
    """
    begin, best = clock(), None
    while best is None or clock() - begin < cpu_seconds - LEAST_SLICE:
        left = min(slice_seconds, cpu_seconds - (clock() - begin))
        start = None if best is None else plain_data(problem, best)
        answer = procedure(*problem.parameters.values(), start, seed, left)
        found = problem.verify(answer, repair=True)
        if best is None or problem.score(found.value) > problem.score(best.value):
            best = found
        seed += 1
    return best, clock() - begin


def kept(problem: Problem[Any], found: Verified) -> Any:
    """Return a verified construction as the data that is carried: it reads back exactly."""
    return json.loads(found.encoded)[problem.key]


def plain_data(problem: Problem[Any], found: Verified) -> Any:
    """Return a verified construction as a program gets it: "p/q" becomes the nearest float."""
    return _floats(kept(problem, found))


def _floats(data: Any) -> Any:
    if isinstance(data, str):
        return float(Fraction(data))
    if isinstance(data, list):
        return [_floats(entry) for entry in data]
    if isinstance(data, dict):
        return {key: _floats(value) for key, value in data.items()}
    return data
