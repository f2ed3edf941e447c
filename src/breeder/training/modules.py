"""Modules and functions of model libraries that spell an operation out, and what replaces them.

A name makes a candidate (`...RMSNorm`, `...MLP` with gated projections, `apply_rotary_pos_emb`); it
counts when it agrees with the formula on random numbers.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from breeder.training import fused
from breeder.training.calls import Owner, chosen, hindrance
from breeder.training.functions import WITH_TRITON, matrix_bucket, normed_hindrance, swiglu
from breeder.training.fused.rotary import bucket_of
from breeder.training.fused.rotary import formula as turned
from breeder.training.pytorch import torch

_EPSILONS = ("variance_epsilon", "eps", "epsilon")
_TRIAL_ROWS = 4
_AGREEMENT = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
_ROTARY = "apply_rotary_pos_emb"
_TRIAL_WIDTH = 8

Swap = tuple[Any, Callable[..., Any]]


def swaps(model: Any, owner: Owner) -> Iterator[Swap]:
    """Modules of a model that spell an operation out, each with another `forward`."""
    for module in model.modules():
        name = type(module).__name__
        if name.endswith("RMSNorm") and not isinstance(module, torch.nn.RMSNorm):
            yield from _norm(module, owner)
        elif name.endswith("MLP"):
            yield from _gated(module, owner)


def _norm(module: Any, owner: Owner) -> Iterator[Swap]:
    epsilon = next((getattr(module, one) for one in _EPSILONS if hasattr(module, one)), None)
    names = [name for name, _ in module.named_parameters()]
    if not isinstance(epsilon, float) or names != ["weight"] or module.weight.ndim != 1:
        return

    def formula(x: Any) -> Any:
        wide = x.double()
        factor = torch.rsqrt(wide.square().mean(-1, keepdim=True) + epsilon)
        return wide * factor * module.weight.double()

    if not _agrees(module, formula, module.weight, module.weight.numel()):
        return
    before = module.forward

    @functools.wraps(before)
    def forward(x: Any) -> Any:
        name, weight = "RMS normalisation", module.weight
        return chosen(
            owner, "rmsnorm",
            normed_hindrance(name, x, x.shape[-1:], weight, devices=WITH_TRITON),
            matrix_bucket(x), (x, weight),
            lambda x, weight: fused.rmsnorm(x, weight, epsilon),
            lambda x, weight: _with_weight(module, before, x, weight),
        )  # fmt: skip

    yield module, forward


def _with_weight(module: Any, forward: Callable[..., Any], x: Any, weight: Any) -> Any:
    """What a module computes, with another weight where a trial asks for its gradient."""
    if weight is module.weight:
        return forward(x)
    kept = module._parameters["weight"]
    module._parameters["weight"] = weight
    try:
        return forward(x)
    finally:
        module._parameters["weight"] = kept


def _gated(module: Any, owner: Owner) -> Iterator[Swap]:
    parts = [getattr(module, f"{name}_proj", None) for name in ("gate", "up", "down")]
    activation = getattr(module, "act_fn", None)
    gate, up, down = parts
    if not callable(activation) or gate is None or up is None or down is None:
        return
    weight = next(iter(gate.parameters()), None)
    width = getattr(gate, "in_features", None)
    if weight is None or not isinstance(width, int):
        return

    def formula(x: Any) -> Any:
        return down(torch.nn.functional.silu(gate(x)) * up(x))

    if not _agrees(module, formula, weight, width):
        return
    before = module.forward

    @functools.wraps(before)
    def forward(x: Any) -> Any:
        gates, ups = module.gate_proj(x), module.up_proj(x)
        mixed = swiglu(owner, lambda gates, ups: module.act_fn(gates) * ups, gates, ups)
        return module.down_proj(mixed)

    yield module, forward


def _agrees(module: Any, formula: Callable[..., Any], weight: Any, width: int) -> bool:
    """Whether a module computes a formula, on random rows; random numbers go on as before."""
    if weight.dtype not in _AGREEMENT or weight.device.type not in WITH_TRITON:
        return False
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(_TRIAL_ROWS, width, generator=generator).to(weight)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            got, exact = module.forward(x), formula(x).double()
        except Exception:  # whatever a stranger's module raises: it is not what it seemed to be
            return False
        if getattr(got, "shape", None) != exact.shape:
            return False
        most = _AGREEMENT[weight.dtype] * exact.abs().max()
        return bool((got.double() - exact).abs().max() <= most)


_running: list[bool] = []


@contextlib.contextmanager
def running() -> Iterator[None]:
    """While an accelerated model's forward pass runs, its rotary embeddings take kernels."""
    _running.append(True)
    try:
        yield
    finally:
        _running.pop()


