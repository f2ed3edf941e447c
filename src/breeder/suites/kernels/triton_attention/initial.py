"""Attention in Triton, forward and backward, in float32 and bfloat16, causal and full.

Tensors are (batch, head, row, element); rows lie together, everything else where strides say.
"""

# Triton writes constants of a kernel in capitals, and gives each array its strides.
# ruff: noqa: D103, N803, PLR0913

import torch
import triton
import triton.language as tl

# EVOLVE-BLOCK-START
QUERIES = 64
KEYS = 64
LARGEST_TILE = 64 * 64  # elements of bfloat16; half as many of float32


@triton.jit
def numbers(pointers, there, BITS: tl.constexpr):
    """Load float32 numbers; those of bfloat16 are stored as their bits."""
    found = tl.load(pointers, there, 0)
    if BITS:
        found = (found.to(tl.uint32) << 16).to(tl.float32, bitcast=True)
    return found


@triton.jit
def keep(pointers, value, there, BITS: tl.constexpr):
    """Store numbers, rounded to the nearest bfloat16 where that is asked for."""
    if BITS:  # by hand, since Triton's interpreter cuts them off instead
        bits = value.to(tl.uint32, bitcast=True)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        value = tl.where(value == value, bits, 0x7FC0).to(tl.uint16)
    tl.store(pointers, value, there)


@triton.jit
def tile(base, steps, batch, head, rows, columns):
    """Pointers to some rows of a head."""
    start = batch.to(tl.int64) * steps[0] + head.to(tl.int64) * steps[1]
    return base + start + rows.to(tl.int64)[:, None] * steps[2] + columns[None, :]


@triton.jit
def seen(rows, columns, queries, keys, CAUSAL: tl.constexpr):
    """Which keys (columns) a query (row) attends to."""
    there = (rows[:, None] < queries) & (columns[None, :] < keys)
    if CAUSAL:
        there = there & (columns[None, :] <= rows[:, None])
    return there


