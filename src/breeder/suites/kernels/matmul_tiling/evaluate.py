"""Scores a tiling heuristic: the candidate names parameters, trusted code times the kernels."""

import functools
import math
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import tiling_extremes
import tiling_grid
from tiling_clock import Clock, KernelClock
from tiling_comparison import Comparison, compare
from tiling_family import Family, Shape, Tiling
from tiling_kernels import Kernels, build
from tiling_shapes import HELD_OUT, QUICK, TRAINING, UNUSUAL, flat
from tiling_times import Memo, Rule, Speedups, Standing
from tiling_trials import Length, Trial, trial

from breeder.evaluation import Candidate, InvalidAnswerError, Result

HELD_OUT_ROUNDS = 32
LARGE = ("forward", "backward", "head")
RULE = Rule()
CONFIRMATION = Length()
VERIFICATION = Length(pairs=4, most=10)


@functools.cache
def kernels() -> Kernels:
    """The compiled family, built and loaded at the first use."""
    return Kernels()


@functools.cache
def speedups() -> tuple[Speedups, Clock]:
    """The estimates of this machine and the clock beneath them, opened at the first use."""
    clock = KernelClock(kernels(), seed=0)
    memo = Memo(kernels().library.with_name(f"{kernels().library.stem}-rounds.sqlite"))
    return Speedups(kernels().family, clock, memo, rule=RULE), clock


def fresh_clock(seed: int) -> tuple[Family, Clock]:
    """A clock with operands of its own."""
    return kernels().family, KernelClock(kernels(), seed=seed)


def quick(candidate: Candidate) -> Result:
    """First stage: a glance at a few training shapes."""
    known, _ = speedups()
    standing = known.glance(QUICK, ask(candidate, known.family, QUICK))
    return Result({"quick_speedup": math.exp(standing.centre)})


def evaluate(candidate: Candidate) -> Result:
    """Second stage: every training shape; few rounds for what cannot reach the value to beat."""
    known, _ = speedups()
    shapes = flat(TRAINING)
    chosen = ask(candidate, known.family, shapes)
    return score(known.family, chosen, known.race(shapes, chosen, candidate.to_beat))


def confirm(candidate: Candidate) -> Result:
    """Every training shape again; ends early when the value to beat is out of reach."""
    return afresh(candidate, CONFIRMATION, to_beat=candidate.to_beat)


def afresh(candidate: Candidate, length: Length, *, to_beat: float | None = None) -> Result:
    """Every training shape on fresh operands and rounds, next to the textbook tiling."""
    family, clock = fresh_clock(candidate.seed)
    shapes = flat(TRAINING)
    choice = list(zip(shapes, ask(candidate, family, shapes), strict=True))
    rng = random.Random(candidate.seed)
    result = trial(family, clock, choice, rng=rng, length=length, to_beat=to_beat)
    known, _ = speedups()
    for (shape, tiling), pairs in zip(choice, result.seconds, strict=True):
        known.take(shape, tiling, pairs)
    return Result(
        {"speedup": result.value, "rounds": len(result.log_ratios)},
        intervals={"speedup": ends(result)},
    )


def evaluate_held_out(candidate: Candidate) -> Result:
    """Held-out shapes on fresh rounds, beside the default, the best single setting, the oracle."""
    known, clock = speedups()
    shapes = flat(HELD_OUT)
    chosen = {"candidate": ask(candidate, known.family, shapes), **reference(known, HELD_OUT)}
    return summary(compare(known.family, clock, shapes, chosen, rounds=HELD_OUT_ROUNDS), chosen)


def verify(candidate: Candidate) -> Result:
    """Shapes that selection never saw, with kernels compiled anew and every product checked.

    Unusual shapes are multiplied with extreme operands, too, and timed as a metric of their own.
    """
    with tempfile.TemporaryDirectory() as folder:
        anew = Kernels(build(Path(folder)))
    rng = random.Random(candidate.seed)
    choices = {
        name: list(zip(shapes, ask(candidate, anew.family, shapes), strict=True))
        for name, shapes in (("held-out", flat(HELD_OUT)), ("unusual", UNUSUAL))
    }
    kinds = tuple(tiling_extremes.KINDS)
    for name, choice in choices.items():
        for shape, tiling in choice:
            # The held-out shapes are large: one kind each.
            for kind in kinds if name == "unusual" else rng.sample(kinds, 1):
                tiling_extremes.check(anew, shape, tiling, kind, seed=rng.randrange(2**32))
    clock = KernelClock(anew, seed=candidate.seed, thorough=True)
    main, odd = (
        trial(anew.family, clock, choice, rng=rng, length=VERIFICATION)
        for choice in choices.values()
    )
    lines = [
        f"{describe(shape, anew.family.on(shape, tiling), gain)}"
        for (shape, tiling), gain in (
            *zip(choices["held-out"], main.per_shape, strict=True),
            *zip(choices["unusual"], odd.per_shape, strict=True),
        )
    ]
    return Result(
        {"speedup": main.value, "unusual_speedup": odd.value},
        {"verified shapes": "\n".join(lines)},
        intervals={"speedup": ends(main), "unusual_speedup": ends(odd)},
    )


