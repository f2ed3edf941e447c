"""The cheat suite: what became of every cheat and of every honest variant."""

from __future__ import annotations

import sys
import time

from breeder.verification.cheats import CheatOutcome, CheatReport, HonestOutcome, run_all
from record import header, table


def rows(report: CheatReport) -> list[tuple[str, str, str]]:
    """One row per task: cheats caught, honest variants refused."""
    tasks = dict.fromkeys(one.task for one in report.cheats)
    found = []
    for task in tasks:
        cheats = [one for one in report.cheats if one.task == task]
        honest = [one for one in report.honest if one.task == task]
        caught, refused = sum(c.caught for c in cheats), sum(h.refused for h in honest)
        found.append((task, f"{caught} of {len(cheats)}", f"{refused} of {len(honest)}"))
    return found


def tell(outcome: CheatOutcome | HonestOutcome) -> None:
    """Print what became of one program while the others run."""
    if isinstance(outcome, CheatOutcome):
        said = f"{'caught' if outcome.caught else 'NOT CAUGHT'}: {outcome.cheat}"
    else:
        said = f"{'REFUSED' if outcome.refused else 'passed'}: {outcome.variant}"
    print(f"{outcome.seconds:6.1f} s  {outcome.task}: {said}", file=sys.stderr)


def main() -> None:
    """Print the table; exit status 1 when the suite did not pass."""
    begin = time.monotonic()
    report = run_all(tell, on_honest=tell)
    wall = time.monotonic() - begin
    print(header("Cheats and honest variants, two at once in the sandbox"))
    print(table(("task", "cheats caught", "honest variants refused"), rows(report)))
    print(f"\n{report.cpu_seconds:.0f} s of CPU time, {wall:.0f} s elapsed")
    print(f"\n{report.render()}")
    sys.exit(not report.passed)


if __name__ == "__main__":
    main()
