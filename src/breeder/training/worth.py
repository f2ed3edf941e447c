"""Whether kernels save more than looking for the calls that they could take costs.

Each function of PyTorch that a model calls passes through Python on its way, which costs some
microseconds. That is nothing beside matrix products, and a quarter of the step of a model that
consists of thousands of small operations.
"""

from __future__ import annotations

import functools
import math
import time
from collections import Counter
from statistics import median
from typing import Any

from breeder.training.operators import registry
from breeder.training.pytorch import torch
from breeder.training.registry import Choice, Key

WINDOW = 2048
"""Calls of PyTorch after which it is weighed, again and again."""
LEAST = 2
"""Windows that are weighed at least: a part of a step need not be like the whole."""
LOOKED_AT = 10
"""A call that kernels could take costs as much as so many others: 31 us were measured for layer
normalisation, 3.3 us for a function that nobody takes."""


class Worth:
    """Weighs what kernels save against what looking for calls costs.

    Nothing is said of calls among which there was none that kernels are for: the model may not have
    begun.

    Args:
        calls: of kernels, or of PyTorch in their place; counted by whoever makes them.
        kept: calls that stay with PyTorch for another reason than speed; likewise.
    """

    def __init__(self, calls: Counter[Key], kept: Counter[str]) -> None:
        self._calls, self._kept = calls, kept
        self._seen = self._windows = self._kept_before = 0
        self._before: Counter[Key] = Counter()

    def call(self) -> str:
        """Count a call that passed through; why kernels do not pay, or ''."""
        self._seen += 1
        if self._seen % WINDOW:
            return ""
        if self._calls.keys() - self._before.keys():  # something was timed in this window
            self._seen = self._windows = 0
            self._before, self._kept_before = self._calls.copy(), self._kept.total()
            return ""
        self._windows += 1
        made = self._calls - self._before
        looked_at = made.total() + self._kept.total() - self._kept_before
        if not looked_at or self._windows < LEAST:
            return ""
        return _verdict(made, looked_at, self._seen)


def _verdict(made: Counter[Key], looked_at: int, seen: int) -> str:
    """Why so many calls of kernels among those that were `seen` do not pay; or ''."""
    saved = math.fsum(count * _saved(registry().decided(key)) for key, count in made.items())
    cost = (seen + LOOKED_AT * looked_at) * interception()
    if saved >= cost:
        return ""
    return (
        f"kernels would save {1e3 * saved:.1f} ms in {seen} calls of PyTorch, and looking for such "
        f"calls costs {1e3 * cost:.1f} ms"
    )


def _saved(choice: Choice | None) -> float:
    """CPU seconds that a call saves; infinite where it was not timed."""
    if choice is None or not choice.kernels:
        return 0.0
    if choice.comparison is None:
        return math.inf
    slow, fast = choice.comparison.baseline_seconds, choice.comparison.candidate_seconds
    return median(one.cpu_seconds for one in slow) - median(one.cpu_seconds for one in fast)


@functools.cache
def interception() -> float:
    """Seconds that it costs to send a function of PyTorch through Python, on this machine."""

    class Idle(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
        ) -> Any:
            return func(*args, **(kwargs or {}))

    few = torch.ones(4)

    def seconds() -> float:
        begin = time.perf_counter()
        for _ in range(_CALLS):
            torch.nn.functional.relu(few)
        return (time.perf_counter() - begin) / _CALLS

    plain = min(seconds() for _ in range(_TURNS))
    with Idle():
        return max(min(seconds() for _ in range(_TURNS)) - plain, 0.0)


_CALLS, _TURNS = 200, 5
