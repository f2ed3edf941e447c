"""Writes docs/cheats.md from the catalogue. `python -m breeder.verification.cheats.document`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from breeder.verification.cheats.catalogue import START, Chapter, Cheat, chapters

_HEAD = """\
# The cheat suite

Programs that want a score which they do not earn, and programs that look odd but are honest. Each
is a real candidate for a task that ships and runs through the real executor and sandbox. A cheat
is *caught* when its evaluation fails for the reason stated. Where a program breaks no rule but
wants more than its work is worth, coming to nothing is the criterion: its score must not be above
what an honest program with the same real work gets in the same evaluation. Exact scores are
compared exactly. Of a measured score the upper end of its 95 % interval must lie less than a fifth
above the honest one; a measurement too wide to tell is repeated, twice at most, and excuses
nothing. An honest variant must not be refused.

    breeder doctor --cheats

This page is written from the catalogue (`src/breeder/verification/cheats/programs/`); a test
keeps it so.
"""

_OUT_OF_SCOPE = """\
## Out of scope, and why

* **Breaking out of the sandbox.** What a program can reach is the sandbox's business and has a
  suite of its own (`tests/conformance/sandbox_isolation.py`, `tests/hostile/`). See
  [sandbox.md](sandbox.md).
* **Peeking rarely.** That decisions do not depend on the future is checked on instances and at
  places drawn at random. A program that peeks in a few decisions of a few instances is caught
  with some probability in each evaluation only; more instances are checked where champions are
  held out and verified, and it gains as little as it peeks.
* **Skipping rarely.** Outputs of timed calls are checked by sample. A kernel that skips one call in
  a thousand at random is caught in a part of the verifications only; but it also gains a thousandth
  only, which is below what the timing resolves.
* **Threads.** A measured program may start threads and must wait for them: the CPU time of all of
  them counts, so that they gain nothing where the CPU clock decides. Threads that go on after the
  call are caught. Other processes are refused while it is measured.
* **Modes of the processor.** A program may leave rounding or denormal modes set in its own process;
  baseline, reference and evaluator live in others. Results must be within the tolerance either way.
* **Knowing public data by heart.** Published instances and the held-out draws of a task that
  ships can be known to whoever, or whatever model, writes the program. Verification draws fresh
  ones from a seed that did not exist before; a trace that is fixed data has fresh orders only.
* **Exploiting what the task means.** A score can be earned by the rules and still not be what the
  author wanted. No suite can know; look at champions before you use them.
* **Bounds that hold in the large only.** A search may overrun its budget of CPU time by the
  margin that its task states before it is ended. Everybody may.
* **Side channels.** Programs share caches and memory bandwidth with the rest of the machine.
  Baseline and candidate are measured interleaved, so what slows one slows the other.
* **Self-reported scores.** Evaluators of other tools' task folders run in the candidate's
  process. Their scores can be forged, are labelled self-reported, and are never adopted.
* **Compilers and libraries.** A program that exploits a fault of the compiler, or of numpy, gets
  what the fault gives it, if its answers pass.
"""


def document(catalogue: Sequence[Chapter]) -> str:
    """The page as Markdown."""
    cheats = sum(len(chapter.cheat) for chapter in catalogue)
    honest = sum(len(chapter.honest) for chapter in catalogue)
    parts = [_HEAD, f"{cheats} cheats and {honest} honest variants.\n"]
    for chapter in catalogue:
        parts.append(f"## {chapter.task}\n")
        if chapter.cheat:
            parts.append(_table(("cheat", "tries", "why it comes to nothing", "fails as"), [
                (one.name, one.tries, one.why, _outcome(one)) for one in chapter.cheat
            ]))  # fmt: skip
        if chapter.honest:
            rows = [(one.name, one.what) for one in chapter.honest]
            parts.append(_table(("honest variant", "what is unusual"), rows))
    return "\n".join([*parts, _OUT_OF_SCOPE])


def _outcome(cheat: Cheat) -> str:
    where = "" if cheat.split == "search" else f" ({cheat.split.replace('_', '-')})"
    ways = [", ".join(cheat.kinds)] if cheat.kinds else []
    if cheat.like:
        what = " + ".join(f"`{name}`" for name in cheat.metrics) or "score"
        ways.append(f"{what} not above: {'the start' if cheat.like == START else cheat.like}")
    return "; or ".join(ways) + where


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document(chapters()))
