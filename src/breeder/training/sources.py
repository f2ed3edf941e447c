"""Programs that can stand in for an operation: adopted champions, and those written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from breeder.core import NativeFunction
from breeder.errors import CertificateError
from breeder.kernels.known import program_by_hand
from breeder.task import Task
from breeder.task_formats import load
from breeder.verification.registry import Adoption, Registry

TASKS: Mapping[str, str] = {
    "attention_forward": "kernels/flash_attention_forward",
    "attention_forward_bf16": "kernels/flash_attention_forward_bf16",
    "attention_backward": "kernels/flash_attention_backward",
    "attention_backward_bf16": "kernels/flash_attention_backward_bf16",
    "rmsnorm": "kernels/rmsnorm",
    "rmsnorm_backward": "kernels/rmsnorm_backward",
    "layernorm": "kernels/layernorm",
    "cross_entropy": "kernels/cross_entropy",
    "rope": "kernels/rope",
    "swiglu": "kernels/swiglu",
    "softmax": "kernels/softmax",
    "embedding_backward": "kernels/embedding_backward",
    "adamw": "kernels/adamw",
    "matmul": "kernels/matmul",
    "matmul_bf16": "kernels/matmul_bf16",
    "int8_gemv": "kernels/int8_gemv",
    "int4_gemv": "kernels/int4_gemv",
}
"""Operation -> the shipped task whose programs compute it."""

TRITON: Mapping[str, str] = {
    "attention_forward": "kernels/triton_attention",
    "attention_forward_bf16": "kernels/triton_attention",
    "attention_backward": "kernels/triton_attention",
    "attention_backward_bf16": "kernels/triton_attention",
    "rmsnorm": "kernels/triton_rmsnorm",
    "rmsnorm_backward": "kernels/triton_rmsnorm",
    "cross_entropy": "kernels/triton_cross_entropy",
}
"""Operation -> the shipped task whose programs compute it on a GPU, in Triton."""

Language = Literal["c++", "triton"]


def dtype_of(op: str) -> str:
    """The type of the arrays that programs of an operation take."""
    return "bfloat16" if op.endswith("_bf16") else "float32"


@dataclass(frozen=True, slots=True)
class KernelSource:
    """A program for one operation.

    Attributes:
        op, dtype: what it computes; a key of `TASKS` and the type of its arrays.
        origin: `evolved` with its certificate, or `written by hand`.
        file: name of the program's file, whose suffix tells the language.
        text: the program.
        flags: for the compiler.
        functions: name of each function -> how it is called.
        language: of the program.
    """

    op: str
    dtype: str
    origin: str
    file: str
    text: str
    flags: tuple[str, ...]
    functions: Mapping[str, NativeFunction]
    language: Language = "c++"


def sources(
    op: str, registry: Registry, language: Language = "c++"
) -> tuple[tuple[KernelSource, ...], str]:
    """Programs for `op`, adopted champions first, and why one is missing (or empty).

    A champion counts that was verified on the task as it ships here, or on that task with other
    shapes (`TASK/SHAPES`, as `breeder accelerate` makes them): others may have been held to another
    contract. Either is checked here on the cases of the shipped task before it runs.

    Raises:
        KeyError: no such operation.
    """
    task = load((TASKS if language == "c++" else TRITON)[op])
    program = task.file.program
    main = program.files[0]
    texts: list[tuple[str, str]] = []
    trouble = ""
    try:
        texts += [(_label(one, task), one.files[main]) for one in _adoptions(task, registry)]
    except CertificateError as error:
        trouble = str(error)
    functions = dict(program.functions)
    if language == "triton":  # one program for several operations, whose start is no toy
        texts.append(("written by hand in Triton", task.files[main]))
        name = TASKS[op].rpartition("/")[2]
        functions = {name: functions[name]}
    elif (by_hand := program_by_hand(task.name, Path(main).suffix)) is not None:
        texts.append(("written by hand", by_hand))
    flags = tuple(program.compile_flags)
    return tuple(
        KernelSource(op, dtype_of(op), origin, main, text, flags, functions, language)
        for origin, text in texts
    ), trouble


def _adoptions(task: Task, registry: Registry) -> Iterator[Adoption]:
    """The champion of the shipped task, then the newest one for each set of shapes."""
    current = registry.current(task.name, task.digest())
    if current is not None:
        yield current
    derived = {one.task for one in registry.adopted() if one.task.startswith(f"{task.name}/")}
    for name in sorted(derived):
        adoption = registry.current(name)
        if adoption is not None and set(adoption.files) == set(task.file.program.files):
            yield adoption


def _label(adoption: Adoption, task: Task) -> str:
    shapes = adoption.task.removeprefix(task.name).removeprefix("/")
    return (
        f"evolved{f' for {shapes}' if shapes else ''}, certificate "
        + (adoption.certificate.sha256[:12])
    )
