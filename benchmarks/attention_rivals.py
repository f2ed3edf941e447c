"""Other ways to compute attention, each as strong as its tool allows: what kernels compare with.

PyTorch's own kernel and the form with two matrix products, both eager and compiled;
`flex_attention`, which exists for compiling; ONNX Runtime, whose graphs are one fused operator, or
the two products with a softmax between. What a tool does not offer is an `Absent` with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from breeder.training.pytorch import torch

OPSET, CONTRIBUTED, IR = 23, 1, 10
"""Versions of ONNX: of the standard's operators, of ONNX Runtime's own, of the file format."""


class Inputs(NamedTuple):
    """What attention is computed of, (batch, head, row, element); `grad` is that of the result."""

    q: Any
    k: Any
    v: Any
    grad: Any
    causal: bool

    @property
    def scale(self) -> float:
        """What products of queries and keys are multiplied by."""
        return 1.0 / math.sqrt(self.q.shape[-1])


class Way(NamedTuple):
    """A way to compute attention, at a precision of float32 matrix products."""

    name: str
    precision: str
    attend: Callable[[Any, Any, Any], Any]


class Absent(NamedTuple):
    """A rival that cannot take part, and why."""

    name: str
    reason: str


Maker = Callable[[Inputs], Callable[[Any, Any, Any], Any]]
"""Makes a way for shapes and mask; raises what its tool raises where it cannot."""


def products(inputs: Inputs) -> Callable[[Any, Any, Any], Any]:
    """Two matrix products with a softmax between."""
    rows, scale = inputs.q.shape[2], inputs.scale
    hidden = torch.ones(rows, rows, dtype=torch.bool).triu(1) if inputs.causal else None

    def attend(q: Any, k: Any, v: Any) -> Any:
        scores = (q * scale) @ k.transpose(-1, -2)
        if hidden is not None:
            scores = scores.masked_fill(hidden, -math.inf)
        return torch.softmax(scores, dim=-1) @ v

    return attend


def fused(inputs: Inputs) -> Callable[[Any, Any, Any], Any]:
    """PyTorch's own kernel."""
    causal = inputs.causal
    attention = torch.nn.functional.scaled_dot_product_attention
    return lambda q, k, v: attention(q, k, v, is_causal=causal)


def flex(inputs: Inputs) -> Callable[[Any, Any, Any], Any]:
    """`flex_attention`, whose blocks that are hidden altogether are left out."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    rows, mask = inputs.q.shape[2], None
    if inputs.causal:
        mask = create_block_mask(
            lambda batch, head, query, key: query >= key, None, None, rows, rows, device="cpu"
        )
    call = torch.compile(flex_attention, dynamic=False)
    return lambda q, k, v: call(q, k, v, block_mask=mask)


def compiled(maker: Maker) -> Maker:
    """What `torch.compile` makes of a way."""
    return lambda inputs: torch.compile(maker(inputs), dynamic=False)


def eager(inputs: Inputs) -> list[Way]:
    """PyTorch's own kernel first, as found; then it and the products at either precision."""
    wide = inputs.q.dtype == torch.float32
    precisions = ("highest", "medium") if wide else ("highest",)
    return [
        Way(f"{name}, {precision}", precision, maker(inputs))
        for name, maker in (("SDPA", fused), ("matmul", products))
        for precision in precisions
    ]


def engines(
    inputs: Inputs, work: str, precisions: Sequence[str], threads: int
) -> Iterator[Way | Absent]:
    """Compiled forms, flex attention and ONNX Runtime; each is tried, which may take a while."""
    torch.compiler.reset()  # of other shapes
    for precision in precisions:
        yield _tried(f"compiled SDPA, {precision}", precision, compiled(fused), inputs, work)
        yield _tried(f"compiled matmul, {precision}", precision, compiled(products), inputs, work)
    yield _tried("flex, highest", "highest", flex, inputs, work)
    graphs = {"MultiHeadAttention": _heads_together, "Attention": _attention, "matmul": _products}
    for name, graph in graphs.items():
        if work == "forward":
            maker = partial(onnx, threads=threads, graph=graph)
            yield _tried(f"ORT {name}", "highest", maker, inputs, work)
        else:
            yield Absent(f"ORT {name}", "no backward pass")


def _tried(name: str, precision: str, maker: Maker, inputs: Inputs, work: str) -> Way | Absent:
    torch.set_float32_matmul_precision(precision)
    try:
        way = Way(name, precision, maker(inputs))
        passes(way, inputs, work)()
    except Exception as error:  # whatever a tool raises
        return Absent(name, (str(error).strip() or type(error).__name__).splitlines()[0][:120])
    return way


