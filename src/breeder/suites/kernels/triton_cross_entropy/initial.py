"""Cross-entropy in Triton: losses, and logits that become their gradient in place."""

# Triton writes constants of a kernel in capitals, and gives each array its strides.
# ruff: noqa: D103, N803

import torch
import triton
import triton.language as tl

IGNORED = tl.constexpr(-100)


# EVOLVE-BLOCK-START
MOST_COLUMNS = 4096


@triton.jit
def losses_and_gradient(logits, targets, losses, vocabulary, scale, COLUMNS: tl.constexpr):
    """One row: its largest logit and sum of exponentials in one pass, its gradient in another."""
    row = tl.program_id(0)
    logits += row.to(tl.int64) * vocabulary
    target = tl.load(targets + row)
    counted = target != IGNORED
    # Ahead of both sums, which all warps wait for: another one may then overwrite it.
    right = tl.load(logits + target, counted, 0.0)
    top = -float("inf")
    total = 0.0
    for begin in range(0, vocabulary, COLUMNS):
        at = begin + tl.arange(0, COLUMNS)
        part = tl.load(logits + at, at < vocabulary, -float("inf"))
        higher = tl.maximum(top, tl.max(part, 0))
        # Minus infinity alone has no distance from itself.
        base = tl.where(higher == -float("inf"), 0.0, higher)
        total = total * tl.exp(top - base) + tl.sum(tl.exp(part - base), 0)
        top = higher
    loss = tl.log(total) + (top - right)
    tl.store(losses + row, tl.where(counted, loss, 0.0))
    for begin in range(0, vocabulary, COLUMNS):
        at = begin + tl.arange(0, COLUMNS)
        part = tl.load(logits + at, at < vocabulary, 0.0)
        weight = tl.exp(part - top) / total
        inner = tl.where(at == target, weight - 1.0, weight)
        tl.store(logits + at, tl.where(counted, scale * inner, 0.0), at < vocabulary)


def cross_entropy(logits, targets, losses, rows, vocabulary, scale):
    logits, targets, losses = (torch.as_tensor(one) for one in (logits, targets, losses))
    columns = min(triton.next_power_of_2(vocabulary), MOST_COLUMNS)
    losses_and_gradient[(rows,)](logits, targets, losses, vocabulary, scale, COLUMNS=columns)


# EVOLVE-BLOCK-END
