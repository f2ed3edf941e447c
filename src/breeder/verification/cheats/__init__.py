"""The cheat suite: programs that want a score they do not earn, each of which must be caught."""

from breeder.verification.cheats.catalogue import Chapter, Cheat, Honest, chapters
from breeder.verification.cheats.report import CheatOutcome, CheatReport, HonestOutcome
from breeder.verification.cheats.runner import run_all

__all__ = [
    "Chapter",
    "Cheat",
    "CheatOutcome",
    "CheatReport",
    "Honest",
    "HonestOutcome",
    "chapters",
    "run_all",
]
