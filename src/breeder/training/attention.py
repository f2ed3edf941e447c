"""Attention as PyTorch sees it: custom operators, forward and backward, with kernels behind them.

Either computes what PyTorch's own path computes, with whichever of the two is faster in a bucket of
shapes, in float32 and bfloat16. Several threads share batches and heads; a kernel uses one.
On a GPU there are kernels in Triton, and PyTorch's own path is left to whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from breeder.errors import UserError
from breeder.training.devices import CPU, device_of
from breeder.training.operators import in_pieces, pieces, power, registry, timed
from breeder.training.pytorch import torch
from breeder.training.registry import Key, LoadedKernel

DTYPES = {torch.float32: ("float32", ""), torch.bfloat16: ("bfloat16", "_bf16")}
"""Type of tensors -> its name, and the end of the operation's name."""

_WIDTHS = (32, 64, 128)


class Attention(NamedTuple):
    """The arguments of the forward operator."""

    q: Any
    k: Any
    v: Any
    causal: bool
    scale: float

    def key(self, direction: str) -> Key:
        """Operation, type, bucket, and what it runs on."""
        name, suffix = DTYPES[self.q.dtype]
        op = f"attention_{direction}{suffix}"
        return Key(op, name, self.bucket, device_of(op, self.q))

    def of_pass(self) -> list[Key]:
        """The keys of what a pass takes: backward, too, where gradients are asked for."""
        grad = torch.is_grad_enabled() and any(one.requires_grad for one in self[:3])
        return [self.key(one) for one in (("forward", "backward") if grad else ("forward",))]

    @property
    def bucket(self) -> str:
        """Mask, width, sizes up to powers of two."""
        batch, heads, rows, width = self.q.shape
        word = next((str(one) for one in _WIDTHS if width <= one), "wide")
        sizes = f"{power(rows)}x{power(self.k.shape[2])}-{power(batch * heads)}"
        mask = "causal" if self.causal else "full"
        return f"{mask}-{word}-{sizes}"


class Saved(NamedTuple):
    """What a forward pass leaves, with the gradient of its result."""

    out: Any
    grad_out: Any
    logsumexp: Any


def attend(*arguments: Any) -> tuple[Any, Any]:
    """Attention with the kernel chosen for these shapes, or PyTorch's own."""
    one = Attention(*arguments)
    return _chosen(  # type: ignore[no-any-return]
        one.key("forward"),
        lambda: _torch_forward(one),
        lambda kernel: _kernel_forward(kernel, one),
    )


def differentiate(*arguments: Any) -> tuple[Any, Any, Any]:
    """Gradients of queries, keys and values, likewise."""
    grad_out, q, k, v, out, logsumexp, causal, scale = arguments
    one, saved = Attention(q, k, v, causal, scale), Saved(out, grad_out, logsumexp)
    return _chosen(  # type: ignore[no-any-return]
        one.key("backward"),
        lambda: _torch_backward(one, saved),
        lambda kernel: _kernel_backward(kernel, one, saved),
    )


def _chosen(key: Key, by_torch: Callable[[], Any], by_kernel: Callable[[LoadedKernel], Any]) -> Any:
    if key.device != CPU:  # forward and backward were chosen together, by whoever calls
        kernel = registry().kernel_for(key.op, key.bucket, key.device)
        if kernel is None:
            why = registry().kernels(key.op, "triton")[1]
            raise UserError(f"{key}: no kernel: {why}; use F.scaled_dot_product_attention there")
        return by_kernel(kernel)
    threads = torch.get_num_threads()
    choice = registry().decided(key) or registry().choose(
        key,
        timed(by_torch, threads),
        lambda kernel: timed(lambda: by_kernel(kernel), threads),
        threads,
    )
    return by_torch() if choice.kernel is None else by_kernel(choice.kernel)


def _kernel_forward(kernel: LoadedKernel, one: Attention) -> tuple[Any, Any]:
    out, logsumexp = _outputs(one.q)
    _run(kernel, one, [(one.q, "q"), (one.k, "k"), (one.v, "k"), (out, "q"), (logsumexp, "")])
    return out, logsumexp


def _kernel_backward(kernel: LoadedKernel, one: Attention, saved: Saved) -> tuple[Any, Any, Any]:
    grad_q, grad_k, grad_v = (_like(each) for each in one[:3])
    grad_out = saved.grad_out if saved.grad_out.stride(-1) == 1 else saved.grad_out.contiguous()
    _run(
        kernel,
        one,
        [
            *((one.q, "q"), (one.k, "k"), (one.v, "k"), (saved.out, "q"), (grad_out, "q")),
            *((saved.logsumexp, ""), (grad_q, "q"), (grad_k, "k"), (grad_v, "k")),
        ],
    )
    return grad_q, grad_k, grad_v


