"""Functions of PyTorch and of `breeder.models` that `accelerate` intercepts, beside attention.

Each entry is called in place of the function with the acceleration that asked, the function itself
and its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from breeder.models import operations
from breeder.training import fused
from breeder.training.calls import Owner, chosen, hindrance
from breeder.training.fused import decoding, products
from breeder.training.fused.rotary import bucket_of
from breeder.training.operators import registry
from breeder.training.pytorch import torch
from breeder.training.rows import bucket, power

_F = torch.nn.functional
_INDICES = torch.int64
WITH_TRITON = ("cpu", "cuda")
"""Devices of operations that have kernels in Triton, too."""

_LEAST_ROWS = 32  # a tile's: fewer leave it empty


def matrix_bucket(x: Any) -> str:
    """Word for rows of the last dimension that share a choice."""
    columns = max(int(x.shape[-1]), 1)
    return bucket(x.numel() // columns, columns)


def normed_hindrance(
    name: str, x: Any, shape: Any, *parameters: Any, devices: Sequence[str] = ("cpu",)
) -> str:
    """Why no kernel covers a normalisation; empty where one may."""
    if len(shape) != 1 or any(one is None for one in parameters):
        return f"{name} without weights or over several dimensions"
    why = hindrance(name, x, *parameters, devices=devices)
    if not why and (x.shape[-1] != shape[0] or any(one.shape != (shape[0],) for one in parameters)):
        return f"{name} of unusual shapes"
    return why


def _rms_norm(owner: Owner, func: Any, x: Any, shape: Any, weight: Any = None,
              eps: float | None = None) -> Any:  # fmt: skip
    epsilon = torch.finfo(x.dtype).eps if eps is None else eps
    why = normed_hindrance("RMS normalisation", x, shape, weight, devices=WITH_TRITON)
    return chosen(
        owner, "rmsnorm", why,
        matrix_bucket(x), (x, weight),
        lambda x, weight: fused.rmsnorm(x, weight, epsilon),
        lambda x, weight: func(x, shape, weight, eps),
    )  # fmt: skip


def _layer_norm(owner: Owner, func: Any, x: Any, shape: Any, weight: Any = None, bias: Any = None,
                eps: float = 1e-5, *rest: Any, **named: Any) -> Any:  # fmt: skip
    return chosen(
        owner, "layernorm", normed_hindrance("layer normalisation", x, shape, weight, bias),
        matrix_bucket(x), (x, weight, bias),
        lambda x, weight, bias: fused.layernorm(x, weight, bias, eps)[0],
        lambda x, weight, bias: func(x, shape, weight, bias, eps, *rest, **named),
    )  # fmt: skip


def _cross_entropy(owner: Owner, func: Any, logits: Any, targets: Any, *rest: Any,
                   **named: Any) -> Any:  # fmt: skip
    names = ("weight", "size_average", "ignore_index", "reduce", "reduction", "label_smoothing")
    options = {"ignore_index": -100, "reduction": "mean", **dict(zip(names, rest, strict=False)),
               **named}  # fmt: skip
    reduction, ignored = options.pop("reduction"), options.pop("ignore_index")
    why = hindrance("cross-entropy", logits, devices=WITH_TRITON)
    why = why or hindrance("targets", targets, types=(_INDICES,), devices=(logits.device.type,))
    rows = logits.ndim == 2 and targets.ndim == 1 and targets.shape[0] == logits.shape[0]
    if not why and (not rows or reduction not in ("mean", "none") or any(options.values())):
        why = "cross-entropy with weights, smoothing or several dimensions"
    if not why and not (logits.requires_grad and torch.is_grad_enabled()):
        why = "cross-entropy without gradients"
    return chosen(
        owner, "cross_entropy", why, matrix_bucket(logits), (logits,),
        lambda x: fused.cross_entropy(x, targets, ignored, mean=reduction == "mean"),
        lambda x: func(x, targets, *rest, **named),
    )  # fmt: skip


def _softmax(owner: Owner, func: Any, x: Any, dim: int | None = None, *rest: Any,
             **named: Any) -> Any:  # fmt: skip
    why = hindrance("softmax", x)
    if not why and (not x.ndim or dim not in (-1, x.ndim - 1)):
        why = "softmax over another dimension than the last"
    kind = named.get("dtype") or next((one for one in rest if isinstance(one, torch.dtype)), None)
    if not why and kind not in (None, x.dtype):
        why = "softmax into another type"
    return chosen(
        owner, "softmax", why, matrix_bucket(x), (x,), fused.softmax,
        lambda x: func(x, dim, *rest, **named),
    )  # fmt: skip


def _embedding(owner: Owner, func: Any, tokens: Any, weight: Any, padding_idx: int | None = None,
               *rest: Any, **named: Any) -> Any:  # fmt: skip
    names = ("max_norm", "norm_type", "scale_grad_by_freq", "sparse")
    options = {**dict(zip(names, rest, strict=False)), **named, "norm_type": None}
    why = hindrance("embedding", weight) or hindrance("tokens", tokens, types=(_INDICES,))
    if not why and (weight.ndim != 2 or any(options.values())):
        why = "embedding with norms, frequencies or sparse gradients"
    if not why and not (weight.requires_grad and torch.is_grad_enabled()):
        why = "embedding without gradients"
    padding = -1 if padding_idx is None else padding_idx % int(weight.shape[0])
    size = bucket(tokens.numel(), int(weight.shape[-1])) + f"-{bucket(int(weight.shape[0]), 1)}"
    return chosen(
        owner, "embedding", why, size, (weight,),
        lambda weight: fused.embedding(weight, tokens, padding),
        lambda weight: func(tokens, weight, padding_idx, *rest, **named),
    )  # fmt: skip


def swiglu(owner: Owner, func: Any, gate: Any, up: Any) -> Any:
    """SwiGLU of two projections by a kernel, or as `func` does it."""
    why = hindrance("SwiGLU", gate, up)
    if not why and gate.shape != up.shape:
        why = "SwiGLU of unusual shapes"
    return chosen(
        owner, "swiglu", why, str(power(gate.numel())), (gate, up), fused.swiglu, func
    )  # fmt: skip


def _rotate(owner: Owner, func: Any, x: Any, cos: Any, sin: Any) -> Any:
    name = "rotary embedding"
    why = hindrance(name, x, cos, sin, types=(torch.float32,))
    whole = x.ndim == 4 and cos.shape == sin.shape == (x.shape[1], x.shape[3] // 2)
    if not why and (not whole or cos.requires_grad or sin.requires_grad):
        why = f"{name} with positions of each row's own"
    return chosen(
        owner, "rope", why, bucket_of(x), (x,),
        lambda x: fused.rope(x, cos, sin), lambda x: func(x, cos, sin),
    )  # fmt: skip


def _linear(owner: Owner, func: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    given = (x, weight) if bias is None else (x, weight, bias)
    if x.dtype == torch.bfloat16:
        return chosen(
            owner, "decoding", _decoding_hindrance(*given), decoding.bucket_of(x, weight), given,
            fused.few_rows, func,
        )  # fmt: skip
    why = _linear_hindrance(*given)
    if why:
        owner.keep(why)
        return func(*given)
    parts = products.PARTS[products.precision()]
    return chosen(
        owner, "linear", "", products.bucket_of(x, weight, parts), given,
        lambda x, weight, bias=None: fused.linear(x, weight, bias, parts),
        lambda x, weight, bias=None: func(x, weight, bias),
    )  # fmt: skip


def _linear_hindrance(x: Any, weight: Any, *bias: Any) -> str:
    name = "linear layers"
    if torch.compiler.is_compiling():  # nothing can be timed, and not every size is faster
        return f"{name} in a compiled graph"
    evolved = registry().has_evolved("matmul")  # for whichever sizes: it is timed anyway
    if not products.has_tiles() and not evolved:
        return f"{name} on a processor without matrix tiles"
    why = hindrance(name, x, weight, *bias, types=(torch.float32,))
    if why:
        return why
    columns, depth = weight.shape if weight.ndim == 2 else (0, 0)
    if x.shape[-1:] != (depth,) or any(one.shape != (columns,) for one in bias):
        return f"{name} of unusual shapes"
    return f"{name} of few rows" if x.numel() < _LEAST_ROWS * depth and not evolved else ""


def _decoding_hindrance(x: Any, weight: Any, *bias: Any) -> str:
    name = "linear layers in bfloat16"
    if torch.compiler.is_compiling():
        return f"{name} in a compiled graph"
    if bias:  # which PyTorch adds before it rounds
        return f"{name} with a bias"
    if not products.has_tiles() and not registry().has_evolved("matmul_bf16"):
        return f"{name} on a processor without matrix tiles"
    why = hindrance(name, x, weight, types=(torch.bfloat16,))
    if why:
        return why
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        return f"{name} with gradients"
    if weight.ndim != 2 or weight.stride(1) != 1 or x.shape[-1] != weight.shape[1]:
        return f"{name} of unusual shapes"
    many = x.numel() > decoding.MOST_ROWS * x.shape[-1]
    return f"{name} of more than {decoding.MOST_ROWS} rows" if many else ""


FUNCTIONS: Mapping[Any, Callable[..., Any]] = {
    _F.rms_norm: _rms_norm,
    torch.rms_norm: _rms_norm,
    _F.layer_norm: _layer_norm,
    torch.layer_norm: _layer_norm,
    _F.cross_entropy: _cross_entropy,
    _F.softmax: _softmax,
    torch.softmax: _softmax,
    torch.Tensor.softmax: _softmax,
    _F.embedding: _embedding,
    _F.linear: _linear,
    operations.swiglu: swiglu,
    operations.rotate: _rotate,
}
"""Function of PyTorch, or of our models -> what is called in its place, by `instead`."""

_NAMES = {"normalized_shape": "shape", "target": "targets"}
"""PyTorch's names of arguments -> ours; `input` comes first everywhere."""


def instead(owner: Owner, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Call what stands in the place of a function, whichever arguments were given by name."""
    named = {_NAMES.get(name, name): value for name, value in kwargs.items()}
    first = (named.pop("input"),) if "input" in named else ()
    return FUNCTIONS[func](owner, func, *first, *args, **named)
