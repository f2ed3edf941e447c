"""RunResult: what a run came to, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from breeder.archive.store import Store
from breeder.errors import RunError, UserError
from breeder.report.records import RunSummary


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to, read from its store.

    Attributes:
        path: the run's directory.
        status: `finished`, or as the store says for a run that is not.
        reason: why it ended.
        improved: whether there is a champion other than the start (a confirmed one, where the
            objective is measured).
        files: path -> text of the champion; of the start without an improvement.
        metrics: of these files on the data that selection saw; flattering, being the best of many.
        start_metrics: of the start, on the same data.
        held_out: metrics of these files on held-out data; None where the task has none.
        start_held_out: of the start, likewise.
        evaluations: of the search.
        cpu_seconds: CPU time of the whole run.
    """

    path: Path
    status: str
    reason: str
    improved: bool
    files: Mapping[str, str]
    metrics: Mapping[str, float]
    start_metrics: Mapping[str, float]
    held_out: Mapping[str, float] | None
    start_held_out: Mapping[str, float] | None
    evaluations: int
    cpu_seconds: float

    @classmethod
    def of(cls, path: str | Path) -> RunResult:
        """Read a run, whoever made it.

        Raises:
            RunError: there is none, or not even its start was evaluated.
        """
        summary = _summary(Path(path))
        start = summary.start
        if start is None or start.failure:
            raise RunError(f"{path}: its start has not been evaluated, so there is no result")
        best = summary.champion or start
        return cls(
            path=Path(path),
            status=summary.status,
            reason=summary.detail,
            improved=best.id != start.id,
            files=best.files,
            metrics=best.metrics,
            start_metrics=start.metrics,
            held_out=best.held_out,
            start_held_out=start.held_out,
            evaluations=summary.evaluations,
            cpu_seconds=sum(cost.cpu_seconds for cost in summary.cost.values()),
        )

    @property
    def text(self) -> str:
        """The champion's text, where it is a single file.

        Raises:
            UserError: it has several files; see `files`.
        """
        if len(self.files) != 1:
            raise UserError(f"{self.path}: the program has {len(self.files)} files; use .files")
        return next(iter(self.files.values()))

    def summary(self) -> RunSummary:
        """Everything that `breeder show RUN --json` tells, as values."""
        return _summary(self.path)

    def report(self, to: str | Path | None = None) -> Path:
        """Write the HTML page and its charts; return the page's path. `RUN/report` by default."""
        from breeder.report.page import write_report

        return write_report(self.path, None if to is None else Path(to))

    def export(self, to: str | Path) -> Path:
        """Write the champion as a folder that stands alone, and return it.

        Raises:
            UserError: there is something at `to` already.
        """
        from breeder.report.export import export

        with closing(Store.open(self.path, readonly=True)) as store:
            export(store, Path(to))
        return Path(to)


def _summary(path: Path) -> RunSummary:
    from breeder.report.summary import summarise

    with closing(Store.open(path, readonly=True)) as store:
        return summarise(store)
