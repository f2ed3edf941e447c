"""What `fused_ops.py` measures: each operation on its shapes, with its rivals and its bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Subject(NamedTuple):
    """An operation on one shape.

    Attributes:
        shape: for the table.
        ours, eager: a pass each; `others` are further rivals of the strongest setting.
        traced: what `torch.compile` is given, with the inputs; None where it is left out.
        reads, writes: float32 numbers that must come from memory and go there.
    """

    shape: str
    ours: Callable[[], Any]
    eager: Callable[[], Any]
    others: dict[str, Callable[[], Any]]
    traced: Callable[[Callable[..., Any]], Callable[[], Any]] | None
    reads: int
    writes: int


def both_ways(function: Callable[..., Any], inputs: Sequence[Any]) -> Callable[[], Any]:
    """Forward and backward; gradients go nowhere."""
    import torch

    wanted = [one for one in inputs if one.requires_grad]
    above = torch.ones_like(function(*inputs))
    return lambda: torch.autograd.grad(function(*inputs), wanted, above)


def trained(shape: str, ours: Any, eager: Any, inputs: Sequence[Any], *, reads: int, writes: int,
            **others: Any) -> Subject:  # fmt: skip
    """A subject that goes both ways."""
    return Subject(
        shape, both_ways(ours, inputs), both_ways(eager, inputs),
        {name: both_ways(one, inputs) for name, one in others.items()},
        lambda compile_: both_ways(compile_(eager), inputs), reads, writes,
    )  # fmt: skip


def leaf(*shape: int) -> Any:
    import torch

    return torch.randn(shape, requires_grad=True)


def rmsnorm(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n = rows * columns
    return trained(
        f"{rows} x {columns}", lambda x, w: fused.rmsnorm(x, w, 1e-5),
        lambda x, w: torch.nn.functional.rms_norm(x, (columns,), w, 1e-5),
        (leaf(rows, columns), leaf(columns)), reads=3 * n, writes=2 * n,
    )  # fmt: skip


def layernorm(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n = rows * columns
    return trained(
        f"{rows} x {columns}", lambda x, w, b: fused.layernorm(x, w, b, 1e-5)[0],
        lambda x, w, b: torch.nn.functional.layer_norm(x, (columns,), w, b, 1e-5),
        (leaf(rows, columns), leaf(columns), leaf(columns)), reads=3 * n, writes=2 * n,
    )  # fmt: skip


def cross_entropy(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n, targets = rows * columns, torch.randint(columns, (rows,))
    return trained(
        f"{rows} x {columns}", lambda x: fused.cross_entropy(x, targets),
        lambda x: torch.nn.functional.cross_entropy(x, targets),
        (leaf(rows, columns),), reads=n, writes=n,
    )  # fmt: skip


def cross_entropy_in_place(rows: int, columns: int) -> Subject:
    """The logits become their gradient, as code may have it that needs them no more."""
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n, targets = rows * columns, torch.randint(columns, (rows,))
    return trained(
        f"{rows} x {columns}", lambda x: fused.cross_entropy(x, targets, in_place=True),
        lambda x: torch.nn.functional.cross_entropy(x, targets),
        (leaf(rows, columns),), reads=n, writes=n,
    )  # fmt: skip


def rope_pairs(batch: int, tokens: int, heads: int, width: int) -> Subject:
    """Against complex numbers, too: neighbours turn together, as in Llama's own code.

    It is another order of elements, so models whose halves turn together cannot use it.
    """
    return rope(batch, tokens, heads, width, halves=False)


def rope(batch: int, tokens: int, heads: int, width: int, *, halves: bool = True) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    x = torch.randn(batch, tokens, heads, width)
    angles = torch.arange(tokens)[:, None] * 10.0 ** -torch.linspace(0, 4, width // 2)
    cosines, sines = (torch.cat((one, one), -1) for one in (angles.cos(), angles.sin()))
    turns = torch.polar(torch.ones_like(angles), angles)[:, None]

    def eager(x: Any) -> Any:
        first, second = x.chunk(2, -1)
        return x * cosines[:, None] + torch.cat((-second, first), -1) * sines[:, None]

    def pairs(x: Any) -> Any:
        return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turns).flatten(
            -2
        )

    return Subject(
        f"{batch} x {tokens} x {heads} x {width}", lambda: fused.rope(x, cosines, sines),
        lambda: eager(x), {} if halves else {"complex": lambda: pairs(x)},
        lambda compile_: (lambda run: lambda: run(x))(compile_(eager)), x.numel(), x.numel(),
    )  # fmt: skip


def swiglu(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    n = rows * columns
    return trained(
        f"{rows} x {columns}", fused.swiglu,
        lambda gate, up: torch.nn.functional.silu(gate) * up,
        (leaf(rows, columns), leaf(rows, columns)), reads=5 * n, writes=3 * n,
    )  # fmt: skip


def softmax(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    x = torch.randn(rows, columns)
    return Subject(
        f"{rows} x {columns}", lambda: fused.softmax(x), lambda: torch.softmax(x, -1), {},
        lambda compile_: (lambda run: lambda: run(x))(compile_(lambda x: torch.softmax(x, -1))),
        x.numel(), x.numel(),
    )  # fmt: skip


def embedding(count: int, vocabulary: int, columns: int) -> Subject:
    """The backward pass alone."""
    from breeder.training.fused.embedding import embedding_backward
    from breeder.training.pytorch import torch

    grad = torch.randn(count, columns)
    tokens = (vocabulary * torch.rand(count) ** 3).long()

    def eager(grad: Any) -> Any:
        return torch.ops.aten.embedding_dense_backward(grad, tokens, vocabulary, -1, False)

    return Subject(
        f"{count} of {vocabulary} x {columns}",
        lambda: embedding_backward(grad, tokens, vocabulary, -1), lambda: eager(grad), {},
        lambda compile_: (lambda run: lambda: run(grad))(compile_(eager)),
        count * columns, vocabulary * columns,
    )  # fmt: skip


def adamw(count: int) -> Subject:
    """Eager is `fused=True`; the others of the strongest setting are PyTorch's other two ways."""
    from breeder.training import fused
    from breeder.training.pytorch import torch

    def stepper(kind: Any, **options: Any) -> Callable[[], Any]:
        parameter = torch.nn.Parameter(torch.randn(count))
        parameter.grad = torch.randn(count)
        return kind([parameter], lr=1e-4, **options).step  # type: ignore[no-any-return]

    plain = torch.optim.AdamW
    return Subject(
        f"{count}", stepper(fused.AdamW), stepper(plain, fused=True),
        {"foreach": stepper(plain, foreach=True)}, None, 4 * count, 3 * count,
    )  # fmt: skip


