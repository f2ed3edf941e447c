"""`breeder doctor`: what this machine offers, how finely it measures, and what to do about it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from breeder import __version__, capabilities, machine
from breeder.capabilities import Capabilities
from breeder.errors import SandboxUnavailableError
from breeder.evaluation import sandboxes
from breeder.measurement.noise_floor import NoiseFloor, measure
from breeder.measurement.workloads import Kind

BUDGETS = (3, 15, 60)  # seconds of measuring that differences are quoted for
BUSY = 0.85  # share of a core below which other work is said to be in the way
COARSE = 5e-6  # seconds: a clock step that is half a per cent of a millisecond
NOISY = 0.02  # a difference above this in the longest budget is said to be large

Echo = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything found out about a machine.

    Attributes:
        facts: processor, cores, memory, system, Python, as a run's record has them.
        capabilities: what it offers.
        sandbox: what the sandbox gives, or "" when there is none.
        problem: why there is none, and what to install or allow.
        floors: the noise floor of every kind of work that could be measured.
        failed: what could not be measured, one line each.
    """

    facts: dict[str, str | int]
    capabilities: Capabilities
    sandbox: str
    problem: str
    floors: tuple[NoiseFloor, ...]
    failed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The same as plain data; None where something is unknown or cannot be resolved."""
        return {
            "machine": self.facts,
            "breeder": __version__,
            **asdict(self.capabilities),
            "sandbox": self.sandbox or None,
            "sandbox_problem": self.problem or None,
            "noise_floor": [_floor_json(floor) for floor in self.floors],
            "advice": advice(self),
        }


def consult(seconds: float, echo: Echo, *, as_json: bool = False) -> int:
    """Examine this machine and print what was found while it is found.

    Args:
        seconds: of measuring in all; 0 measures nothing.
        echo: prints a line.
        as_json: print the findings as JSON instead, at the end.

    Returns:
        The exit code: 2 when candidates cannot be isolated here, else 0.
    """
    diagnosis = _examine(seconds, _silent if as_json else echo)
    if as_json:
        echo(json.dumps(diagnosis.to_json(), indent=2, allow_nan=False))
    else:
        for line in _counsel(advice(diagnosis)):
            echo(line)
    return 2 if diagnosis.problem else 0


def cheat(echo: Echo, *, as_json: bool = False) -> int:
    """Try every cheat of the suite, and print what caught it.

    Returns:
        The exit code: 1 when a cheat got away or an honest program was refused, else 0.
    """
    from breeder.verification.cheats import CheatOutcome, HonestOutcome, run_all

    def tell(outcome: CheatOutcome | HonestOutcome) -> None:
        name = outcome.cheat if isinstance(outcome, CheatOutcome) else outcome.variant
        if not as_json:
            echo(f"tried {outcome.task}: {name}, {outcome.seconds:.1f} s")

    report = run_all(tell)
    echo(json.dumps(report.to_json(), indent=2, allow_nan=False) if as_json else report.render())
    return 0 if report.passed else 1


def advice(diagnosis: Diagnosis) -> list[str]:
    """What to do about each shortcoming, one line each; empty when there is none."""
    return [
        *_software(diagnosis),
        *_crowding(diagnosis),
        *_clocks(diagnosis.capabilities),
        *(f"{line}: that kind of work has no noise floor here" for line in diagnosis.failed),
    ]


def _software(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.problem:
        yield f"no sandbox: {diagnosis.problem}"
    found = diagnosis.capabilities
    if not found.compilers:
        yield "no compiler: install gcc (package build-essential or gcc-c++) for tasks in C and C++"
    elif not {"g++", "clang"} & set(found.compilers):
        yield "no C++ compiler: install g++ for tasks in C++"
    if not found.simd:
        yield "no SIMD extension is listed: quote speed-ups of vector code from another machine"


def _crowding(diagnosis: Diagnosis) -> Iterator[str]:
    found, floors = diagnosis.capabilities, diagnosis.floors
    if found.cores == 1:
        yield "one core only: threads cannot be timed; allow this process more cores (taskset)"
    if found.quota is not None and found.quota < found.cores:
        yield (
            f"a control group allows {found.quota:g} of {found.cores} cores: "
            "long measuring is throttled; raise its cpu.max"
        )
    busy = [floor for floor in floors if floor.processor_share < BUSY]
    if busy:
        worst = min(busy, key=lambda floor: floor.processor_share)
        yield (
            f"crowded: {worst.kind} work got {worst.processor_share:.0%} of its cores; CPU time "
            "decides here; stop other programs before trusting wall times or timing threads"
        )
    elif found.load is not None and found.load > found.cores:
        yield f"load {found.load:.1f} on {found.cores} cores: stop other programs and look again"
    for floor in floors:
        least = floor.resolvable(BUDGETS[-1])
        if least > NOISY:
            yield (
                f"{floor.kind} work is noisy: {BUDGETS[-1]} s resolve {_percent(least)}; measure "
                "longer, or claim no smaller difference from this machine"
            )


def _clocks(found: Capabilities) -> Iterator[str]:
    if found.governor not in (None, "performance"):
        yield f"governor {found.governor}: set it to performance (cpupower frequency-set)"
    if found.turbo:
        yield (
            "turbo is on: the frequency follows the temperature; interleaved pairs cancel most of "
            "it, turning it off cancels the rest"
        )
    if found.virtual:
        yield (
            "virtual machine: neighbours are invisible and counters usually absent; believe "
            "intervals of interleaved pairs only"
        )
    if found.cpu_clock_seconds > COARSE:
        yield (
            f"the CPU clock steps by {found.cpu_clock_seconds * 1e6:.0f} µs: batches must last "
            f"{found.cpu_clock_seconds * 1e3:.0f} ms or more to resolve 0.1 %"
        )


def _examine(seconds: float, say: Echo) -> Diagnosis:
    facts, found = machine.describe(), capabilities.find()
    say(f"machine    {facts['processor']}, {facts['cores']} cores, {facts['system']}")
    say(f"breeder    {__version__}, Python {facts['python']}")
    named = ", ".join(f"{name} {version}" for name, version in found.compilers.items())
    say(f"compilers  {named or 'none: install gcc for tasks in C and C++'}")
    sandbox, problem = _sandbox()
    say(f"sandbox    {sandbox or 'none, see below'}")
    load = "unknown" if found.load is None else f"{found.load:.1f}"
    quota = "" if found.quota is None else f", control group allows {found.quota:g}"
    say(f"cores      {found.cores} usable{quota}, load {load}")
    turbo = "unreadable" if found.turbo is None else ("on" if found.turbo else "off")
    say(f"frequency  governor {found.governor or 'unreadable'}, turbo {turbo}")
    say(f"simd       {', '.join(found.simd) or 'none listed'}")
    cpu, wall = found.cpu_clock_seconds, found.wall_clock_seconds
    say(f"clocks     smallest step: CPU time {cpu * 1e9:.0f} ns, wall time {wall * 1e9:.0f} ns")
    floors, failed = _floors(seconds, say) if seconds > 0 else ((), ())
    return Diagnosis(facts, found, sandbox, problem, floors, failed)


def _sandbox() -> tuple[str, str]:
    """What the sandbox gives, and why there is none; one of the two is empty."""
    try:
        return sandboxes.require("bubblewrap"), ""
    except SandboxUnavailableError as error:
        return "", str(error)


def _floors(seconds: float, say: Echo) -> tuple[tuple[NoiseFloor, ...], tuple[str, ...]]:
    each = seconds / len(Kind)
    say(f"\nnoise floor: the same code against itself, {each:.2g} s for each kind of work")
    columns = ("work", "batch", "spread", "lag 1", "CPU/wall", "clock")
    budgets = "".join(f"{f'in {budget} s':>9}" for budget in BUDGETS)
    say("{:<15}{:>9}{:>8}{:>8}{:>10}{:>7}".format(*columns) + budgets)
    floors, failed = [], []
    for kind in Kind:
        try:
            floor = measure(kind, each, random.Random(0))
        except (MemoryError, OSError, RuntimeError) as error:  # no memory, no threads
            reason = str(error) or type(error).__name__
            failed.append(f"{kind}: {reason}")
            say(f"{kind:<15} cannot be measured: {reason}")
            continue
        floors.append(floor)
        say(_row(floor))
    say("in N s: smallest difference that is detected 4 times in 5 by N seconds of measuring")
    return tuple(floors), tuple(failed)


def _row(floor: NoiseFloor) -> str:
    resolved = "".join(f"{_percent(floor.resolvable(budget)):>9}" for budget in BUDGETS)
    return (
        f"{floor.kind:<15}{floor.batch_seconds * 1e3:>6.2f} ms{_percent(floor.spread):>8}"
        f"{floor.autocorrelation:>8.2f}{floor.processor_share:>10.0%}{floor.clock:>7}{resolved}"
    )


def _counsel(lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        yield "\nnothing to mend"
        return
    yield "\nwhat to do"
    yield from (f"- {line}" for line in lines)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if isfinite(share) else "-"


def _floor_json(floor: NoiseFloor) -> dict[str, Any]:
    limits = {budget: floor.resolvable(budget) for budget in BUDGETS}
    return {
        "kind": floor.kind,
        "clock": floor.clock,
        "pairs": len(floor.log_ratios),
        "batch_seconds": floor.batch_seconds,
        "pair_seconds": floor.pair_seconds,
        "spread": floor.spread,
        "autocorrelation": floor.autocorrelation,
        "processor_share": floor.processor_share,
        "resolvable": {str(s): least if isfinite(least) else None for s, least in limits.items()},
    }


def _silent(_: str) -> None:
    """Print nothing: JSON comes at the end."""
