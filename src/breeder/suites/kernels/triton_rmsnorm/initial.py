"""RMS normalisation in Triton, forward and backward, on tensors or numpy arrays, in place."""

# Triton writes constants of a kernel in capitals, and gives each array its strides.
# ruff: noqa: D103, N803, PLR0913

import torch
import triton
import triton.language as tl

# EVOLVE-BLOCK-START
ROWS = 4
MOST_COLUMNS = 1024
STRIPES = 32
COLUMNS_OF_SUMS = 64
ROWS_OF_SUMS = 32


@triton.jit
def factors_of(x, first, count, columns, epsilon, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Add up the squares of some rows; return 1 / sqrt(mean + epsilon) of each."""
    rows = first + tl.arange(0, ROWS)
    squares = tl.zeros((ROWS, COLUMNS), tl.float32)
    for begin in range(0, columns, COLUMNS):
        at = begin + tl.arange(0, COLUMNS)
        there = (rows[:, None] < count) & (at[None, :] < columns)
        part = tl.load(x + rows.to(tl.int64)[:, None] * columns + at[None, :], there, 0.0)
        squares += part * part
    return tl.div_rn(1.0, tl.sqrt_rn(tl.sum(squares, 1) / columns + epsilon))


@triton.jit
def forward(x, weight, out, count, columns, epsilon, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    first = tl.program_id(0) * ROWS
    factor = factors_of(x, first, count, columns, epsilon, ROWS, COLUMNS)
    rows = first + tl.arange(0, ROWS)
    start = rows.to(tl.int64)[:, None] * columns
    for begin in range(0, columns, COLUMNS):
        at = begin + tl.arange(0, COLUMNS)
        there = (rows[:, None] < count) & (at[None, :] < columns)
        part = tl.load(x + start + at[None, :], there, 0.0)
        scale = tl.load(weight + at, at < columns, 0.0)
        tl.store(out + start + at[None, :], part * factor[:, None] * scale[None, :], there)


@triton.jit
def backward(
    grad, x, weight, grad_x, factors, count, columns, epsilon,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """With f the factor, n = f x, g = grad * weight: grad_x = f (g - n mean(g n))."""
    first = tl.program_id(0) * ROWS
    factor = factors_of(x, first, count, columns, epsilon, ROWS, COLUMNS)
    rows = first + tl.arange(0, ROWS)
    tl.store(factors + rows, factor, rows < count)
    start = rows.to(tl.int64)[:, None] * columns
    products = tl.zeros((ROWS, COLUMNS), tl.float32)
    for begin in range(0, columns, COLUMNS):
        at = begin + tl.arange(0, COLUMNS)
        there = (rows[:, None] < count) & (at[None, :] < columns)
        normed = tl.load(x + start + at[None, :], there, 0.0) * factor[:, None]
        scale = tl.load(weight + at, at < columns, 0.0)
        products += tl.load(grad + start + at[None, :], there, 0.0) * scale[None, :] * normed
    mean = tl.sum(products, 1) / columns
    for begin in range(0, columns, COLUMNS):
        at = begin + tl.arange(0, COLUMNS)
        there = (rows[:, None] < count) & (at[None, :] < columns)
        normed = tl.load(x + start + at[None, :], there, 0.0) * factor[:, None]
        scale = tl.load(weight + at, at < columns, 0.0)
        scaled = tl.load(grad + start + at[None, :], there, 0.0) * scale[None, :]
        inner = scaled - normed * mean[:, None]
        tl.store(grad_x + start + at[None, :], factor[:, None] * inner, there)


@triton.jit
def sums_over_rows(
    grad, x, factors, sums, count, columns, stripe, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """The sum of grad * n over a stripe of rows, for some columns."""
    at = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    first = tl.program_id(1) * stripe
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for begin in range(0, stripe, ROWS):
        rows = first + begin + tl.arange(0, ROWS)
        inside = (begin + tl.arange(0, ROWS) < stripe) & (rows < count)
        there = inside[:, None] & (at[None, :] < columns)
        place = rows.to(tl.int64)[:, None] * columns + at[None, :]
        factor = tl.load(factors + rows, inside, 0.0)
        normed = tl.load(x + place, there, 0.0) * factor[:, None]
        total += tl.load(grad + place, there, 0.0) * normed
    tl.store(sums + tl.program_id(1) * columns + at, tl.sum(total, 0), at < columns)


def width_of(columns):
    return min(triton.next_power_of_2(columns), MOST_COLUMNS)


def rmsnorm(x, weight, out, rows, columns, epsilon):
    x, weight, out = (torch.as_tensor(one) for one in (x, weight, out))
    grid = (triton.cdiv(rows, ROWS),)
    forward[grid](x, weight, out, rows, columns, epsilon, ROWS=ROWS, COLUMNS=width_of(columns))


def rmsnorm_backward(grad, x, weight, grad_x, grad_weight, rows, columns, epsilon):
    arrays = (grad, x, weight, grad_x, grad_weight)
    grad, x, weight, grad_x, grad_weight = (torch.as_tensor(one) for one in arrays)
    factors = x.new_empty((rows,))
    backward[(triton.cdiv(rows, ROWS),)](
        grad, x, weight, grad_x, factors, rows, columns, epsilon,
        ROWS=ROWS, COLUMNS=width_of(columns),
    )  # fmt: skip
    stripes = max(1, min(STRIPES, triton.cdiv(rows, ROWS_OF_SUMS)))
    sums = x.new_empty((stripes, columns))
    sums_over_rows[(triton.cdiv(columns, COLUMNS_OF_SUMS), stripes)](
        grad, x, factors, sums, rows, columns, triton.cdiv(rows, stripes),
        ROWS=ROWS_OF_SUMS, COLUMNS=COLUMNS_OF_SUMS,
    )  # fmt: skip
    grad_weight.view(-1)[:columns] = sums.sum(0)


# EVOLVE-BLOCK-END
