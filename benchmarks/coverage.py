"""Do the intervals hold? Simulated comparisons on noise fitted to this machine.

    python benchmarks/coverage.py [--repeats 1000] [--pairs 1000] [--seed 1]

Twins of three kinds of work are timed first, and a noise model is fitted to each (lognormal core,
heavy tail, bursts, drift). From the models come any number of comparisons whose truth is known, on
the noise as fitted and with one ingredient or all of them exaggerated; the repeats take turns over
the three kinds of work. Every comparison is a call of `breeder.measurement.compare` that is handed
simulated times.

Fixed: 40 and 200 pairs, true ratio 1.05; does the 95 % interval hold it? Sequential: at most 400
pairs, stopped when clear; does the interval at the stop hold 1.05, and how often are equal programs
called faster or slower, with and without sequential stopping?
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator

import numpy as np

from breeder.measurement import Comparison, Limits, Settings, Spent, Verdict, compare
from breeder.measurement.noise_model import FEWEST_PAIRS, Ingredient, NoiseModel
from breeder.measurement.workloads import Kind, twins
from record import header, share, table

KINDS = (Kind.CACHE, Kind.MEMORY, Kind.PYTHON)
VARIANTS: dict[str, Callable[[NoiseModel], NoiseModel]] = {
    "as fitted": lambda model: model,
    "drift": lambda model: model.exaggerated(Ingredient.DRIFT),
    "bursts": lambda model: model.exaggerated(Ingredient.BURSTS),
    "heavy tail": lambda model: model.exaggerated(Ingredient.OUTLIERS),
    "all three": lambda model: model.exaggerated(*Ingredient),
}
RATIO = 1.05
SEQUENTIAL_PAIRS = 400
COLUMNS = (
    "noise",
    "fixed, 40 pairs, holds",
    "fixed, 200 pairs, holds",
    "sequential, holds at its stop",
    "false verdicts, fixed 200",
    "false verdicts, sequential",
)
WRONG = (Verdict.FASTER, Verdict.SLOWER)


def fitted(kind: Kind, pairs: int, rng: random.Random) -> NoiseModel:
    """The noise of this machine now, from CPU times of twins."""
    baseline: list[float] = []
    candidate: list[float] = []

    def keep(first: Spent, second: Spent) -> None:
        baseline.append(first.cpu_seconds)
        candidate.append(second.cpu_seconds)

    limits = Limits(seconds=120.0, pairs=pairs, warm_up=5)
    settings = Settings(sequential=False, clock="cpu")
    compare(*twins(kind), rng=rng, limits=limits, settings=settings, on_pair=keep)
    if len(baseline) < FEWEST_PAIRS:
        raise SystemExit(f"{kind}: {len(baseline)} pairs are too few to fit a noise model to")
    return NoiseModel.fit(baseline, candidate)


def simulated(
    model: NoiseModel, ratio: float, pairs: int, seed: int, *, sequential: bool
) -> Comparison:
    """Compare on times drawn from the model, in the order in which they would be taken."""
    limits = Limits(seconds=1e9, pairs=pairs)
    drawn = model.draw(np.random.default_rng(seed), 2 * (pairs + limits.warm_up)).tolist()
    times: Iterator[float] = iter(drawn)

    def baseline() -> Spent:
        seconds = ratio * next(times)
        return Spent(seconds, seconds)

    def candidate() -> Spent:
        seconds = next(times)
        return Spent(seconds, seconds)

    settings = Settings(sequential=sequential)
    rng = random.Random(seed)
    return compare(baseline, candidate, rng=rng, limits=limits, settings=settings)


def row(name: str, models: list[NoiseModel], repeats: int, seed: int) -> tuple[str, ...]:
    """Coverage and false verdicts of one kind of noise."""
    seeds = [seed * 1_000_000 + i for i in range(repeats)]
    drawn = [(models[i % len(models)], s) for i, s in enumerate(seeds)]

    def holding(pairs: int, *, sequential: bool) -> str:
        results = (simulated(m, RATIO, pairs, s, sequential=sequential) for m, s in drawn)
        return share(sum(r.low <= RATIO <= r.high for r in results), repeats)

    def wrong(pairs: int, *, sequential: bool) -> str:
        fresh = ((m, s + repeats) for m, s in drawn)  # not the noise that coverage was judged on
        results = (simulated(m, 1.0, pairs, s, sequential=sequential) for m, s in fresh)
        return share(sum(r.verdict in WRONG for r in results), repeats)

    return (
        name,
        holding(40, sequential=False),
        holding(200, sequential=False),
        holding(SEQUENTIAL_PAIRS, sequential=True),
        wrong(200, sequential=False),
        wrong(SEQUENTIAL_PAIRS, sequential=True),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, begin = random.Random(options.seed), time.process_time()
    models = [fitted(kind, options.pairs, rng) for kind in KINDS]
    print(header(f"Coverage of the 95 % intervals, {options.repeats} comparisons a figure"))
    for kind, model in zip(KINDS, models, strict=True):
        print(
            f"{kind}: {model.scale * 1e3:.2f} ms, core {model.sigma * np.exp(model.location):.1%},"
            f" remembered {model.remembered:.0%}, drift {model.drift:.2%} a sample,"
            f" in bursts {model.burst_share:.1%} (x{np.exp(model.burst_level):.2f}),"
            f" outliers {model.outliers:.1%}"
        )
    print(f"\n{table(COLUMNS, ())}", flush=True)
    for number, (name, vary) in enumerate(VARIANTS.items()):
        varied = [vary(model) for model in models]
        cells = row(name, varied, options.repeats, options.seed * 100 + number)
        print("| " + " | ".join(cells) + " |", flush=True)
    print("\nbars: fixed 93 to 97 %; sequential at least 95 %; false verdicts at most 5 %")
    print(f"CPU time {time.process_time() - begin:.0f} s")


if __name__ == "__main__":
    main()
