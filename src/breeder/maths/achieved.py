"""What breeder's own runs reached: constructions that ship, and are verified anew when asked about.

One folder per problem, `achieved/NAME`, with `ours.json` or `baseline.json` (canonical bytes of a
construction) and `about.toml`, which has a table of the same name for each: `by` and `cpu_seconds`.
No value is stored anywhere, so none can be printed that the verifier did not compute.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from breeder.maths.problem import Problem, Verified

FOLDER = Path(__file__).parent / "achieved"


class Achievement(NamedTuple):
    """A construction that was reached here.

    Attributes:
        verified: what its verification found, just now.
        by: the program or the method.
        cpu_seconds: what the search used in all.
    """

    verified: Verified
    by: str
    cpu_seconds: float


def achievement(
    problem: Problem[Any], kind: str = "ours", folder: Path = FOLDER
) -> Achievement | None:
    """Return the best that was reached here, or None.

    Args:
        problem: which.
        kind: `ours`, or `baseline` for the plain method at equal CPU time.
        folder: where the achievements are.

    Raises:
        RefusedError: the construction that ships does not verify.
    """
    path = folder / problem.name / f"{kind}.json"
    if not path.exists():
        return None
    construction = problem.decode(path.read_bytes())
    about = tomllib.loads((path.parent / "about.toml").read_text("utf-8"))[kind]
    verified = problem.verify(problem.write(construction))
    return Achievement(verified, about["by"], float(about["cpu_seconds"]))
