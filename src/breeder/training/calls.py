"""Decides, call by call, between a kernel and what PyTorch would have done, and counts why not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from breeder.training.devices import device_of
from breeder.training.operation import KERNEL_TYPES
from breeder.training.operators import registry, timed
from breeder.training.pytorch import torch
from breeder.training.registry import Key, LoadedKernel
from breeder.training.sources import dtype_of

_PLAIN = (torch.Tensor, torch.nn.Parameter, torch._subclasses.FakeTensor)  # the last while tracing


class Owner(Protocol):
    """Who asked for kernels."""

    def keep(self, why: str) -> None:
        """Count a call that stays with PyTorch."""
        ...

    def meet(self, key: Key, shapes: Sequence[tuple[int, ...]]) -> None:
        """Count a call that kernels may take."""
        ...


def hindrance(
    name: str, *tensors: Any, types: Sequence[Any] = KERNEL_TYPES, devices: Sequence[str] = ("cpu",)
) -> str:
    """Why no kernel covers a call with these tensors; empty where one may.

    Args:
        name: of the operation, for people.
        tensors: of the call.
        types: that it has kernels for on the CPU; float32 is all that it has elsewhere.
        devices: types of devices that it has kernels for.
    """
    if any(type(one) not in _PLAIN for one in tensors):
        return f"{name} of tensors of a class of their own"
    place = tensors[0].device
    if place.type not in devices or any(one.device != place for one in tensors):
        return f"{name} on {next((o.device for o in tensors if o.device != place), place).type}"
    for one in tensors:
        if one.dtype not in types or one.dtype != tensors[0].dtype:
            return f"{name} in {one.dtype}"
        if place.type != "cpu" and one.dtype == torch.bfloat16:
            return f"{name} in {one.dtype} on {place.type}"
        if one.layout != torch.strided or not one.numel():
            return f"{name} of unusual shapes"
    if torch.is_autocast_enabled(place.type):
        return f"{name} under autocast"
    if not torch.compiler.is_compiling() and _transformed():
        return f"{name} in a function transformation"
    return ""


def _transformed() -> bool:
    """Whether torch.func or forward-mode differentiation is at work, which see no kernels."""
    functorch = torch._C._functorch.peek_interpreter_stack() is not None
    return functorch or torch.autograd.forward_ad._current_level >= 0


def faster(
    owner: Owner,
    name: str,
    needed: Mapping[str, str],
    bucket: str,
    tensors: Sequence[Any],
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
) -> bool:
    """Whether a call is to take kernels: both ways are timed when a bucket is first met.

    With gradients, a pass is forward and backward. While a graph is traced nothing can be timed: it
    takes the kernels.

    Args:
        owner: told of the call.
        name: of the operation, for the report.
        needed: the operations of the registry that it takes -> the type of their arrays.
        bucket: word for the shapes that share a choice.
        tensors: what the call was given and may differentiate.
        ours: takes such tensors.
        theirs: takes such tensors; what PyTorch does without us.
    """
    if torch.compiler.is_compiling():
        return True
    grad = torch.is_grad_enabled() and any(one.requires_grad for one in tensors)
    dtype = str(tensors[0].dtype).removeprefix("torch.")
    device = device_of(next(iter(needed)), tensors[0])
    key = Key(name if grad else f"{name}_forward", dtype, bucket, device)
    owner.meet(key, [tuple(one.shape) for one in tensors])
    choice = registry().decided(key)
    if choice is None:
        passes = _pass(tensors, theirs, grad=grad), _pass(tensors, ours, grad=grad)
        threads = torch.get_num_threads()
        wait = torch.cuda.synchronize if tensors[0].device.type == "cuda" else None
        choice = registry().choose_all(
            key,
            needed,
            timed(passes[0], threads, wait),
            lambda kernels: timed(_with(kernels, passes[1]), threads, wait),
            threads,
        )
    return bool(choice.kernels)


def _with(kernels: Sequence[LoadedKernel], run: Callable[[], Any]) -> Callable[[], None]:
    def passing() -> None:
        with registry().trying(kernels):
            run()

    return passing


def _pass(tensors: Sequence[Any], run: Callable[..., Any], *, grad: bool) -> Callable[[], None]:
    """A pass over copies that share their data with `tensors`; gradients go nowhere."""
    inputs = [one.detach().requires_grad_(grad and one.requires_grad) for one in tensors]
    wanted = [one for one in inputs if one.requires_grad]
    with torch.set_grad_enabled(grad), _random_kept():
        above = [torch.ones_like(one) for one in _outputs(run(*inputs))] if grad else []

    def passing() -> None:
        with torch.set_grad_enabled(grad):
            outputs = _outputs(run(*inputs))
            if grad:
                torch.autograd.grad(outputs, wanted, above)

    return passing


def _outputs(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def _random_kept() -> contextlib.AbstractContextManager[Any]:
    return torch.random.fork_rng(devices=[])  # type: ignore[no-any-return]


Needed = Mapping[str, Sequence[str]]

NEEDED: Needed = {
    "rmsnorm": ("rmsnorm", "rmsnorm_backward"),
    "layernorm": ("layernorm",),
    "cross_entropy": ("cross_entropy",),
    "rope": ("rope",),
    "swiglu": ("swiglu",),
    "softmax": ("softmax",),
    "embedding": ("embedding_backward",),
    "adamw": ("adamw",),
    "linear": ("matmul",),
    "decoding": ("matmul_bf16",),
}
"""What `accelerate` replaces -> the operations of the registry that it takes."""


def chosen(
    owner: Owner,
    name: str,
    why: str,
    bucket: str,
    tensors: Sequence[Any],
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
) -> Any:
    """Do a call one way or the other; see `faster`. `why` hinders kernels where it is not empty."""
    if why:
        owner.keep(why)
        return theirs(*tensors)
    needed = {op: dtype_of(op) for op in NEEDED[name]}
    way = ours if faster(owner, name, needed, bucket, tensors, ours, theirs) else theirs
    return way(*tensors)
