"""What an operation with kernels behind it consists of, for eager PyTorch and for compiled graphs.

In eager mode an operation is an autograd function, which costs a fraction of what an operator of
`torch.library` costs per call; in a graph that is being traced it is that operator, which the graph
keeps whole. Both run the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from breeder.training.devices import CPU, device_of
from breeder.training.operators import registry
from breeder.training.pytorch import torch
from breeder.training.registry import LoadedKernel
from breeder.training.sources import TRITON

KERNEL_TYPES = (torch.float32, torch.bfloat16)
"""Types of tensors that kernels take; bfloat16 goes through float32."""

_PLAIN = (torch.Tensor, torch.nn.Parameter)


class Operation:
    """An operation; call it like a function.

    Args:
        name: below `torch.ops.breeder`.
        schema: of `torch.library`, without the name.
        run: computes it, on plain tensors.
        fake: shapes and types of the results, from tensors without data.
        save: keeps in a context what the backward pass needs: (context, inputs, output).
        backward: gradients of the inputs: (context, gradient of each output).
        mutates: names of arguments that are changed in place.
    """

    def __init__(
        self,
        name: str,
        schema: str,
        run: Callable[..., Any],
        fake: Callable[..., Any],
        *,
        save: Callable[..., None] | None = None,
        backward: Callable[..., Any] | None = None,
        mutates: tuple[str, ...] = (),
    ) -> None:
        self._run = run
        devices = ("cpu", "cuda") if name in TRITON else ("cpu",)
        self.operator = torch.library.custom_op(
            f"breeder::{name}", run, mutates_args=mutates, device_types=devices, schema=schema
        )
        self.operator.register_fake(fake)
        self._eager = self._transformed = run
        if backward is not None and save is not None:
            self.operator.register_autograd(backward, setup_context=save)
            self._eager = _function(name, run, save, backward).apply
            self._transformed = _transformable(name, run, save, backward).apply

    def __call__(self, *arguments: Any) -> Any:
        """Compute it; arguments by position, in the order of the schema."""
        if torch.compiler.is_compiling() or not all(map(_direct, arguments)):
            return self.operator(*arguments)
        if torch._C._are_functorch_transforms_active():
            return self._transformed(*arguments)
        return self._eager(*arguments) if _followed(arguments) else self._run(*arguments)


def _direct(argument: Any) -> bool:
    """Whether an argument has data behind it that this thread may look at."""
    return not isinstance(argument, torch.Tensor) or type(argument) in _PLAIN


def _followed(arguments: tuple[Any, ...]) -> bool:
    """Whether derivatives are taken. If not, an autograd function costs half of a short call."""
    if torch.autograd.forward_ad._current_level >= 0:
        return True
    tensors = (one for one in arguments if isinstance(one, torch.Tensor))
    return torch.is_grad_enabled() and any(one.requires_grad for one in tensors)


def _function(
    name: str, run: Callable[..., Any], save: Callable[..., None], backward: Callable[..., Any]
) -> Any:
    """The autograd function of an operation.

    Not in two parts, forward and context, for which PyTorch looks up a signature in every call.
    """

    def forward(ctx: Any, *inputs: Any) -> Any:
        output = run(*inputs)
        save(ctx, inputs, output)
        return output

    members = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(name, (torch.autograd.Function,), members)


def _transformable(
    name: str, run: Callable[..., Any], save: Callable[..., None], backward: Callable[..., Any]
) -> Any:
    """The same in two parts, as transforms of functions (`torch.func`) ask for."""
    members = {
        "forward": staticmethod(run),
        "setup_context": staticmethod(save),
        "backward": staticmethod(backward),
    }
    return type(name, (torch.autograd.Function,), members)


def kernel_for(op: str, bucket: str, tensor: Any) -> LoadedKernel | None:
    """The kernel to use for tensors like this one; None where PyTorch's formula is to be used."""
    if tensor.dtype not in KERNEL_TYPES or not tensor.numel():
        return None
    device = device_of(op, tensor)
    if tensor.device.type != CPU and (op not in TRITON or tensor.dtype != torch.float32):
        return None
    return registry().kernel_for(op, bucket, device)
