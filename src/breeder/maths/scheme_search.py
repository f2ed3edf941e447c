"""Search programs in C for bilinear algorithms, called as those in Python are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from breeder.evaluation.candidate import InvalidAnswerError
from breeder.maths.search_task import Caller


@dataclass(frozen=True, slots=True)
class SchemeSearch:
    """A candidate in C whose `search` takes and fills flat arrays of integer factors.

    The `caller` of a `SearchTask`. The program's function is `search(n, m, p, best, count,
    best_scale, seed, cpu_seconds, found, scale)` with `count` known products in `best`, each the
    entries of its three factors (n m, m p, p n), to be divided by `best_scale`; room for `most`
    products in `found` and one number in `scale`; it returns how many it wrote. An algorithm that
    is not real is not shown: the program is called as if none were known.

    Attributes:
        candidate: the program.
        most: products for which there is room.
    """

    candidate: Caller
    most: int = 256

    def call(
        self, function: str, *arguments: Any, cpu_seconds: float | None = None
    ) -> dict[str, Any]:
        """Return the algorithm that the program answers.

        Raises:
            InvalidAnswerError: it says that it wrote no product, or more than there is room for.
            CandidateFailedError: whatever else it did wrong.
        """
        n, m, p, best, seed, seconds = arguments
        sizes = np.array([n * m, m * p, p * n])
        known = _real(best, int(sizes.sum()))
        count, found, scale = self.candidate.call(
            function,
            *(n, m, p),
            known.ravel(),
            len(known),
            best["scale"] if len(known) else 1,
            seed,
            seconds,
            self.most * int(sizes.sum()),
            1,
            cpu_seconds=cpu_seconds,
        )
        if not 1 <= count <= self.most:
            raise InvalidAnswerError(f"{count} products; 1 to {self.most} can be answered")
        products = np.asarray(found).reshape(self.most, -1)[:count]
        parts = np.split(products, sizes.cumsum()[:-1], axis=1)
        factors = {name: part.T.tolist() for name, part in zip("uvw", parts, strict=True)}
        return {"scale": int(scale[0]), **factors}


def _real(best: Any, size: int) -> Any:
    """The entries of a known algorithm that is real, (products, entries), or none."""
    if best is not None:
        pairs = np.concatenate([np.array(best[name]) for name in "uvw"])
        if not pairs[..., 1].any():
            return np.ascontiguousarray(pairs[..., 0].T, dtype=np.int64)
    return np.zeros((0, size), dtype=np.int64)