@triton.jit
def forward(
    q, k, v, out, sums, q_steps, k_steps, v_steps, out_steps,
    heads, group, queries, keys, width, scale,
    CAUSAL: tl.constexpr, BITS: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Some queries of a head against all keys, block by block, with a running maximum."""
    batch, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    rows = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    at = tl.arange(0, WIDTH)
    inside = (rows[:, None] < queries) & (at[None, :] < width)
    query = numbers(tile(q, q_steps, batch, head, rows, at), inside, BITS) * scale
    top = tl.full((QUERIES,), -float("inf"), tl.float32)
    total = tl.zeros((QUERIES,), tl.float32)
    result = tl.zeros((QUERIES, WIDTH), tl.float32)
    last = keys
    if CAUSAL:
        last = tl.minimum(keys, (tl.program_id(0) + 1) * QUERIES)
    for begin in range(0, last, KEYS):
        columns = begin + tl.arange(0, KEYS)
        some = (columns[:, None] < keys) & (at[None, :] < width)
        key = numbers(tile(k, k_steps, batch, head // group, columns, at), some, BITS)
        value = numbers(tile(v, v_steps, batch, head // group, columns, at), some, BITS)
        scores = tl.dot(query, tl.trans(key), input_precision=PRECISION)
        # Rows behind the last query see key 0, too: else they had no maximum.
        scores = tl.where(seen(rows, columns, rows.shape[0] + queries, keys, CAUSAL),
                          scores, -float("inf"))  # fmt: skip
        higher = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp(scores - higher[:, None])
        fade = tl.exp(top - higher)
        total = total * fade + tl.sum(weights, 1)
        result = result * fade[:, None] + tl.dot(weights, value, input_precision=PRECISION)
        top = higher
    keep(tile(out, out_steps, batch, head, rows, at), result / total[:, None], inside, BITS)
    tl.store(sums + tl.program_id(1) * queries + rows, top + tl.log(total), rows < queries)


@triton.jit
def deltas(
    out, grad, delta, out_steps, grad_steps, heads, queries, width,
    BITS: tl.constexpr, QUERIES: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """delta[i] = grad_out[i] . out[i]."""
    batch, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    rows = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    at = tl.arange(0, WIDTH)
    inside = (rows[:, None] < queries) & (at[None, :] < width)
    result = numbers(tile(out, out_steps, batch, head, rows, at), inside, BITS)
    above = numbers(tile(grad, grad_steps, batch, head, rows, at), inside, BITS)
    place = tl.program_id(1) * queries + rows
    tl.store(delta + place, tl.sum(result * above, 1), rows < queries)


@triton.jit
def grad_of_queries(
    q, k, v, grad, sums, delta, grad_q, q_steps, k_steps, v_steps, grad_steps, grad_q_steps,
    heads, group, queries, keys, width, scale,
    CAUSAL: tl.constexpr, BITS: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """grad_q[i] = scale * sum over j of t k[j], t = p * (grad_out[i] . v[j] - delta[i])."""
    batch, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    rows = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    at = tl.arange(0, WIDTH)
    inside = (rows[:, None] < queries) & (at[None, :] < width)
    query = numbers(tile(q, q_steps, batch, head, rows, at), inside, BITS) * scale
    above = numbers(tile(grad, grad_steps, batch, head, rows, at), inside, BITS)
    place = tl.program_id(1) * queries + rows
    logarithm = tl.load(sums + place, rows < queries, 0.0)
    less = tl.load(delta + place, rows < queries, 0.0)
    result = tl.zeros((QUERIES, WIDTH), tl.float32)
    last = keys
    if CAUSAL:
        last = tl.minimum(keys, (tl.program_id(0) + 1) * QUERIES)
    for begin in range(0, last, KEYS):
        columns = begin + tl.arange(0, KEYS)
        some = (columns[:, None] < keys) & (at[None, :] < width)
        key = numbers(tile(k, k_steps, batch, head // group, columns, at), some, BITS)
        value = numbers(tile(v, v_steps, batch, head // group, columns, at), some, BITS)
        scores = tl.dot(query, tl.trans(key), input_precision=PRECISION)
        scores = tl.where(seen(rows, columns, queries, keys, CAUSAL), scores, -float("inf"))
        weights = tl.exp(scores - logarithm[:, None])
        change = tl.dot(above, tl.trans(value), input_precision=PRECISION) - less[:, None]
        result += tl.dot(weights * change, key, input_precision=PRECISION)
    keep(tile(grad_q, grad_q_steps, batch, head, rows, at), result * scale, inside, BITS)


@triton.jit
def grad_of_keys(
    q, k, v, grad, sums, delta, grad_k, grad_v,
    q_steps, k_steps, v_steps, grad_steps, grad_k_steps, grad_v_steps,
    heads, group, queries, keys, width, scale,
    CAUSAL: tl.constexpr, BITS: tl.constexpr, PRECISION: tl.constexpr,
    QUERIES: tl.constexpr, KEYS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """Sums over all queries of all heads that share these keys; `heads` counts those of keys."""
    batch, head = tl.program_id(1) // heads, tl.program_id(1) % heads
    columns = tl.program_id(0) * KEYS + tl.arange(0, KEYS)
    at = tl.arange(0, WIDTH)
    inside = (columns[:, None] < keys) & (at[None, :] < width)
    key = numbers(tile(k, k_steps, batch, head, columns, at), inside, BITS)
    value = numbers(tile(v, v_steps, batch, head, columns, at), inside, BITS)
    of_keys = tl.zeros((KEYS, WIDTH), tl.float32)
    of_values = tl.zeros((KEYS, WIDTH), tl.float32)
    first = 0
    if CAUSAL:  # queries ahead of these keys do not see them
        first = tl.program_id(0) * KEYS // QUERIES * QUERIES
    for member in range(0, group):
        of_q = head * group + member
        for begin in range(first, queries, QUERIES):
            rows = begin + tl.arange(0, QUERIES)
            some = (rows[:, None] < queries) & (at[None, :] < width)
            query = numbers(tile(q, q_steps, batch, of_q, rows, at), some, BITS)
            above = numbers(tile(grad, grad_steps, batch, of_q, rows, at), some, BITS)
            place = (batch * heads * group + of_q) * queries + rows
            logarithm = tl.load(sums + place, rows < queries, 0.0)
            less = tl.load(delta + place, rows < queries, 0.0)
            scores = tl.dot(query * scale, tl.trans(key), input_precision=PRECISION)
            scores = tl.where(seen(rows, columns, queries, keys, CAUSAL), scores, -float("inf"))
            weights = tl.exp(scores - logarithm[:, None])
            of_values += tl.dot(tl.trans(weights), above, input_precision=PRECISION)
            change = tl.dot(above, tl.trans(value), input_precision=PRECISION) - less[:, None]
            of_keys += tl.dot(tl.trans(weights * change), query, input_precision=PRECISION)
    keep(tile(grad_k, grad_k_steps, batch, head, columns, at), of_keys * scale, inside, BITS)
    keep(tile(grad_v, grad_v_steps, batch, head, columns, at), of_values, inside, BITS)


def tiles_of(width, bits):
    """Constants of a launch: larger tiles than these would not fit a multiprocessor's memory."""
    wide = max(triton.next_power_of_2(width), 16)
    most = max((LARGEST_TILE if bits else LARGEST_TILE // 2) // wide, 16)
    return {"QUERIES": min(QUERIES, most), "KEYS": min(KEYS, most), "WIDTH": wide}


def bits_of(arrays):
    """Tensors whose bfloat16 elements are bits, and how exact products of them must be.

    TensorFloat32 holds every bfloat16 number.
    """
    tensors = [torch.as_tensor(one) for one in arrays]
    stored = [one.view(torch.uint16) if one.dtype == torch.bfloat16 else one for one in tensors]
    bits = stored[0].dtype == torch.uint16
    return stored, {"BITS": bits, "PRECISION": "tf32" if bits else "ieee"}


def steps_of(strides):
    """Batch, head and row steps of each tensor."""
    flat = [int(one) for one in strides]
    return [tuple(flat[i : i + 3]) for i in range(0, len(flat), 3)]


def flash_attention_forward(
    q, k, v, out, logsumexp, strides, batch, heads, kv_heads, queries, keys, width, causal, scale
):
    stored, form = bits_of((q, k, v, out, logsumexp))
    options = {**tiles_of(width, form["BITS"]), **form, "CAUSAL": bool(causal)}
    forward[(triton.cdiv(queries, options["QUERIES"]), batch * heads)](
        *stored, *steps_of(strides),
        heads, heads // kv_heads, queries, keys, width, scale, **options,
    )  # fmt: skip


def flash_attention_backward(
    q, k, v, out, grad_out, logsumexp, grad_q, grad_k, grad_v, strides,
    batch, heads, kv_heads, queries, keys, width, causal, scale,
):  # fmt: skip
    arrays = (q, k, v, out, grad_out, logsumexp, grad_q, grad_k, grad_v)
    (q, k, v, out, grad, sums, grad_q, grad_k, grad_v), form = bits_of(arrays)
    q_s, k_s, v_s, out_s, grad_s, *results = steps_of(strides)
    options = {**tiles_of(width, form["BITS"]), **form, "CAUSAL": bool(causal)}
    group, delta = heads // kv_heads, torch.empty_like(sums)
    of_queries = (triton.cdiv(queries, options["QUERIES"]), batch * heads)
    deltas[of_queries](
        out, grad, delta, out_s, grad_s, heads, queries, width,
        BITS=form["BITS"], QUERIES=options["QUERIES"], WIDTH=options["WIDTH"],
    )  # fmt: skip
    grad_of_queries[of_queries](
        q, k, v, grad, sums, delta, grad_q, q_s, k_s, v_s, grad_s, results[0],
        heads, group, queries, keys, width, scale, **options,
    )  # fmt: skip
    grad_of_keys[(triton.cdiv(keys, options["KEYS"]), batch * kv_heads)](
        q, k, v, grad, sums, delta, grad_k, grad_v, q_s, k_s, v_s, grad_s, *results[1:],
        kv_heads, group, queries, keys, width, scale, **options,
    )  # fmt: skip


flash_attention_forward_bf16 = flash_attention_forward
flash_attention_backward_bf16 = flash_attention_backward
# EVOLVE-BLOCK-END
