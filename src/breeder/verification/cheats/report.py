"""What came out of the catalogue, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

_WIDTH = 110


@dataclass(frozen=True, slots=True)
class CheatOutcome:
    """What became of a cheat.

    Attributes:
        cheat: its name.
        task: the task's folder below the suites.
        tries: what it tries.
        caught: whether it failed for the reason stated, or gained nothing.
        by: the failure's kind and text, or the two scores that were compared.
        seconds: wall time of its evaluation.
    """

    cheat: str
    task: str
    tries: str
    caught: bool
    by: str
    seconds: float


@dataclass(frozen=True, slots=True)
class HonestOutcome:
    """What became of an honest variant: whether it was refused, by what, or its fitness."""

    variant: str
    task: str
    what: str
    refused: bool
    by: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CheatReport:
    """All outcomes, in the order of the catalogue.

    Attributes:
        cheats, honest: what became of each.
        cpu_seconds: CPU time of all evaluations, candidates and evaluators together.
    """

    cheats: tuple[CheatOutcome, ...]
    honest: tuple[HonestOutcome, ...]
    cpu_seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether something was run, every cheat was caught and no honest variant refused."""
        caught = all(one.caught for one in self.cheats)
        return bool(self.cheats) and caught and not any(one.refused for one in self.honest)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "passed": self.passed,
            "cpu_seconds": self.cpu_seconds,
            "cheats": [asdict(one) for one in self.cheats],
            "honest": [asdict(one) for one in self.honest],
        }

    def render(self) -> str:
        """Counts, one line for each program, what went wrong first."""
        caught = sum(one.caught for one in self.cheats)
        refused = sum(one.refused for one in self.honest)
        head = [
            f"cheats caught: {caught} of {len(self.cheats)}; "
            f"honest variants refused: {refused} of {len(self.honest)}"
        ]
        wrong = [_line("NOT CAUGHT", c.task, c.cheat, c.by) for c in self.cheats if not c.caught]
        wrong += [_line("REFUSED", h.task, h.variant, h.by) for h in self.honest if h.refused]
        right = [_line("caught", c.task, c.cheat, c.by) for c in self.cheats if c.caught]
        right += [_line("passed", h.task, h.variant, h.by) for h in self.honest if not h.refused]
        return "\n".join([*head, *wrong, *right])


def _line(verdict: str, task: str, name: str, by: str) -> str:
    first = next(iter(by.splitlines()), "")
    shown = first if len(first) <= _WIDTH else first[: _WIDTH - 3] + "..."
    return f"{verdict:<10}  {task}: {name}: {shown}"
