"""The catalogue: every cheat and every honest variant, each a program for a task that ships.

The programs stand in `programs/TASK/*.toml` as the text of a task's evolvable region (a task has
one of them here), which is put into its own start. They are data: nothing of them is imported.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from pathlib import Path

import msgspec

from breeder.errors import TaskError
from breeder.executors.executor import Split
from breeder.regions import splice
from breeder.task import Task, load_native

START = "start"
"""What `Cheat.like` says for the task's start."""

SUITES = Path(__file__).parents[2] / "suites"
PROGRAMS = Path(__file__).parent / "programs"


class Cheat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A program that wants a score which it does not earn.

    Attributes:
        name: unique within the catalogue.
        tries: what it does, in one sentence.
        why: what stops it, in one sentence.
        code: the evolvable region, after the shared pieces that `uses` names.
        kinds: the failure kinds that name what it does. It must fail in one of these ways, unless
            `like` says otherwise.
        words: part of the failure's text, so that it is caught for the reason stated.
        like: where coming to nothing is the criterion: the honest variant, or `start`, that does
            the same real work, and above which the cheat must not score (a score too low for a
            stage's threshold is such a one). Empty: it must fail.
        margin: by how much its score may exceed that variant's, for rounding (absolute).
        metrics: what is compared in place of the fitness; more is better, all are added up.
        split: which of the task's evaluations decides.
        slow: left out of the quick part of the suite.
    """

    name: str
    tries: str
    why: str
    code: str
    uses: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    words: str = ""
    like: str = ""
    margin: float = 0.0
    metrics: tuple[str, ...] = ()
    split: Split = "search"
    slow: bool = False


class Honest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An unusual but legal program, which must not be refused.

    Attributes:
        name: unique within the catalogue.
        what: what is unusual about it, in one sentence.
        code: the evolvable region.
        split: which of the task's evaluations decides.
        slow: left out of the quick part of the suite.
    """

    name: str
    what: str
    code: str
    split: Split = "search"
    slow: bool = False


class Chapter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The programs for one task.

    Attributes:
        task: its folder below the suites.
        shared: pieces of code that several cheats use, by name.
        cheat: the cheats.
        honest: the honest variants.
        start_score: what the task's start scores by definition, where scores are ratios to it; else
            it is evaluated when something is compared with it.
    """

    task: str
    shared: dict[str, str] = {}
    cheat: tuple[Cheat, ...] = ()
    honest: tuple[Honest, ...] = ()
    start_score: float | None = None

    def region_of(self, cheat: Cheat) -> str:
        """The cheat's evolvable region with the shared pieces in front."""
        return "".join([*(self.shared[name] for name in cheat.uses), cheat.code])

    def load_task(self) -> Task:
        """Read the task."""
        return load_native(SUITES / self.task)


def chapters() -> tuple[Chapter, ...]:
    """Read the whole catalogue, one chapter for each task.

    Raises:
        TaskError: a file of the catalogue is damaged.
    """
    found: dict[str, Chapter] = {}
    for path in sorted(PROGRAMS.glob("*/*.toml")):
        part = _read(path)
        before = found.get(part.task, Chapter(part.task))
        found[part.task] = Chapter(
            part.task,
            {**before.shared, **part.shared},
            before.cheat + part.cheat,
            before.honest + part.honest,
            before.start_score if part.start_score is None else part.start_score,
        )
    return tuple(found[task] for task in sorted(found))


def _read(path: Path) -> Chapter:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Chapter)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise TaskError(path.name, "", f"is damaged: {error}", "install breeder again") from None


def source_files(task: Task, code: str) -> dict[str, str]:
    """The task's evolved files with `code` as the region of the first; an empty one is the start.

    The code is indented as far as the region is.
    """
    files = dict(task.files)
    if code:
        name = next(iter(files))
        region = task.regions(name)[0]
        margin = re.match(r"[ \t]*", files[name][region.begin :])
        block = textwrap.indent(code.strip("\n") + "\n", margin[0] if margin else "")
        files[name] = splice(files[name], (region,), (block,))
    return files
