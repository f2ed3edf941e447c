"""Hostile candidates, each proposed in a real run between honest ones: what became of each."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from record import header, table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.hostile.campaign import play
from tests.hostile.programs import HONEST_SCORE, PROGRAMS


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as temporary:
        campaign = play(Path(temporary))
    print(header(f"{len(PROGRAMS)} hostile candidates in one run"))
    rows = []
    for name, verdict in campaign.verdicts.items():
        accepted = "-" if verdict.score is None else f"its honest score, {verdict.score:g}"
        rows.append((name, verdict.kind or "finished", accepted))
    print(table(("candidate", "came out as", "accepted"), rows))
    honest = sum(score == HONEST_SCORE for score in campaign.honest)
    print(f"\nrun ended: {campaign.reason}")
    print(f"honest candidates between them unharmed: {honest} of {len(campaign.honest)}")
    print(f"task folder untouched: {campaign.untouched}; files with the key: {campaign.leaks}")


if __name__ == "__main__":
    main()
