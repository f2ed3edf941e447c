"""Token ids of a text, split into what is learnt and what is held out, and windows over them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from breeder.errors import RunError, UserError
from breeder.models import Tokenizer
from breeder.models.pytorch import torch

_HELD_OUT = 0.05
_SMALL = 1 << 16


class Corpus(NamedTuple):
    """Token ids, (token,), uint16 or uint32: to learn from, and to test with."""

    train: Any
    held_out: Any

    def digest(self) -> str:
        """A hash of every token."""
        hasher = hashlib.sha256()
        for part in self:
            hasher.update(np.ascontiguousarray(part).tobytes())
        return hasher.hexdigest()

    def save(self, folder: Path) -> None:
        """Write both parts into a folder."""
        for name, part in self._asdict().items():
            np.save(folder / f"{name}.npy", part, allow_pickle=False)

    @classmethod
    def open(cls, folder: Path) -> Corpus:
        """Map the parts that `save` wrote.

        Raises:
            RunError: they are missing or damaged.
        """
        parts = []
        for name in cls._fields:
            path = folder / f"{name}.npy"
            try:
                parts.append(np.load(path, mmap_mode="r", allow_pickle=False))
            except (OSError, ValueError) as error:
                raise RunError(f"{path}: is missing or damaged: {error}") from None
        return cls(*parts)


def tokenised(
    texts: Sequence[str], tokenizer: Tokenizer, told: Callable[[int, int], None]
) -> Corpus:
    """Turn texts into token ids; whole texts are held out, or the tail of a single one.

    Args:
        texts: in random order.
        tokenizer: its end separates texts.
        told: is called with texts done and texts in all.
    """
    kind = np.uint16 if tokenizer.vocabulary <= _SMALL else np.uint32
    end = [] if tokenizer.end is None else [tokenizer.end]
    parts = []
    for number, text in enumerate(texts):
        parts.append(np.array([*tokenizer.encode(text), *end], dtype=kind))
        told(number + 1, len(texts))
    if len(parts) == 1:
        cut = round(len(parts[0]) * (1 - _HELD_OUT))
        return Corpus(parts[0][:cut], parts[0][cut:])
    wanted = _HELD_OUT * sum(map(len, parts))
    count, size = 0, 0
    while count < len(parts) - 1 and size < wanted:
        count += 1
        size += len(parts[-count])
    return Corpus(np.concatenate(parts[:-count]), np.concatenate(parts[-count:]))


class Windows:
    """Sequences of equal length, in an order that follows from seed and position alone.

    Each epoch takes every sequence once.

    Args:
        tokens: ids, (token,).
        length: of a sequence.
        seed: of the order; None keeps the text's own.
        name: of the text, for messages.

    Raises:
        UserError: there are too few tokens for one sequence.
    """

    def __init__(self, tokens: Any, length: int, seed: int | None, name: str) -> None:
        self.count = (len(tokens) - 1) // length
        if self.count < 1:
            raise UserError(
                f"the {name} text has {len(tokens)} tokens, a sequence takes {length + 1}; "
                "give more text, or a smaller --length"
            )
        self._tokens, self._length, self._seed = tokens, length, seed
        self._order: tuple[int, Any] = (-1, None)

    def batch(self, position: int, size: int) -> tuple[Any, Any]:
        """Inputs and targets, int64 (sequence, token), of sequences `position` and those after."""
        rows = np.stack([self._window(one) for one in range(position, position + size)])
        both = torch.from_numpy(rows.astype(np.int64))
        return both[:, :-1], both[:, 1:]

    def _window(self, position: int) -> Any:
        epoch, place = divmod(position, self.count)
        if self._seed is not None:
            if self._order[0] != epoch:
                rng = np.random.default_rng([self._seed, epoch])
                self._order = (epoch, rng.permutation(self.count))
            place = self._order[1][place]
        start = int(place) * self._length
        return self._tokens[start : start + self._length + 1]
