"""Search programs in C for sets of grid points, called as those in Python are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from breeder.evaluation.candidate import InvalidAnswerError
from breeder.maths.search_task import Caller


@dataclass(frozen=True, slots=True)
class GridSearch:
    """A candidate in C whose `search` takes and fills flat arrays of coordinates.

    The `caller` of a `SearchTask`. The program's function is `search(side, best,
    count, seed, cpu_seconds, found)` with `count` known points in `best`, x, y by turns, room for
    `most` points in `found`; it returns how many it wrote.

    Attributes:
        candidate: the program.
        most: points for which there is room.
    """

    candidate: Caller
    most: int = 4096

    def call(
        self,
        function: str,
        *arguments: Any,
        cpu_seconds: float | None = None,
    ) -> list[list[int]]:
        """Return the points that the program answers, as rows of x, y.

        Raises:
            InvalidAnswerError: it says that it wrote more points than there is room for.
            CandidateFailedError: whatever else it did wrong.
        """
        side, best, seed, seconds = arguments
        known = np.array([] if best is None else best, dtype=np.int64).ravel()
        count, found = self.candidate.call(
            function,
            side,
            known,
            len(known) // 2,
            seed,
            seconds,
            2 * self.most,
            cpu_seconds=cpu_seconds,
        )
        if not 0 <= count <= self.most:
            raise InvalidAnswerError(f"{count} points; there is room for {self.most}")
        rows: list[list[int]] = np.asarray(found)[: 2 * count].reshape(-1, 2).tolist()
        return rows
