"""The cheat suite: what became of every cheat and of every honest variant."""

from __future__ import annotations

import sys

from breeder.verification.cheats import CheatReport, run_all
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


def main() -> None:
    """Print the table; exit status 1 when the suite did not pass."""
    report = run_all(lambda one: print(f"{one.task}: {one.cheat}", file=sys.stderr))
    print(header("Cheats and honest variants, one by one in the sandbox"))
    print(table(("task", "cheats caught", "honest variants refused"), rows(report)))
    print(f"\n{report.render()}")
    sys.exit(not report.passed)


if __name__ == "__main__":
    main()