def int8_gemv(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    weight = torch.randint(-128, 128, (rows, columns), dtype=torch.int8)
    scales, x = torch.rand(rows) * 1e-2, torch.randn(columns)
    wide, half = weight.float() * scales[:, None], x.bfloat16()[None]
    narrow = scales.bfloat16()
    return Subject(
        f"{rows} x {columns}", lambda: fused.int8_gemv(weight, scales, x), lambda: wide @ x,
        {"int8pack, bfloat16": lambda: torch._weight_int8pack_mm(half, weight, narrow)},
        None, rows * columns // 4, rows,
    )  # fmt: skip


def int4_gemv(rows: int, columns: int) -> Subject:
    from breeder.training import fused
    from breeder.training.pytorch import torch

    numbers = torch.randint(0, 16, (rows, columns), dtype=torch.int32)
    packed = (numbers[:, ::2] | numbers[:, 1::2] << 4).to(torch.uint8)
    scales, x = torch.rand(rows, columns // 32) * 1e-2, torch.randn(columns)
    wide = ((numbers - 8) * scales.repeat_interleave(32, 1)).contiguous()
    theirs = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 2)
    zeros = torch.stack((scales, torch.zeros_like(scales)), -1).transpose(0, 1)
    zeros, half = zeros.contiguous().bfloat16(), x.bfloat16()[None]
    return Subject(
        f"{rows} x {columns}", lambda: fused.int4_gemv(packed, scales, x), lambda: wide @ x,
        {"int4pack, bfloat16": lambda: torch.ops.aten._weight_int4pack_mm_for_cpu(
            half, theirs, 32, zeros)},
        None, rows * columns // 8, rows,
    )  # fmt: skip


def decoding(rows: int, columns: int, depth: int) -> Subject:
    """A linear layer of a few rows in bfloat16, without gradients."""
    from breeder.training import fused
    from breeder.training.pytorch import torch

    x, weight = torch.randn(rows, depth).bfloat16(), torch.randn(columns, depth).bfloat16()
    linear = torch.nn.functional.linear
    return Subject(
        f"{rows} x {columns} x {depth}", lambda: fused.few_rows(x, weight),
        lambda: linear(x, weight), {},
        lambda compile_: (lambda run: lambda: run(x))(compile_(lambda x: linear(x, weight))),
        rows * depth // 2 + columns * depth // 2, rows * columns // 2,
    )  # fmt: skip


OPERATIONS: dict[str, tuple[Callable[..., Subject], Sequence[tuple[int, ...]]]] = {
    "rmsnorm": (rmsnorm, [(4096, 512), (2048, 768), (1000, 1536)]),
    "cross_entropy": (cross_entropy, [(1024, 8192), (256, 32000), (500, 5003)]),
    "cross_entropy_in_place": (cross_entropy_in_place, [(1024, 8192), (256, 32000), (500, 5003)]),
    "rope": (rope, [(4, 512, 8, 64), (8, 256, 8, 32), (1, 1024, 16, 128)]),
    "rope_pairs": (rope_pairs, [(4, 512, 8, 64), (8, 256, 8, 32), (1, 1024, 16, 128)]),
    "swiglu": (swiglu, [(2048, 1408), (4096, 688), (700, 2816)]),
    "softmax": (softmax, [(4096, 512), (2048, 2048), (6000, 197)]),
    "embedding": (embedding, [(2048, 8192, 512), (4096, 2048, 256), (1000, 32000, 256)]),
    "adamw": (adamw, [(262_144,), (1_048_576,), (8_388_608,)]),
    "layernorm": (layernorm, [(4096, 512), (2048, 768), (1576, 384)]),
    "int8_gemv": (int8_gemv, [(2048, 512), (4096, 1024), (32000, 512)]),
    "decoding": (decoding, [(1, 1536, 640), (2, 4096, 1024), (4, 8192, 2048), (8, 32000, 512)]),
    "int4_gemv": (int4_gemv, [(2048, 512), (4096, 1024), (11008, 2048)]),
}