class Rotary:
    """`apply_rotary_pos_emb` of the files that a model's classes come from, replaced until `undo`.

    The replacement does nothing of its own outside of `running`, so other models of these classes
    are not touched.
    """

    _counts: ClassVar[dict[str, int]] = {}

    def __init__(self, model: Any, owner: Owner) -> None:
        names = {type(module).__module__ for module in model.modules()}
        files = [(name, vars(sys.modules[name])) for name in sorted(names) if name in sys.modules]
        self._names = [name for name, scope in files if _is_rotary(scope.get(_ROTARY))]
        for name in self._names:
            self._counts[name] = self._counts.get(name, 0) + 1
            if self._counts[name] == 1:
                scope = vars(sys.modules[name])
                scope[_ROTARY] = _rotary(scope[_ROTARY], owner)

    def undo(self) -> None:
        """Put the functions back that no other acceleration needs."""
        for name in self._names:
            self._counts[name] -= 1
            if not self._counts[name]:
                scope = vars(sys.modules[name])
                scope[_ROTARY] = scope[_ROTARY].__wrapped__
        self._names = []


def _is_rotary(function: Any) -> bool:
    """Whether a function turns queries and keys by halves, on random numbers."""
    if not callable(function):
        return False
    if hasattr(function, "__wrapped__") and getattr(function, "_breeder", False):
        return True
    generator = torch.Generator().manual_seed(1)
    q, k = (torch.randn(1, heads, 3, _TRIAL_WIDTH, generator=generator) for heads in (2, 1))
    half = torch.rand(1, 3, _TRIAL_WIDTH // 2, generator=generator)
    cosines, sines = (torch.cat((one, one), -1) for one in (half.cos(), half.sin()))
    try:
        got = function(q, k, cosines, sines)
    except Exception:  # whatever a stranger's function raises
        return False
    expected = [turned(one.transpose(1, 2), cosines[0], sines[0]).transpose(1, 2) for one in (q, k)]
    return (
        isinstance(got, tuple) and len(got) == 2
        and all(a.shape == b.shape and torch.allclose(a, b, atol=1e-5)
                for a, b in zip(got, expected, strict=True))
    )  # fmt: skip


def _rotary(before: Callable[..., Any], owner: Owner) -> Callable[..., Any]:
    @functools.wraps(before)
    def rotary(q: Any, k: Any, cos: Any, sin: Any, *rest: Any, **named: Any) -> Any:
        if not _running:
            return before(q, k, cos, sin, *rest, **named)
        return chosen(
            owner, "rope", _rotary_hindrance(q, k, cos, sin, rest, named),
            "+".join(bucket_of(one) for one in (q, k)), (q, k),
            lambda q, k: (_turned(q, cos, sin), _turned(k, cos, sin)),
            lambda q, k: before(q, k, cos, sin, *rest, **named),
        )  # fmt: skip

    rotary._breeder = True  # type: ignore[attr-defined]
    return rotary


def _rotary_hindrance(q: Any, k: Any, cos: Any, sin: Any, rest: Any, named: Any) -> str:
    name = "rotary embedding"
    why = hindrance(name, q, k, cos, sin, types=(torch.float32,))
    if why:
        return why
    if rest or any(option != "unsqueeze_dim" or value != 1 for option, value in named.items()):
        return f"{name} with options"
    whole = q.ndim == k.ndim == 4 and cos.shape == sin.shape == (1, *q.shape[2:])
    if not whole or k.shape[2:] != q.shape[2:] or cos.requires_grad or sin.requires_grad:
        return f"{name} of a part, or with positions of each row's own"
    return ""


def _turned(x: Any, cos: Any, sin: Any) -> Any:
    """Turn x (batch, heads, tokens, width) by angles (1, tokens, width)."""
    return fused.rope(x.transpose(1, 2), cos[0], sin[0]).transpose(1, 2)
