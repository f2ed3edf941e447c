"""RMS and layer normalisation over the last dimension.

With f = 1 / sqrt(mean(x^2) + e), n = f x and g = grad * weight, the gradients of RMS normalisation
are f (g - n mean(g n)) and the sum of grad * n over rows (Zhang and Sennrich, 2019); layer
normalisation takes the mean away first (Ba, Kiros and Hinton, 2016).
"""

from __future__ import annotations

from typing import Any

from breeder.training.operation import Operation, kernel_for
from breeder.training.pytorch import torch
from breeder.training.rows import Rows, bucket


def matrix(x: Any) -> Any:
    """All but the last dimension as one, without gaps."""
    return x.contiguous().view(-1, x.shape[-1])


def _rmsnorm(x: Any, weight: Any, epsilon: float) -> Any:
    kernel = kernel_for("rmsnorm", _bucket(x), x)
    if kernel is None:
        return torch.rms_norm(x, (x.shape[-1],), weight, epsilon).contiguous()
    rows, scale = matrix(x), weight.float().contiguous()
    out = torch.empty_like(rows)
    if kernel.source.language == "triton":
        kernel.call(rows, scale, out, *map(int, rows.shape), epsilon)
        return out.view(x.shape)
    columns, weight_at = int(rows.shape[1]), scale.data_ptr()

    def call(_: int, count: int, x_at: int, out_at: int) -> None:
        kernel.call(x_at, weight_at, out_at, count, columns, epsilon)

    Rows([rows], [out]).run(call)
    return out.view(x.shape)


def _rmsnorm_backward(grad: Any, x: Any, weight: Any, epsilon: float) -> tuple[Any, Any]:
    kernel = kernel_for("rmsnorm_backward", _bucket(x), x)
    if kernel is None:
        grad_x, sums = _rmsnorm_gradients(grad, x, weight, epsilon)
        return grad_x.contiguous(), sums
    rows, above, scale = matrix(x), matrix(grad), weight.float().contiguous()
    grad_x = torch.empty_like(rows)
    if kernel.source.language == "triton":
        grad_weight = torch.empty_like(scale)
        kernel.call(above, rows, scale, grad_x, grad_weight, *map(int, rows.shape), epsilon)
        return grad_x.view(x.shape), grad_weight.to(weight.dtype)
    columns, weight_at = int(rows.shape[1]), scale.data_ptr()
    work = Rows([above, rows], [grad_x])
    sums = torch.empty((work.parts, columns))

    def call(part: int, count: int, grad_at: int, x_at: int, out_at: int) -> None:
        sums_at = sums.data_ptr() + 4 * part * columns
        kernel.call(grad_at, x_at, weight_at, out_at, sums_at, count, columns, epsilon)

    work.run(call)
    return grad_x.view(x.shape), _summed(sums).to(weight.dtype)


def _rmsnorm_gradients(grad: Any, x: Any, weight: Any, epsilon: float) -> tuple[Any, Any]:
    """The formula, which PyTorch can differentiate once more."""
    kind = torch.promote_types(x.dtype, torch.float32)
    wide, above = x.to(kind), grad.to(kind)
    factor = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
    normed, scaled = wide * factor, above * weight.to(kind)
    grad_x = factor * (scaled - normed * (scaled * normed).mean(-1, keepdim=True))
    sums = (above * normed).reshape(-1, x.shape[-1]).sum(0)
    return grad_x.to(x.dtype), sums.to(weight.dtype)


def _save_rmsnorm(ctx: Any, inputs: Any, output: Any) -> None:
    x, weight, ctx.epsilon = inputs
    ctx.save_for_backward(x, weight)


def _rmsnorm_grad(ctx: Any, grad: Any) -> tuple[Any, Any, None]:
    x, weight = ctx.saved_tensors
    gradients = _rmsnorm_gradients if torch.is_grad_enabled() else rmsnorm_backward
    return *gradients(grad, x, weight, ctx.epsilon), None


def _layernorm(x: Any, weight: Any, bias: Any, epsilon: float) -> tuple[Any, Any, Any]:
    kernel = kernel_for("layernorm", _bucket(x), x)
    if kernel is None:
        out, *ends = torch.native_layer_norm(x, (x.shape[-1],), weight, bias, epsilon)
        return out.contiguous(), *ends
    rows, scale, shift = matrix(x), weight.float().contiguous(), bias.float().contiguous()
    out, mean, rstd = _layernorm_outputs(rows)
    columns, forward = int(rows.shape[1]), kernel.functions["layernorm_forward"]
    parameters = scale.data_ptr(), shift.data_ptr()

    def call(_: int, count: int, x_at: int, *outputs: int) -> None:
        forward(x_at, *parameters, *outputs, count, columns, epsilon)

    Rows([rows], [out, mean, rstd]).run(call)
    ends = (*x.shape[:-1], 1)
    return out.view(x.shape), mean.view(ends), rstd.view(ends)