def passes(way: Way, inputs: Inputs, work: str) -> Callable[[], Any]:
    """One pass, `forward` or `both`: the result, or the result and its gradients."""
    plain = [one.detach() for one in inputs[:3]]  # flex takes nothing else

    def run() -> Any:
        torch.set_float32_matmul_precision(way.precision)
        if work == "forward":
            with torch.no_grad():
                return [way.attend(*plain)]
        out = way.attend(*inputs[:3])
        return [out, *torch.autograd.grad(out, inputs[:3], inputs.grad)]

    return run


class Graph(NamedTuple):
    """A graph of ONNX Runtime.

    Attributes:
        nodes: from `q`, `k` and `v` to `out`.
        shape: of all four.
        laid: brings (batch, head, row, element) into that shape; `back` the other way.
        initial: constants by name.
    """

    nodes: Sequence[Any]
    shape: tuple[int, ...]
    laid: Callable[[Any], Any]
    back: Callable[[Any], Any]
    initial: dict[str, Any]


def onnx(inputs: Inputs, threads: int, graph: Callable[[Inputs], Graph]) -> Any:
    """A session of ONNX Runtime; inputs and result lie where it wants them beforehand."""
    try:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise RuntimeError(f"{error.name} is not installed") from error
    if inputs.q.dtype != torch.float32:
        raise RuntimeError("no kernels for bfloat16 on processors")
    made = graph(inputs)
    q, k, v, out = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, made.shape)
        for name in ("q", "k", "v", "out")
    )
    constants = [numpy_helper.from_array(one, name) for name, one in made.initial.items()]
    model = helper.make_model(
        helper.make_graph(made.nodes, "attention", [q, k, v], [out], constants), ir_version=IR,
        opset_imports=[helper.make_opsetid("", OPSET),
                       helper.make_opsetid("com.microsoft", CONTRIBUTED)],
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # what it cannot do is told by its exception
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding, value = session.io_binding(), onnxruntime.OrtValue.ortvalue_from_numpy
    for name, one in zip("qkv", inputs, strict=False):
        binding.bind_ortvalue_input(name, value(made.laid(one.detach()).contiguous().numpy()))
    result = torch.empty(made.shape)
    binding.bind_ortvalue_output("out", value(result.numpy()))
    bound = torch.from_numpy(binding.get_outputs()[0].numpy())

    def attend(*_: Any) -> Any:
        session.run_with_iobinding(binding)
        return made.back(bound)

    return attend


def _heads_together(inputs: Inputs) -> Graph:
    """ONNX Runtime's own operator, whose heads lie side by side in a row."""
    from onnx import helper

    batch, heads, rows, width = inputs.q.shape
    node = helper.make_node(
        "MultiHeadAttention", ["q", "k", "v"], ["out"], domain="com.microsoft", num_heads=heads,
        unidirectional=int(inputs.causal),
    )  # fmt: skip
    return Graph(
        [node], (batch, rows, heads * width), lambda x: x.transpose(1, 2).flatten(2),
        lambda x: x.unflatten(2, (heads, width)).transpose(1, 2), {},
    )  # fmt: skip


def _attention(inputs: Inputs) -> Graph:
    """The standard's operator."""
    from onnx import helper

    node = helper.make_node("Attention", ["q", "k", "v"], ["out"], is_causal=int(inputs.causal))
    return Graph([node], tuple(inputs.q.shape), _as_it_is, _as_it_is, {})


def _products(inputs: Inputs) -> Graph:
    """Two products with a softmax between, and a mask that is added."""
    import numpy as np
    from onnx import helper

    rows = inputs.q.shape[2]
    initial = {"scale": np.float32(inputs.scale).reshape(1)}
    nodes = [
        helper.make_node("Mul", ["q", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["k"], ["keys"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["scaled", "keys"], ["scores"]),
        helper.make_node("Softmax", ["masked" if inputs.causal else "scores"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "v"], ["out"]),
    ]
    if inputs.causal:
        initial["mask"] = np.triu(np.full((rows, rows), -np.inf, np.float32), 1)
        nodes.insert(3, helper.make_node("Add", ["scores", "mask"], ["masked"]))
    return Graph(nodes, tuple(inputs.q.shape), _as_it_is, _as_it_is, initial)


def _as_it_is(x: Any) -> Any:
    return x
