"""AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019) in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from breeder.training.operators import in_pieces, registry, timed
from breeder.training.pytorch import torch
from breeder.training.registry import Key, LoadedKernel
from breeder.training.rows import ALONE, cut, power

_STATE = ("exp_avg", "exp_avg_sq")
_SMALL = 1 << 18
"""Elements below which a call of its own costs more than a kernel saves: PyTorch takes all such
tensors of a group in one."""

Tensors = tuple[Any, Any, Any, Any]
"""Parameter, gradient and both moments."""


class AdamW(torch.optim.AdamW):  # type: ignore[misc]
    """`torch.optim.AdamW` with a kernel behind it where that is faster than `fused=True`.

    Options and state are PyTorch's: `state_dict` goes from one to the other and back. What no
    kernel covers (other types and devices, AMSGrad, options that are tensors) takes PyTorch's step.
    """

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step on every parameter that has a gradient; returns what `closure` returns."""
        why = hindrance(self)
        if why:
            return _pytorchs_step()(self, closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch._C.DisableTorchFunction():  # plain tensors: nobody need look at each call
            for group in self.param_groups:
                self._group(group)
        return loss

    def _group(self, group: dict[str, Any]) -> None:
        options = (group["lr"], *group["betas"], group["eps"], group["weight_decay"])
        small, steps = [], []
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            tensors, step = self._tensors(parameter, maximise=group["maximize"])
            if parameter.numel() < _SMALL:
                small.append(tensors)
                steps.append(step)
            else:
                step += 1
                _update(tensors, step, options)
        if small:
            torch._foreach_add_(steps, 1)
            _by_pytorch(small, steps, options)

    def _tensors(self, parameter: Any, *, maximise: bool) -> tuple[Tensors, Any]:
        """What a step works on, and how many there were before it."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0, dtype=torch.float32)
            for name in _STATE:
                state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        grad = -parameter.grad if maximise else parameter.grad
        for name in _STATE:
            state[name] = _laid_like(parameter, state[name])
        moments = state["exp_avg"], state["exp_avg_sq"]
        return (parameter.detach(), _laid_like(parameter, grad), *moments), state["step"]


def _laid_like(parameter: Any, x: Any) -> Any:
    """x, its elements in the same order in memory as the parameter's.

    Both the kernel and PyTorch's fused step go through memory in order, whatever the strides say
    (PyTorch 2.13 on the CPU: a transposed gradient moves the wrong elements).
    """
    return x if x.stride() == parameter.stride() else torch.empty_like(parameter).copy_(x)


def _pytorchs_step() -> Callable[..., Any]:
    """PyTorch's step without the hooks around it, which run around ours already."""
    step = torch.optim.Adam.step  # which AdamW inherits
    return step.__wrapped__ if getattr(step, "hooked", False) else step  # type: ignore[no-any-return]


def hindrance(optimiser: Any) -> str:
    """Why no kernel covers an optimiser's step; empty where one does."""
    for group in optimiser.param_groups:
        numbers = (group["lr"], *group["betas"])
        if any(isinstance(one, torch.Tensor) for one in numbers):
            return "AdamW with options that are tensors"
        for option in ("amsgrad", "capturable", "differentiable"):
            if group.get(option):
                return f"AdamW with {option}"
        for parameter in group["params"]:
            if parameter.device.type != "cpu" or parameter.dtype != torch.float32:
                return f"AdamW of {parameter.dtype} on {parameter.device.type}"
            if parameter.numel() and not (parameter.is_contiguous() or _dense(parameter)):
                return "AdamW of parameters with gaps"
            if parameter.grad is not None and (
                parameter.grad.layout != torch.strided or parameter.grad.dtype != parameter.dtype
            ):
                return "AdamW of sparse or mixed gradients"
    return ""


def _update(tensors: Tensors, step: Any, options: tuple[float, ...]) -> None:
    """One step in place of parameter, gradient and both moments, by kernel or PyTorch's fused step.

    Args:
        tensors: float32, on the CPU.
        step: from 1, a tensor.
        options: rate, both betas, epsilon, decay.
    """
    kernel = _kernel(tensors, step, options)
    if kernel is not None:
        _by_kernel(kernel, tensors, int(step), options)
    else:
        _by_pytorch([tensors], [step], options)


def _dense(x: Any) -> bool:
    """Whether a tensor lies in memory without gaps."""
    steps = zip(x.shape, x.stride(), strict=True)
    return bool(sum((size - 1) * step for size, step in steps) + 1 == x.numel())


def _kernel(tensors: Tensors, step: Any, options: tuple[float, ...]) -> LoadedKernel | None:
    """The kernel for tensors of this size; chosen against PyTorch's fused step at first."""
    key = Key("adamw", "float32", str(power(tensors[0].numel())))
    choice = registry().decided(key)
    if choice is None:
        threads = torch.get_num_threads()
        copies = tuple(one.detach().clone() for one in tensors)
        choice = registry().choose(
            key,
            timed(lambda: _by_pytorch([copies], [step], options), threads),
            lambda kernel: timed(lambda: _by_kernel(kernel, copies, int(step), options), threads),
            threads,
        )
    return choice.kernel


def _by_kernel(
    kernel: LoadedKernel, tensors: Tensors, step: int, options: tuple[float, ...]
) -> None:
    count = tensors[0].numel()

    def run(span: tuple[int, int]) -> None:
        begin, end = span
        at = [one.data_ptr() + 4 * begin for one in tensors]
        kernel.call(*at, end - begin, *options, step)

    in_pieces(run, cut(0, count, torch.get_num_threads() if count >= ALONE else 1))
    torch.autograd.graph.increment_version((tensors[0], *tensors[2:]))


def _by_pytorch(
    several: Sequence[Tensors], steps: Sequence[Any], options: tuple[float, ...]
) -> None:
    rate, beta1, beta2, epsilon, decay = options
    parameters, grads, m, v = map(list, zip(*several, strict=True))
    torch._fused_adamw_(
        parameters, grads, m, v, [], steps, lr=rate, beta1=beta1, beta2=beta2,
        weight_decay=decay, eps=epsilon, amsgrad=False, maximize=False,
    )  # fmt: skip