def _layernorm_outputs(x: Any) -> tuple[Any, Any, Any]:
    """Empty results: out like x; mean and rstd of every row, of at least float32."""
    ends, kind = (*x.shape[:-1], 1), torch.promote_types(x.dtype, torch.float32)
    return x.new_empty(x.shape), x.new_empty(ends, dtype=kind), x.new_empty(ends, dtype=kind)


def _layernorm_backward(
    grad: Any, x: Any, weight: Any, mean: Any, rstd: Any
) -> tuple[Any, Any, Any]:
    kernel = kernel_for("layernorm", _bucket(x), x)
    if kernel is None:
        grad_x, *sums = _layernorm_gradients(grad, x, weight, mean, rstd)
        return grad_x.contiguous(), *sums
    rows, above, scale = matrix(x), matrix(grad), weight.float().contiguous()
    grad_x = torch.empty_like(rows)
    columns, weight_at = int(rows.shape[1]), scale.data_ptr()
    backward = kernel.functions["layernorm_backward"]
    work = Rows([above, rows, matrix(mean), matrix(rstd)], [grad_x])
    sums = torch.empty((work.parts, 2, columns))

    def call(part: int, count: int, grad_at: int, x_at: int, *ends: int) -> None:
        mean_at, rstd_at, out_at = ends
        at = sums.data_ptr() + 8 * part * columns
        backward(
            grad_at, x_at, weight_at, mean_at, rstd_at, out_at, at, at + 4 * columns, count, columns
        )

    work.run(call)
    grad_weight, grad_bias = _summed(sums).to(weight.dtype)
    return grad_x.view(x.shape), grad_weight.clone(), grad_bias.clone()


def _layernorm_gradients(
    grad: Any, x: Any, weight: Any, mean: Any, rstd: Any
) -> tuple[Any, Any, Any]:
    """The formula; differentiable once more where mean and rstd are formulas of x."""
    kind = torch.promote_types(x.dtype, torch.float32)
    above = grad.to(kind)
    normed, scaled = (x.to(kind) - mean) * rstd, above * weight.to(kind)
    product = (scaled * normed).mean(-1, keepdim=True)
    grad_x = rstd * (scaled - scaled.mean(-1, keepdim=True) - normed * product)
    columns = x.shape[-1]
    sums = (above * normed).reshape(-1, columns).sum(0), above.reshape(-1, columns).sum(0)
    return grad_x.to(x.dtype), *(one.to(weight.dtype) for one in sums)


def _save_layernorm(ctx: Any, inputs: Any, output: Any) -> None:
    x, weight, _, ctx.epsilon = inputs
    ctx.save_for_backward(x, weight, output[1], output[2])
    ctx.mark_non_differentiable(output[1], output[2])


def _layernorm_grad(ctx: Any, grad: Any, *_: Any) -> tuple[Any, Any, Any, None]:
    x, weight, mean, rstd = ctx.saved_tensors
    if not torch.is_grad_enabled():
        return *layernorm_backward(grad, x, weight, mean, rstd), None
    wide = x.to(mean.dtype)
    mean = wide.mean(-1, keepdim=True)
    rstd = torch.rsqrt((wide - mean).square().mean(-1, keepdim=True) + ctx.epsilon)
    return *_layernorm_gradients(grad, x, weight, mean, rstd), None


def _bucket(x: Any) -> str:
    columns = int(x.shape[-1])
    return bucket(x.numel() // max(columns, 1), columns)


def _summed(parts: Any) -> Any:
    return parts[0] if len(parts) == 1 else parts.sum(0)


rmsnorm_backward = Operation(
    "rmsnorm_backward",
    "(Tensor grad, Tensor x, Tensor weight, float epsilon) -> (Tensor, Tensor)",
    _rmsnorm_backward,
    lambda grad, x, weight, epsilon: (x.new_empty(x.shape), weight.new_empty(weight.shape)),
)
"""(grad, x, weight, epsilon) -> gradients of x and weight."""

rmsnorm = Operation(
    "rmsnorm",
    "(Tensor x, Tensor weight, float epsilon) -> Tensor",
    _rmsnorm,
    lambda x, weight, epsilon: x.new_empty(x.shape),
    save=_save_rmsnorm,
    backward=_rmsnorm_grad,
)
"""(x, weight, epsilon) -> out, normalised over the last dimension."""

layernorm_backward = Operation(
    "layernorm_backward",
    "(Tensor grad, Tensor x, Tensor weight, Tensor mean, Tensor rstd) -> (Tensor, Tensor, Tensor)",
    _layernorm_backward,
    lambda grad, x, weight, mean, rstd: (
        x.new_empty(x.shape), weight.new_empty(weight.shape), weight.new_empty(weight.shape)
    ),
)  # fmt: skip
"""(grad, x, weight, mean, rstd) -> gradients of x, weight and bias."""

layernorm = Operation(
    "layernorm",
    "(Tensor x, Tensor weight, Tensor bias, float epsilon) -> (Tensor, Tensor, Tensor)",
    _layernorm,
    lambda x, weight, bias, epsilon: _layernorm_outputs(x),
    save=_save_layernorm,
    backward=_layernorm_grad,
)
"""(x, weight, bias, epsilon) -> out, mean and 1 / deviation, over the last dimension."""