def ends(result: Trial) -> tuple[float, float]:
    """The interval of a trial."""
    return result.low, result.high


def baselines(split: str) -> dict[str, dict[str, float]]:
    """Speed-up of the fixed default (1 by definition), the best single setting and the oracle.

    Measures the grid when this machine has not done so yet, which takes about a CPU minute.
    """
    known, clock = speedups()
    groups = HELD_OUT if split == "held_out" else TRAINING
    chosen = reference(known, groups)
    result = compare(known.family, clock, flat(groups), chosen, rounds=HELD_OUT_ROUNDS)
    return {name: {"speedup": result.ratio("fixed default", name).value} for name in chosen}


def ask(candidate: Candidate, family: Family, shapes: Sequence[Shape]) -> list[Tiling]:
    """The candidate's tiling for each of `shapes`, snapped into the family."""
    answer = candidate.call("tilings", [list(shape) for shape in shapes])
    if not isinstance(answer, list) or len(answer) != len(shapes):
        raise InvalidAnswerError(f"tilings must answer a list of {len(shapes)} dicts")
    chosen = []
    for shape, one in zip(shapes, answer, strict=True):
        try:
            chosen.append(family.snap(one))
        except InvalidAnswerError as error:
            raise InvalidAnswerError(f"{shape}: {error}") from None
    return chosen


def reference(known: Speedups, groups: Mapping[str, Sequence[Shape]]) -> dict[str, list[Tiling]]:
    """The baselines as one tiling per shape; the single setting is chosen on training shapes."""
    training = flat(TRAINING)
    for shape in training:
        tiling_grid.oracle(known, shape)
    single = tiling_grid.best_single(known, training)
    shapes = flat(groups)
    return {
        "fixed default": [known.family.textbook()] * len(shapes),
        "best single setting": [single] * len(shapes),
        "per-shape oracle": [tiling_grid.oracle(known, shape) for shape in shapes],
    }


def score(family: Family, chosen: Sequence[Tiling], standing: Standing) -> Result:
    """Geometric means of the estimated speed-ups on training shapes, overall and by kind."""
    pending = iter(zip(chosen, standing.logs, strict=True))
    logs: dict[str, list[float]] = {}
    lines: list[tuple[float, str]] = []
    for group, shapes in TRAINING.items():
        for shape, (tiling, log) in zip(shapes, pending, strict=False):
            logs.setdefault(group, []).append(log)
            lines.append((log, describe(shape, family.on(shape, tiling), math.exp(log))))
    metrics = {f"{group}_speedup": mean(values) for group, values in logs.items()}
    metrics["speedup"] = math.exp(standing.centre)
    metrics["large_speedup"] = mean([x for group in LARGE for x in logs[group]])
    table = "slowest first\n" + "\n".join(line for _, line in sorted(lines))
    return Result(metrics, {"shapes": table}, intervals={"speedup": standing.interval})


def mean(logs: Sequence[float]) -> float:
    """Geometric mean from logarithms."""
    return math.exp(math.fsum(logs) / len(logs))


def describe(shape: Shape, tiling: Tiling, value: float) -> str:
    """One line on one shape."""
    return f"{value:.2f}x  {shape}  {tiling.rows}x{tiling.vectors}v, " + ", ".join(
        f"{name} {getattr(tiling, name)}" for name in Tiling._fields[2:-1]
    )


def summary(result: Comparison, chosen: Mapping[str, Sequence[Tiling]]) -> Result:
    """Held-out metrics: what the candidate gains and how near the oracle it comes."""
    wanted = {
        "speedup": ("fixed default", "candidate"),
        "oracle_fraction": ("per-shape oracle", "candidate"),
        "over_best_single": ("best single setting", "candidate"),
    }
    metrics: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for name, (slow, fast) in wanted.items():
        ratio = result.ratio(slow, fast)
        metrics |= {name: ratio.value, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
        intervals[name] = (ratio.low, ratio.high)
    gains = result.per_shape("fixed default", "candidate")
    shares = result.per_shape("per-shape oracle", "candidate")
    rows = zip(result.shapes, chosen["candidate"], gains, shares, strict=True)
    lines = [f"{describe(s, t, gain)}; of the oracle {share:.2f}" for s, t, gain, share in rows]
    artifacts = {"choices": choices(result), "held-out shapes": "\n".join(lines)}
    return Result(metrics, artifacts, intervals=intervals)


def choices(result: Comparison) -> str:
    """A Markdown table of every choice with both kinds of interval."""
    lines = ["| choice | speed-up | rounds 95 % | rounds and shapes 95 % | of the oracle |"]
    lines.append("|---|---|---|---|---|")
    for name in result.seconds:
        near = result.ratio("fixed default", name)
        wide = result.ratio("fixed default", name, over_shapes=True)
        share = result.ratio("per-shape oracle", name)
        lines.append(
            f"| {name} | {near.value:.3f} | {near.low:.3f} .. {near.high:.3f} "
            f"| {wide.low:.3f} .. {wide.high:.3f} "
            f"| {share.value:.3f} ({share.low:.3f} .. {share.high:.3f}) |"
        )
    return "\n".join(lines)
