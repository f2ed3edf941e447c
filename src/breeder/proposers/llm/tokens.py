"""Token counts where an endpoint reports none: estimates, and bounds for reservations."""

from __future__ import annotations

import math

from breeder.proposers.llm.model import Prompt

BYTES_PER_TOKEN = 3.5
"""A rough figure for source code under the byte-pair vocabularies of today's models."""

_TEMPLATE = 32
"""Tokens that a chat template puts round a system message, a user message and a prefill."""


def estimate(text: str) -> int:
    """Number of tokens of a text, roughly."""
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def estimate_prompt(prompt: Prompt) -> int:
    """Number of tokens of a prompt, roughly, its chat template included."""
    return sum(map(estimate, (prompt.system, prompt.text, prompt.prefill))) + _TEMPLATE


class PromptBound:
    """Most tokens that a prompt can have.

    A vocabulary that falls back to bytes never needs more tokens than bytes. Once an endpoint has
    reported counts, a quarter more than the densest prompt so far is the bound, source code at
    its usual density included: reservations four times too large would leave budgets unused.
    """

    def __init__(self) -> None:
        self._density = 0.0  # tokens per byte

    def of(self, prompt: Prompt) -> int:
        """Bound on the tokens of `prompt`."""
        density = min(max(self._density, 1 / BYTES_PER_TOKEN) * 1.25, 1.0) if self._density else 1.0
        return math.ceil(_size(prompt) * density) + _TEMPLATE

    def learn(self, prompt: Prompt, tokens: int) -> None:
        """Take note of the count that an endpoint reported."""
        self._density = max(self._density, (tokens - _TEMPLATE) / max(_size(prompt), 1))


def _size(prompt: Prompt) -> int:
    texts = (prompt.system, prompt.text, prompt.prefill)
    return sum(len(text.encode("utf-8", "replace")) for text in texts)
