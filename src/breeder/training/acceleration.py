"""Swaps checked kernels into models, and out again.

`F.scaled_dot_product_attention` and RMS normalisation are intercepted while a model's forward pass
runs (`torch.overrides.TorchFunctionMode`), wherever they are called from and however they were
imported; modules that spell RMS normalisation out (`LlamaRMSNorm` and the like) get another
`forward`, after a trial on random numbers. Calls that no kernel covers go to PyTorch as before.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from breeder.errors import UserError
from breeder.training.attention import DTYPES, attention
from breeder.training.operators import registry, rmsnorm
from breeder.training.pytorch import torch

_EPSILONS = ("variance_epsilon", "eps", "epsilon")
_TRIAL_ROWS = 4
_AGREEMENT = 1e-5
_PLAIN = (torch.Tensor, torch.nn.Parameter, torch._subclasses.FakeTensor)  # the last while tracing
_MARK = "_breeder_acceleration"


def accelerate(model: Any = None) -> Acceleration:
    """Have a model, or every model, use checked kernels where these are faster.

    As a function it stays until `undo`; as a context manager it ends with the block:

        accelerated = accelerate(model)
        with accelerate(model): ...
        with accelerate(): ...   # every module, on this thread

    Args:
        model: any `torch.nn.Module`; what its own `forward` does is covered, whoever calls it. None
            covers everything that this thread does inside the block.

    Raises:
        UserError: torch is missing, `model` is no module, or it is accelerated already.
    """
    return Acceleration(model)


class Acceleration:
    """Kernels swapped into a model; see `accelerate`."""

    def __init__(self, model: Any = None) -> None:
        self._mode = Intercept(self)
        self._model = model
        self._swapped: list[Any] = []
        self._entered = False
        self.kept: Counter[str] = Counter()
        if model is not None:
            self._swap()

    def undo(self) -> None:
        """Give the model back as it was. A second time does nothing."""
        while self._swapped:
            module, before = self._swapped.pop()
            if before is None:
                del module.forward
            else:
                module.forward = before
        if self._model is not None and _MARK in vars(self._model):
            delattr(self._model, _MARK)

    def report(self) -> str:
        """What runs on kernels, at which speed, and which calls stayed with PyTorch and why."""
        stayed = [f"{count} calls on PyTorch's path: {why}" for why, count in self.kept.items()]
        return "\n".join([registry().report(), *stayed])

    def __enter__(self) -> Acceleration:
        if self._model is None:
            self._mode.__enter__()
            self._entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._entered:
            self._entered = False
            self._mode.__exit__(kind, error, trace)
        self.undo()

    def _swap(self) -> None:
        if not isinstance(self._model, torch.nn.Module):
            raise UserError(f"accelerate takes a torch.nn.Module, not {type(self._model).__name__}")
        for module in self._model.modules():
            if _MARK in vars(module):
                raise UserError("the model, or a part of it, is accelerated already; undo that")
        for module, epsilon in spelt_out_norms(self._model):
            self._replace(module, self._norm(module, epsilon))
        self._replace(self._model, self._within(self._model.forward))
        # As a plain attribute it stays out of state_dict, parameters and submodules.
        setattr(self._model, _MARK, True)

    def _replace(self, module: Any, forward: Callable[..., Any]) -> None:
        self._swapped.append((module, vars(module).get("forward")))
        module.forward = forward

    def _within(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(forward)
        def accelerated(*args: Any, **kwargs: Any) -> Any:
            with self._mode:
                return forward(*args, **kwargs)

        return accelerated

    def _norm(self, module: Any, epsilon: float) -> Callable[..., Any]:
        before = module.forward

        @functools.wraps(before)
        def forward(x: Any) -> Any:
            why = rmsnorm_hindrance(x, module.weight)
            if why:
                self.keep(why)
                return before(x)
            return rmsnorm(x, module.weight, epsilon)

        return forward

    def keep(self, why: str) -> None:
        """Count a call that stays with PyTorch; not while a graph is being traced."""
        if not torch.compiler.is_compiling():
            self.kept[why] += 1


def spelt_out_norms(model: Any) -> Iterator[tuple[Any, float]]:
    """Modules that compute RMS normalisation by themselves, with their epsilon.

    A name that ends in RMSNorm, one weight and an epsilon make a candidate; it counts when it
    agrees with the formula on random numbers.
    """
    for module in model.modules():
        if not type(module).__name__.endswith("RMSNorm") or isinstance(module, torch.nn.RMSNorm):
            continue
        epsilon = next((getattr(module, one) for one in _EPSILONS if hasattr(module, one)), None)
        names = [name for name, _ in module.named_parameters()]
        if isinstance(epsilon, float) and names == ["weight"] and _agrees(module, epsilon):
            yield module, epsilon


def _agrees(module: Any, epsilon: float) -> bool:
    weight = module.weight
    if weight.ndim != 1 or weight.dtype != torch.float32 or weight.device.type != "cpu":
        return False
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(_TRIAL_ROWS, weight.numel(), generator=generator)
    with torch.no_grad():
        try:
            got = module(x)
        except Exception:  # whatever a stranger's module raises: it is not what it seemed to be
            return False
        exact = x.double() * torch.rsqrt(x.double().square().mean(-1, keepdim=True) + epsilon)
        exact = exact * weight.double()
        if getattr(got, "shape", None) != exact.shape:
            return False
        return bool((got.double() - exact).abs().max() <= _AGREEMENT * exact.abs().max())


def attention_hindrance(q: Any, k: Any, v: Any, options: dict[str, Any]) -> str:
    """Why no kernel covers this call; empty where one may."""
    if options["attn_mask"] is not None:
        return "attention with a mask of its own"
    if options["dropout_p"]:
        return "attention with dropout"
    if any(type(one) not in _PLAIN for one in (q, k, v)):
        return "attention of tensors of a class of their own"
    if any(one.device.type != "cpu" for one in (q, k, v)):
        return f"attention on {q.device.type}"
    if q.dtype not in DTYPES or any(one.dtype != q.dtype for one in (k, v)):
        return f"attention in {q.dtype}"
    return _shape_hindrance(q, k, v, grouped=bool(options["enable_gqa"]))


def _shape_hindrance(q: Any, k: Any, v: Any, *, grouped: bool) -> str:
    if any(one.ndim != 4 for one in (q, k, v)) or k.shape != v.shape:
        return "attention of unusual shapes"
    if q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3] or 0 in (*q.shape, *k.shape):
        return "attention of unusual shapes"
    if q.shape[1] != k.shape[1] and not (grouped and q.shape[1] % k.shape[1] == 0):
        return "attention of unusual shapes"
    if torch.is_autocast_enabled("cpu"):
        return "attention under autocast"
    return ""


def rmsnorm_hindrance(x: Any, weight: Any) -> str:
    """Why no kernel covers this call; empty where one may."""
    if weight is None or weight.ndim != 1 or x.shape[-1] != weight.numel() or not x.numel():
        return "RMS normalisation of unusual shapes"
    if any(type(one) not in _PLAIN for one in (x, weight)):
        return "RMS normalisation of tensors of a class of their own"
    if any(one.device.type != "cpu" for one in (x, weight)):
        return f"RMS normalisation on {x.device.type}"
    if any(one.dtype != torch.float32 for one in (x, weight)):
        return f"RMS normalisation in {x.dtype}"
    return ""


class Intercept(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
    """Sends the calls that kernels cover to the operators."""

    def __init__(self, owner: Acceleration) -> None:
        super().__init__()
        self._owner = owner

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Called by torch for each of its functions, in place of it."""
        kwargs = kwargs or {}
        if func is torch.nn.functional.scaled_dot_product_attention:
            return _attention(self._owner, func, *args, **kwargs)
        if func is torch.nn.functional.rms_norm or func is torch.rms_norm:
            return _rms_norm(self._owner, func, *args, **kwargs)
        if func is torch.Tensor.unflatten:  # calls its base class, which torch.compile cannot trace
            return torch.unflatten(*args, **kwargs)
        return func(*args, **kwargs)


def _attention(owner: Acceleration, func: Any, query: Any, key: Any, value: Any, *rest: Any,
               **named: Any) -> Any:  # fmt: skip
    names = ("attn_mask", "dropout_p", "is_causal")
    options = {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None,
               "enable_gqa": False, **dict(zip(names, rest, strict=False)), **named}  # fmt: skip
    why = attention_hindrance(query, key, value, options)
    if why:
        owner.keep(why)
        return func(query, key, value, *rest, **named)
    scale = options["scale"]
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else float(scale)
    q, k, v = (one if one.stride(-1) == 1 else one.contiguous() for one in (query, key, value))
    return attention(q, k, v, bool(options["is_causal"]), scale)[0]


def _rms_norm(owner: Acceleration, func: Any, x: Any, shape: Any, weight: Any = None,
              eps: float | None = None) -> Any:  # fmt: skip
    why = rmsnorm_hindrance(x, weight) or ("" if len(shape) == 1 else "of several dimensions")
    if why:
        owner.keep(why)
        return func(x, shape, weight, eps)
    epsilon = torch.finfo(x.dtype).eps if eps is None else eps
    return rmsnorm(x, weight, epsilon)
