"""Text from a decoder, one token after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from breeder.errors import UserError
from breeder.models.cache import KeyValueCache
from breeder.models.decoder import Decoder
from breeder.models.pytorch import torch


def generate(
    model: Decoder, prompt: Sequence[int], limit: int, *, temperature: float = 0.0, seed: int = 0
) -> Iterator[int]:
    """Continue a prompt.

    Args:
        model: the decoder.
        prompt: token ids, at least one.
        limit: number of tokens; generation also ends where the model's context does.
        temperature: divides the logits before one token is drawn; 0 takes the likeliest.
        seed: of the draws.

    Yields:
        Token ids, as they come.

    Raises:
        UserError: the prompt is empty or longer than the model's context.
    """
    if not prompt:
        raise UserError("the prompt is empty; give at least one token")
    capacity = min(len(prompt) + limit, model.config.context)
    dtype = model.embed_tokens.weight.dtype
    cache = KeyValueCache(model.config, 1, max(capacity, len(prompt)), dtype)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor([list(prompt)])
    for _ in range(capacity - len(prompt)):
        with torch.inference_mode():
            logits = model.lm_head(model.hidden(rows, cache)[:, -1]).float()[0]
            token = _drawn(logits, temperature, generator)
        yield token
        rows = torch.tensor([[token]])


def _drawn(logits: Any, temperature: float, generator: Any) -> int:
    if temperature <= 0.0:
        return int(logits.argmax())
    shares = torch.softmax(logits / temperature, dim=-1)
    return int(torch.multinomial(shares, 1, generator=generator))
