"""What every benchmark prints around its table: machine, date, intervals."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import fmean, median

from breeder import __version__, machine


def header(title: str) -> str:
    """Title, machine, date and version, as the first lines of a benchmark's output."""
    facts = machine.describe()
    return (
        f"## {title}\n\n{datetime.now(UTC):%Y-%m-%d}, "
        f"{facts['processor']}, {facts['cores']} cores, {facts['system']}, "
        f"Python {facts['python']}, breeder {__version__}\n"
    )


def bootstrap(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = fmean,
    *,
    seed: int = 1,
    rounds: int = 2000,
) -> tuple[float, float, float]:
    """Statistic with its 95 % percentile bootstrap interval (Efron 1979): value, low, high."""
    rng = random.Random(seed)
    draws = sorted(
        statistic([values[rng.randrange(len(values))] for _ in values]) for _ in range(rounds)
    )
    return statistic(values), draws[int(0.025 * rounds)], draws[int(0.975 * rounds) - 1]


def interval(values: Sequence[float], form: str = ".2f", *, middle: bool = False) -> str:
    """`value [low, high]` of the mean, or of the median."""
    value, low, high = bootstrap(values, median if middle else fmean)
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a probability after so many hits (Wilson 1927)."""
    if not trials:
        return 0.0, 1.0
    z = 1.959964
    share, unit = hits / trials, z * z / trials
    middle = (share + unit / 2) / (1 + unit)
    half = z / (1 + unit) * (share * (1 - share) / trials + unit / (4 * trials)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def share(hits: int, trials: int) -> str:
    """`hits / trials: percentage [low, high]` with the interval of `wilson`."""
    low, high = wilson(hits, trials)
    percentage = f"{hits / trials:.1%}" if trials else "-"
    return f"{hits} / {trials}: {percentage} [{low:.1%}, {high:.1%}]"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)
