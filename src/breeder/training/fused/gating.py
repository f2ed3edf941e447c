"""SwiGLU (Shazeer, "GLU variants improve transformer", 2020): gate * sigmoid(gate) * up."""

from __future__ import annotations

from typing import Any

from breeder.training.operation import Operation, kernel_for
from breeder.training.pytorch import torch
from breeder.training.rows import Rows, power


def _flat(x: Any) -> Any:
    return x.contiguous().view(-1, 1)


def _swiglu(gate: Any, up: Any) -> Any:
    kernel = kernel_for("swiglu", str(power(gate.numel())), gate)
    if kernel is None:
        return (torch.nn.functional.silu(gate) * up).contiguous()
    out = torch.empty_like(gate, memory_format=torch.contiguous_format)
    forward = kernel.functions["swiglu_forward"]

    def call(_: int, count: int, gate_at: int, up_at: int, out_at: int) -> None:
        forward(gate_at, up_at, out_at, count)

    Rows([_flat(gate), _flat(up)], [_flat(out)]).run(call)
    return out


def _swiglu_backward(grad: Any, gate: Any, up: Any) -> tuple[Any, ...]:
    kernel = kernel_for("swiglu", str(power(gate.numel())), gate)
    if kernel is None:
        return tuple(one.contiguous() for one in _gradients(grad, gate, up))
    grads = [torch.empty_like(gate, memory_format=torch.contiguous_format) for _ in range(2)]
    backward = kernel.functions["swiglu_backward"]

    def call(_: int, count: int, *addresses: int) -> None:
        backward(*addresses, count)

    Rows([_flat(grad), _flat(gate), _flat(up)], [_flat(one) for one in grads]).run(call)
    return grads[0], grads[1]


def _gradients(grad: Any, gate: Any, up: Any) -> tuple[Any, Any]:
    """The formula, which PyTorch can differentiate once more."""
    s = torch.sigmoid(gate)
    return grad * up * s * (1 + gate * (1 - s)), grad * gate * s


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _backward(ctx: Any, grad: Any) -> Any:
    gate, up = ctx.saved_tensors
    gradients = _gradients if torch.is_grad_enabled() else swiglu_backward
    return gradients(grad, gate, up)


swiglu_backward = Operation(
    "swiglu_backward",
    "(Tensor grad, Tensor gate, Tensor up) -> (Tensor, Tensor)",
    _swiglu_backward,
    lambda grad, gate, up: (gate.new_empty(gate.shape), up.new_empty(up.shape)),
)
"""(grad, gate, up) -> gradients of gate and up."""

swiglu = Operation(
    "swiglu",
    "(Tensor gate, Tensor up) -> Tensor",
    _swiglu,
    lambda gate, up: gate.new_empty(gate.shape),
    save=_save,
    backward=_backward,
)
"""(gate, up), of one shape and type -> out, elementwise."""