def _run(kernel: LoadedKernel, one: Attention, tensors: Sequence[tuple[Any, str]]) -> None:
    """Call a kernel on every piece of the work.

    Args:
        kernel: to call.
        one: the shapes.
        tensors: its arguments in order, with heads of queries (q) or of keys (k); sums, which are
            contiguous and have no strides, with neither.
    """
    batch, heads, rows, width = one.q.shape
    kv_heads, keys = one.k.shape[1], one.k.shape[2]
    groups = heads // kv_heads
    steps = [step for each, kind in tensors if kind for step in each.stride()[:3]]
    if kernel.source.language == "triton":
        kernel.call(
            *(each for each, _ in tensors), steps, batch, heads, kv_heads, rows, keys, width,
            int(one.causal), one.scale,
        )  # fmt: skip
        return
    strides = torch.tensor(steps)

    def run(piece: tuple[int, int, int, int]) -> None:
        """Compute batches from `first` on, `count` of them, and heads of keys likewise."""
        first, count, kv_first, kv_count = piece
        moved = [
            each.data_ptr()
            + each.element_size()
            * (first * each.stride(0) + kv_first * (1 if kind == "k" else groups) * each.stride(1))
            for each, kind in tensors
        ]
        kernel.call(
            *moved, strides.data_ptr(), count, kv_count * groups, kv_count, rows, keys, width,
            int(one.causal), one.scale,
        )  # fmt: skip

    in_pieces(run, pieces(batch, kv_heads, torch.get_num_threads()))


def _like(tensor: Any) -> Any:
    """An empty tensor whose rows of one token lie together, as the next layer wants them."""
    batch, heads, rows, width = tensor.shape
    return tensor.new_empty((batch, rows, heads, width)).transpose(1, 2)


def _outputs(q: Any) -> tuple[Any, Any]:
    return _like(q), q.new_empty(q.shape[:3], dtype=torch.float32)


def _torch_forward(one: Attention) -> tuple[Any, Any]:
    k, v = _repeated(one.q, one.k), _repeated(one.q, one.v)
    out, logsumexp = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        one.q, k, v, 0.0, one.causal, scale=one.scale
    )
    return out, logsumexp.contiguous()


def _torch_backward(one: Attention, saved: Saved) -> tuple[Any, Any, Any]:
    q, k, v = one[:3]
    grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        saved.grad_out, q, _repeated(q, k), _repeated(q, v), saved.out, saved.logsumexp, 0.0,
        one.causal, scale=one.scale,
    )  # fmt: skip
    shared = [
        grad if grad.shape == each.shape else grad.unflatten(1, (k.shape[1], -1)).sum(2)
        for grad, each in zip(grads, (q, k, v), strict=True)
    ]
    return shared[0], shared[1], shared[2]


def _repeated(q: Any, k: Any) -> Any:
    """Keys or values with as many heads as the queries."""
    return k if k.shape[1] == q.shape[1] else k.repeat_interleave(q.shape[1] // k.shape[1], 1)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    q, k, v, ctx.causal, ctx.scale = inputs
    ctx.save_for_backward(q, k, v, *output)
    ctx.mark_non_differentiable(output[1])


def _gradients(ctx: Any, grad_out: Any, _: Any) -> tuple[Any, ...]:
    return *attention_backward(grad_out, *ctx.saved_tensors, ctx.causal, ctx.scale), None, None


attention = torch.library.custom_op(
    "breeder::attention_forward",
    attend,
    mutates_args=(),
    device_types=("cpu", "cuda"),
    schema="(Tensor q, Tensor k, Tensor v, bool causal, float scale) -> (Tensor, Tensor)",
)
"""(q, k, v, causal, scale) -> out and logsumexp, of tensors (batch, head, row, element) of float32
or bfloat16 whose rows are contiguous; heads of queries may share those of keys and values."""
attention.register_fake(lambda q, k, v, causal, scale: _outputs(q))

attention_backward = torch.library.custom_op(
    "breeder::attention_backward",
    differentiate,
    mutates_args=(),
    device_types=("cpu", "cuda"),
    schema="(Tensor grad_out, Tensor q, Tensor k, Tensor v, Tensor out, Tensor logsumexp, "
    "bool causal, float scale) -> (Tensor, Tensor, Tensor)",
)
"""Gradients of q, k and v, from what `attention` got and gave; not differentiable themselves."""
attention_backward.register_fake(
    lambda grad_out, q, k, v, out, logsumexp, causal, scale: (_like(q), _like(k), _like(v))
)
attention.register_autograd(_gradients, setup_context=_save)
