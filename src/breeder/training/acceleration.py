"""Swaps checked kernels into models, and out again.

`F.scaled_dot_product_attention` and the functions of `functions` are intercepted while a model's
forward pass runs (`torch.overrides.TorchFunctionMode`), wherever they are called from and however
they were imported; modules that spell an operation out (`modules`) get another `forward`, after a
trial on random numbers. Calls that no kernel covers go to PyTorch as before.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from breeder.errors import UserError
from breeder.training import modules
from breeder.training.attention import DTYPES, Attention, attention
from breeder.training.calls import faster
from breeder.training.devices import CPU
from breeder.training.functions import FUNCTIONS, WITH_TRITON, instead
from breeder.training.fused.optimiser import AdamW
from breeder.training.operators import registry
from breeder.training.pytorch import torch
from breeder.training.registry import Key
from breeder.training.worth import Worth

_PLAIN = (torch.Tensor, torch.nn.Parameter, torch._subclasses.FakeTensor)  # the last while tracing
_MARK = "_breeder_acceleration"


def accelerate(model: Any = None, optimiser: Any = None) -> Acceleration:
    """Have a model, or every model, use checked kernels where these are faster.

    As a function it stays until `undo`; as a context manager it ends with the block:

        accelerated = accelerate(model)
        with accelerate(model): ...
        with accelerate(): ...   # every module, on this thread

    Args:
        model: any `torch.nn.Module`; what its own `forward` does is covered, whoever calls it. None
            covers everything that this thread does inside the block.
        optimiser: of its parameters. `torch.optim.AdamW` takes its steps with a kernel then; others
            stay as they are.

    Raises:
        UserError: torch is missing, `model` is no module, or it is accelerated already.
    """
    return Acceleration(model, optimiser)


class Acceleration:
    """Kernels swapped into a model; see `accelerate`."""

    def __init__(self, model: Any = None, optimiser: Any = None) -> None:
        self._model, self._optimiser = model, None
        self._rotary: list[modules.Rotary] = []
        self._included: list[Any] = []
        self._swapped: list[Any] = []
        self._entered: contextlib.ExitStack | None = None
        self.kept: Counter[str] = Counter()
        self.calls: Counter[Key] = Counter()
        self._mode = Intercept(self)
        self._hook: Any = None
        self.shapes: dict[Key, Sequence[tuple[int, ...]]] = {}
        if model is not None:
            self._swap()
        if optimiser is not None:
            self.include_optimiser(optimiser)

    def undo(self) -> None:
        """Give the model back as it was. A second time does nothing."""
        while self._swapped:
            module, before = self._swapped.pop()
            if before is None:
                del module.forward
            else:
                module.forward = before
        for model in (self._model, *self._included):
            if model is not None and _MARK in vars(model):
                delattr(model, _MARK)
        while self._rotary:
            self._rotary.pop().undo()
        if self._hook is not None:
            self._hook.remove()
            self._hook = None
        if self._optimiser is not None:
            self._optimiser.__class__ = torch.optim.AdamW
            self._optimiser = None

    def meet(self, key: Key, shapes: Sequence[tuple[int, ...]]) -> None:
        """Count a call that kernels may take, with the shapes of its first time."""
        self.calls[key] += 1
        self.shapes.setdefault(key, shapes)

    def include(self, model: Any) -> None:
        """Cover what a model's modules spell out, too, inside `with accelerate():`.

        A model that is covered already stays as it is.
        """
        if _MARK not in vars(model):
            for module, forward in modules.swaps(model, self):
                self._replace(module, forward)
            self._rotary.append(modules.Rotary(model, self))
            setattr(model, _MARK, True)
            self._included.append(model)

    def report(self) -> str:
        """What runs on kernels, at which speed, and which calls stayed with PyTorch and why."""
        stayed = [f"{count} calls on PyTorch's path: {why}" for why, count in self.kept.items()]
        if self._mode.idle:
            stayed.append(f"PyTorch's path for everything but the optimiser: {self._mode.idle}")
        return "\n".join([registry().report(), *stayed])

    def __enter__(self) -> Acceleration:
        if self._model is None:
            self._entered = contextlib.ExitStack()
            self._entered.enter_context(self._mode)
            self._entered.enter_context(modules.running())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()
        self.undo()

    def _leave(self) -> None:
        if self._entered is not None:
            self._entered.close()
            self._entered = None

    def _rest(self, *_: Any) -> None:
        """After a step of the optimiser: stop looking for calls where that does not pay."""
        if self._mode.idle and torch.overrides._get_current_function_mode() is self._mode:
            self._leave()

    def _swap(self) -> None:
        if not isinstance(self._model, torch.nn.Module):
            raise UserError(f"accelerate takes a torch.nn.Module, not {type(self._model).__name__}")
        for module in self._model.modules():
            if _MARK in vars(module):
                raise UserError("the model, or a part of it, is accelerated already; undo that")
        for module, forward in modules.swaps(self._model, self):
            self._replace(module, forward)
        self._rotary.append(modules.Rotary(self._model, self))
        self._replace(self._model, self._within(self._model.forward))
        # As a plain attribute it stays out of state_dict, parameters and submodules.
        setattr(self._model, _MARK, True)

    def include_optimiser(self, optimiser: Any) -> None:
        """Have an optimiser take its steps with a kernel, if it is PyTorch's AdamW."""
        if self._hook is None and isinstance(optimiser, torch.optim.Optimizer):
            self._hook = optimiser.register_step_post_hook(self._rest)
        if type(optimiser) is not torch.optim.AdamW:
            self.keep(f"{type(optimiser).__name__}: only torch.optim.AdamW has a kernel")
        elif "step" in vars(optimiser):
            self.keep("AdamW whose step a scheduler holds: accelerate before making the scheduler")
        else:
            self._optimiser = optimiser
            optimiser.__class__ = AdamW
            optimiser._patch_step_function()  # so that the hooks of steps run

    def _replace(self, module: Any, forward: Callable[..., Any]) -> None:
        self._swapped.append((module, vars(module).get("forward")))
        module.forward = forward

    def _within(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(forward)
        def accelerated(*args: Any, **kwargs: Any) -> Any:
            if self._mode.idle:
                return forward(*args, **kwargs)
            with self._mode, modules.running():
                return forward(*args, **kwargs)

        return accelerated

    def keep(self, why: str) -> None:
        """Count a call that stays with PyTorch; not while a graph is being traced."""
        if not torch.compiler.is_compiling():
            self.kept[why] += 1


def attention_hindrance(q: Any, k: Any, v: Any, options: dict[str, Any]) -> str:
    """Why no kernel covers this call; empty where one may."""
    if options["attn_mask"] is not None:
        return "attention with a mask of its own"
    if options["dropout_p"]:
        return "attention with dropout"
    if any(type(one) not in _PLAIN for one in (q, k, v)):
        return "attention of tensors of a class of their own"
    if q.device.type not in WITH_TRITON or any(one.device != q.device for one in (k, v)):
        return f"attention on {q.device.type}"
    if q.device.type != "cpu" and torch.compiler.is_compiling():
        return f"attention on {q.device.type} in a compiled graph"
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
    if torch.is_autocast_enabled(q.device.type):
        return "attention under autocast"
    return ""


class Intercept(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
    """Sends the calls that kernels cover to the operators, as long as that pays.

    Attributes:
        idle: why it does not, for good; empty as long as it does.
    """

    def __init__(self, owner: Acceleration) -> None:
        super().__init__()
        self._owner = owner
        self._worth = Worth(owner.calls, owner.kept)
        self.idle = ""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Called by torch for each of its functions, in place of it."""
        kwargs = kwargs or {}
        if self.idle:
            return func(*args, **kwargs)
        if not torch.compiler.is_compiling():
            self.idle = self._worth.call()
        if func is torch.nn.functional.scaled_dot_product_attention:
            return _attention(self._owner, func, *args, **kwargs)
        if func in FUNCTIONS:
            return instead(self._owner, func, args, kwargs)
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
    causal = bool(options["is_causal"])

    def ours(query: Any, key: Any, value: Any) -> Any:
        q, k, v = (one if one.stride(-1) == 1 else one.contiguous() for one in (query, key, value))
        return attention(q, k, v, causal, scale)[0]

    one = Attention(query, key, value, causal, scale)
    if one.key("forward").device == CPU:  # the operators choose by themselves
        if not torch.compiler.is_compiling():
            for met in one.of_pass():
                owner.meet(met, [tuple(each.shape) for each in (query, key)])
        return ours(query, key, value)
    needed = {met.op: met.dtype for met in one.of_pass()}
    taken = faster(
        owner, "attention", needed, one.bucket, (query, key, value), ours,
        lambda *given: func(*given, *rest, **named),
    )  # fmt: skip
    return ours(query, key, value) if taken else func(query, key, value, *rest, **named)
