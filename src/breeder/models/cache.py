"""Keys and values of what a decoder has read, so that the next token costs one row of work."""

from __future__ import annotations

from typing import Any, Protocol

from breeder.errors import UserError
from breeder.models.config import DecoderConfig
from breeder.models.pytorch import torch


class Cache(Protocol):
    """What a decoder asks of a cache, in this order for each call of it.

    `positions` and `mask` once, `extend` once per layer, `advance` once. Only `advance` moves the
    end: a call that fails half-way leaves the cache as it was.
    """

    def positions(self, rows: int) -> Any:
        """Positions of the next rows: (row,), or (batch, row) where sequences differ."""

    def mask(self, rows: int) -> Any:
        """True where the next rows may look, broadcast to (batch, head, row, key).

        None stands for a square, causal mask: nothing was read before.
        """

    def extend(self, layer: int, k: Any, v: Any) -> tuple[Any, Any]:
        """Store (batch, kv_head, row, width) of the next rows; return those of all rows so far."""

    def advance(self, rows: int) -> None:
        """Count the rows that every layer has stored."""


class KeyValueCache:
    """A cache of equally long sequences, in one buffer per layer that is allocated at once.

    Args:
        config: of the decoder.
        batch: number of sequences.
        capacity: longest sequence, in tokens; at most the model's context.
        dtype: of the keys and values; float32 if None.
    """

    def __init__(self, config: DecoderConfig, batch: int, capacity: int, dtype: Any = None) -> None:
        if capacity > config.context:
            raise UserError(f"{capacity} tokens are more than the model's context {config.context}")
        shape = (config.layers, batch, config.kv_heads, capacity, config.head_width)
        self._keys = torch.empty(shape, dtype=dtype or torch.float32)
        self._values = torch.empty_like(self._keys)
        self._capacity = capacity
        self.length = 0

    def positions(self, rows: int) -> Any:
        """Positions of the next rows, (row,).

        Raises:
            UserError: they do not fit.
        """
        if self.length + rows > self._capacity:
            raise UserError(f"the cache holds {self._capacity} tokens, not {self.length + rows}")
        return torch.arange(self.length, self.length + rows)

    def mask(self, rows: int) -> Any:
        """Row i may look at everything read before and at rows up to i."""
        if self.length == 0:
            return None
        return torch.ones(rows, self.length + rows, dtype=torch.bool).tril(self.length)

    def extend(self, layer: int, k: Any, v: Any) -> tuple[Any, Any]:
        """Store the next rows of a layer; return all its keys and values."""
        end = self.length + k.shape[2]
        self._keys[layer, :, :, self.length : end] = k
        self._values[layer, :, :, self.length : end] = v
        return self._keys[layer, :, :, :end], self._values[layer, :, :, :end]

    def advance(self, rows: int) -> None:
        """Count the rows that every layer has stored."""
        self.length += rows

    def truncate(self, length: int) -> None:
        """Forget everything from position `length` on."""
        self.length = min(self.length, length)
