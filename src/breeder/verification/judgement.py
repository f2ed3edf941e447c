"""From trials to a verdict: paired over seeds, with an interval, or exact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from breeder.core import Objective, fitness
from breeder.errors import CertificateError, EvaluatorError
from breeder.measurement import estimate
from breeder.verification.certificate import Certificate, Effect, Outcome, Trial

LEVEL = 0.95
MANY = 12
"""Seeds from which on their scatter needs no normal distribution."""


class Judgement(NamedTuple):
    """What the trials came to. `effect` is None when no pair of trials can be compared."""

    verdict: Outcome
    reason: str
    effect: Effect | None


class _Score(NamedTuple):
    """Signed fitness of a trial (more is better) or its logarithm, with the evaluator's interval.

    `below` and `above` are the half-widths; None where the evaluator gave no interval.
    """

    value: float
    below: float | None
    above: float | None


def judge(trials: Sequence[Trial], objectives: tuple[Objective, ...], *, ratio: bool) -> Judgement:
    """Decide whether the champion is better than the start.

    Every trial of the champion must pass. Start and champion are compared seed by seed, so that
    what a seed does to both cancels.

    Args:
        trials: of both programs, on the same seeds.
        objectives: weighted into one fitness, as in selection.
        ratio: compare by quotient (one objective, positive values) instead of by difference.

    Raises:
        EvaluatorError: an objective is missing, or a value is not positive where ratios are taken.
    """
    for trial in trials:
        if trial.side == "champion" and trial.failure:
            where = "" if trial.seed is None else f" with seed {trial.seed}"
            return Judgement("does not hold", f"the champion fails{where}: {trial.failure}", None)
    pairs = list(_pairs(trials, objectives, ratio=ratio).values())
    if not pairs:
        failures = (trial.failure for trial in trials if trial.side == "start")
        failure = next(failures, "it was not run")
        reason = f"the start itself fails, so there is nothing to compare with: {failure}"
        return Judgement("not decided", reason, None)
    alone = all(trial.seed is None for trial in trials)
    effect = estimate_effect(pairs, ratio=ratio, exact=alone)
    verdict, reason = _decide(effect, len(pairs), _named(objectives))
    return Judgement(verdict, reason, effect)


def contradicts_claim(
    trials: Sequence[Trial], claimed: Mapping[str, float], objectives: tuple[Objective, ...]
) -> str:
    """Say how a construction earns less than the run claimed for it; empty when it does not.

    The verdict rests on what the construction earns; a false claim besides ends all trust.
    """
    for trial in trials:
        if trial.side != "champion" or trial.failure:
            continue
        for objective in objectives:
            claim, earned = claimed.get(objective.name), trial.metrics[objective.name]
            if claim is not None and objective.direction.sign * (claim - earned) > 0.0:
                return (
                    f"the run claims {objective.name} {claim!r}, its construction earns {earned!r}"
                )
    return ""


def improvements(certificate: Certificate) -> dict[int | None, float]:
    """Return seed -> by how much the champion was better there, on the scale of the effect."""
    pairs = _pairs(
        certificate.trials, certificate.task.as_objectives(), ratio=certificate.task.ratio
    )
    found = {seed: champion.value - start.value for seed, (start, champion) in pairs.items()}
    return {seed: math.exp(v) if certificate.task.ratio else v for seed, v in found.items()}


def check_verdict(certificate: Certificate) -> None:
    """Make sure that the verdict of a certificate follows from its own trials.

    Raises:
        CertificateError: it does not.
    """
    objectives = certificate.task.as_objectives()
    try:
        found = judge(certificate.trials, objectives, ratio=certificate.task.ratio)
    except EvaluatorError as error:
        raise CertificateError(f"its trials cannot be judged: {error}") from None
    seeds = {trial.seed for trial in certificate.trials if trial.side == "champion"}
    expected = {None} if certificate.method == "construction" else set(certificate.seeds)
    same = found.verdict == certificate.verdict and _equal(found.effect, certificate.effect)
    if not same or seeds != expected:
        raise CertificateError(
            f"its verdict {certificate.verdict!r} does not follow from its trials"
        )


def _equal(one: Effect | None, other: Effect | None) -> bool:
    """Whether two effects are equal but for the last digits, which may differ between machines."""
    if one is None or other is None:
        return one is other
    ends = ((one.centre, other.centre), (one.low, other.low), (one.high, other.high))
    close = all(
        a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-300)
        for a, b in ends
    )
    return close and (one.scale, one.exact) == (other.scale, other.exact)


def estimate_effect(
    pairs: Sequence[tuple[_Score, _Score]], *, ratio: bool, exact: bool = False
) -> Effect:
    """Estimate champion minus start from paired scores.

    The scatter between seeds gives one interval (`_scatter`); the evaluator's own intervals, added
    in quadrature, give another. The wider end of the two counts on each side. Equal scores on every
    seed, or a construction (`exact`), leave nothing to estimate.
    """
    differences = [champion.value - start.value for start, champion in pairs]
    count = len(differences)
    given = any(score.below is not None for pair in pairs for score in pair)
    same = all(len({pair[side].value for pair in pairs}) == 1 for side in (0, 1))
    if exact or (same and count > 1 and not given):
        how = "checked exactly" if exact else f"equal values on all {count} seeds: exact"
        return _effect((differences[0],) * 3, how, ratio=ratio, exact=True)
    centre, below, above = differences[0], 0.0, 0.0
    words = []
    if count > 1:
        centre, below, above, how = _scatter(differences)
        words.append(how)
    if given:
        below = max(below, _quadrature([(c.below, s.above) for s, c in pairs]))
        above = max(above, _quadrature([(c.above, s.below) for s, c in pairs]))
        words.append("the evaluator's own intervals in quadrature")
    if not words:
        return _effect((centre, None, None), "one seed says nothing of the scatter", ratio=ratio)
    wider = "the wider of " if len(words) > 1 else ""
    basis = f"{LEVEL:.0%} interval: {wider}{' and '.join(words)}"
    return _effect((centre, centre - below, centre + above), basis, ratio=ratio)


def _scatter(differences: Sequence[float]) -> tuple[float, float, float, str]:
    """Centre, half-widths below and above, and the method in words.

    From `MANY` seeds on `measurement.estimate` (Hodges and Lehmann 1963, Wilcoxon's signed ranks);
    its interval is unbounded for five, so fewer get Student's t (Student 1908, "The probable error
    of a mean"), which supposes normal scatter.
    """
    count = len(differences)
    if count >= MANY:
        found = estimate(differences, error=1.0 - LEVEL)
        below, above = found.centre - found.low, found.high - found.centre
        return found.centre, below, above, f"Wilcoxon's signed ranks over {count} seeds"
    half = _student(differences)
    return math.fsum(differences) / count, half, half, f"Student's t over {count} seeds"


def describe(effect: Effect) -> str:
    """Return an effect in words: `+1.3 (0.9 to 1.7)`, `factor 1.21 (1.15 to 1.27)`."""
    shown = f"factor {effect.centre:.6g}" if effect.scale == "ratio" else f"{effect.centre:+.6g}"
    if effect.exact:
        return f"{shown} (exact)"
    if effect.low is None or effect.high is None:
        return f"{shown} (no interval)"
    return f"{shown} ({effect.low:.6g} to {effect.high:.6g})"


def _named(objectives: tuple[Objective, ...]) -> str:
    if len(objectives) == 1:
        return objectives[0].name
    return "the weighted sum of " + ", ".join(objective.name for objective in objectives)


def _decide(effect: Effect, pairs: int, what: str) -> tuple[Outcome, str]:
    shown = describe(effect)
    if effect.low is None or effect.high is None:
        return "not decided", f"{what} {shown}: {effect.basis}; ask for more with --seeds"
    if effect.low > effect.neutral:
        return "holds", f"better than the start in {what}: {shown}"
    if effect.exact and effect.centre == effect.neutral:
        return "does not hold", f"exactly as good as the start in {what}, no better"
    if effect.high <= effect.neutral:
        return "does not hold", f"no better than the start in {what}: {shown}"
    more = f"{pairs} pair{'s' if pairs > 1 else ''} of trials"
    return "not decided", f"{what} {shown}: {more} leave open whether it is better"


def _pairs(
    trials: Sequence[Trial], objectives: tuple[Objective, ...], *, ratio: bool
) -> dict[int | None, tuple[_Score, _Score]]:
    """Seed -> scores of start and champion, where both passed."""
    passed = [trial for trial in trials if not trial.failure]
    start = {trial.seed: trial for trial in passed if trial.side == "start"}
    return {
        trial.seed: (
            _score(start[trial.seed], objectives, ratio=ratio),
            _score(trial, objectives, ratio=ratio),
        )
        for trial in passed
        if trial.side == "champion" and trial.seed in start
    }


def _score(trial: Trial, objectives: tuple[Objective, ...], *, ratio: bool) -> _Score:
    for objective in objectives:
        if objective.name not in trial.metrics:
            raise EvaluatorError(
                f"the evaluator did not report the objective {objective.name!r} "
                "when the champion was verified"
            )
    value = _signed(objectives, trial.metrics, ratio=ratio)
    if not any(objective.name in trial.intervals for objective in objectives):
        return _Score(value, None, None)
    worst, best = {}, {}
    for objective in objectives:
        point = trial.metrics[objective.name]
        low, high = trial.intervals.get(objective.name, (point, point))
        ends = (low, high) if objective.direction.sign > 0 else (high, low)
        worst[objective.name], best[objective.name] = ends
    return _Score(
        value,
        max(value - _signed(objectives, worst, ratio=ratio), 0.0),
        max(_signed(objectives, best, ratio=ratio) - value, 0.0),
    )


def _signed(
    objectives: tuple[Objective, ...], metrics: Mapping[str, float], *, ratio: bool
) -> float:
    if not ratio:
        return fitness(objectives, metrics)
    objective = objectives[0]
    value = metrics[objective.name]
    if value <= 0.0:
        raise EvaluatorError(
            f"{objective.name} = {value:g}, but [measured] ratio needs values above 0"
        )
    return objective.direction.sign * math.log(value)


def _student(values: Sequence[float]) -> float:
    """Half-width of Student's t interval of a mean, at `LEVEL`."""
    from scipy.special import stdtrit  # takes a tenth of a second, and only this needs it

    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return float(stdtrit(count - 1, (1.0 + LEVEL) / 2.0)) * math.sqrt(variance / count)


def _quadrature(halves: Sequence[tuple[float | None, float | None]]) -> float:
    """Half-width of a mean of differences of independent values with these half-widths."""
    return math.sqrt(math.fsum((half or 0.0) ** 2 for pair in halves for half in pair)) / len(
        halves
    )


def _effect(
    estimate: tuple[float, float | None, float | None],
    basis: str,
    *,
    ratio: bool,
    exact: bool = False,
) -> Effect:
    centre, low, high = (
        value if value is None or not ratio else math.exp(value) for value in estimate
    )
    assert centre is not None
    return Effect(
        scale="ratio" if ratio else "difference",
        centre=centre,
        low=low,
        high=high,
        exact=exact,
        basis=basis,
    )
