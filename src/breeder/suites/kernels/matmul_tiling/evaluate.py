"""Scores a tiling heuristic: the candidate names parameters, trusted code times the kernels."""

import functools
import math
from collections.abc import Mapping, Sequence

import tiling_grid
from tiling_comparison import Comparison, compare
from tiling_family import Shape, Tiling
from tiling_kernels import Kernels
from tiling_shapes import HELD_OUT, QUICK, TRAINING, flat
from tiling_times import Clock, KernelClock, Memo, Speedups

from breeder.evaluation import Candidate, InvalidAnswerError, Result

HELD_OUT_ROUNDS = 32
LARGE = ("forward", "backward", "head")


@functools.cache
def speedups() -> tuple[Speedups, Clock]:
    """The estimates of this machine and the clock beneath them, opened at the first use."""
    kernels = Kernels()
    clock = KernelClock(kernels, seed=0)
    memo = Memo(kernels.library.with_name(f"{kernels.library.stem}-rounds.sqlite"))
    return Speedups(kernels.family, clock, memo), clock


def quick(candidate: Candidate) -> Result:
    """First stage: a few training shapes."""
    known, _ = speedups()
    metrics, table = score(known, {"quick": QUICK}, ask(candidate, known, QUICK))
    return Result({"quick_speedup": metrics["speedup"]}, {"quick shapes": table})


def evaluate(candidate: Candidate) -> Result:
    """Second stage: every training shape."""
    known, _ = speedups()
    shapes = flat(TRAINING)
    metrics, table = score(known, TRAINING, ask(candidate, known, shapes))
    return Result(metrics, {"shapes": table})


def evaluate_held_out(candidate: Candidate) -> Result:
    """Held-out shapes on fresh rounds, beside the default, the best single setting, the oracle."""
    known, clock = speedups()
    chosen = {"candidate": ask(candidate, known, flat(HELD_OUT)), **reference(known, HELD_OUT)}
    return summary(
        compare(known.family, clock, flat(HELD_OUT), chosen, rounds=HELD_OUT_ROUNDS), chosen
    )


def baselines(split: str) -> dict[str, dict[str, float]]:
    """Speed-up of the fixed default (1 by definition), the best single setting and the oracle.

    Measures the grid when this machine has not done so yet, which takes about a CPU minute.
    """
    known, clock = speedups()
    groups = HELD_OUT if split == "held_out" else TRAINING
    chosen = reference(known, groups)
    result = compare(known.family, clock, flat(groups), chosen, rounds=HELD_OUT_ROUNDS)
    return {name: {"speedup": result.ratio("fixed default", name).value} for name in chosen}


def ask(candidate: Candidate, known: Speedups, shapes: Sequence[Shape]) -> list[Tiling]:
    """The candidate's tiling for each of `shapes`, snapped into the family."""
    answer = candidate.call("tilings", [[int(x) for x in shape] for shape in shapes])
    if not isinstance(answer, list) or len(answer) != len(shapes):
        raise InvalidAnswerError(f"tilings must answer a list of {len(shapes)} dicts")
    chosen = []
    for shape, one in zip(shapes, answer, strict=True):
        try:
            chosen.append(known.family.snap(one))
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


def score(
    known: Speedups, groups: Mapping[str, Sequence[Shape]], chosen: Sequence[Tiling]
) -> tuple[dict[str, float], str]:
    """Geometric means of the estimated speed-ups, overall and by kind, and a table of shapes."""
    pending = iter(chosen)
    logs: dict[str, list[float]] = {}
    lines: list[tuple[float, str]] = []
    for group, shapes in groups.items():
        for shape in shapes:
            tiling = next(pending)
            value = known.estimate(shape, tiling)
            logs.setdefault(group, []).append(math.log(value))
            lines.append((value, describe(shape, known.family.on(shape, tiling), value)))
    metrics = {f"{group}_speedup": mean(values) for group, values in logs.items()}
    metrics["speedup"] = mean([x for values in logs.values() for x in values])
    large = [x for group in LARGE for x in logs.get(group, ())]
    if large:
        metrics["large_speedup"] = mean(large)
    return metrics, "slowest first\n" + "\n".join(line for _, line in sorted(lines))


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
    for name, (slow, fast) in wanted.items():
        ratio = result.ratio(slow, fast)
        metrics |= {name: ratio.value, f"{name}_low": ratio.low, f"{name}_high": ratio.high}
    gains = result.per_shape("fixed default", "candidate")
    shares = result.per_shape("per-shape oracle", "candidate")
    rows = zip(result.shapes, chosen["candidate"], gains, shares, strict=True)
    lines = [f"{describe(s, t, gain)}; of the oracle {share:.2f}" for s, t, gain, share in rows]
    return Result(metrics, {"choices": choices(result), "held-out shapes": "\n".join(lines)})


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
