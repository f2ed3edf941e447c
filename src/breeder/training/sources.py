"""Programs that can stand in for an operation: adopted champions, and those written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from breeder.core import NativeFunction
from breeder.errors import CertificateError
from breeder.kernels.known import program_by_hand
from breeder.task_formats import load
from breeder.verification.registry import Registry

TASKS: Mapping[str, str] = {
    "attention_forward": "kernels/flash_attention_forward",
    "attention_forward_bf16": "kernels/flash_attention_forward_bf16",
    "attention_backward": "kernels/flash_attention_backward",
    "attention_backward_bf16": "kernels/flash_attention_backward_bf16",
    "rmsnorm": "kernels/rmsnorm",
}
"""Operation -> the shipped task whose programs compute it."""


@dataclass(frozen=True, slots=True)
class KernelSource:
    """A program for one operation.

    Attributes:
        op, dtype: what it computes; a key of `TASKS` and the type of its arrays.
        origin: `evolved` with its certificate, or `written by hand`.
        file: name of the program's file, whose suffix tells the language.
        text: the program.
        flags: for the compiler.
        function: name of the native function.
        signature: how it is called.
    """

    op: str
    dtype: str
    origin: str
    file: str
    text: str
    flags: tuple[str, ...]
    function: str
    signature: NativeFunction


def sources(op: str, registry: Registry) -> tuple[tuple[KernelSource, ...], str]:
    """Programs for `op`, the adopted champion first, and why one is missing (or empty).

    Only a champion that was verified on the task as it ships here counts: others may have been
    held to another contract.

    Raises:
        KeyError: no such operation.
    """
    task = load(TASKS[op])
    program = task.file.program
    ((function, signature),) = program.functions.items()
    main = program.files[0]
    texts: list[tuple[str, str]] = []
    trouble = ""
    try:
        adoption = registry.current(task.name, task.digest())
    except CertificateError as error:
        trouble = str(error)
    else:
        if adoption is not None:
            label = f"evolved, certificate {adoption.certificate.sha256[:12]}"
            texts.append((label, adoption.files[main]))
    by_hand = program_by_hand(task.name, Path(main).suffix)
    if by_hand is not None:
        texts.append(("written by hand", by_hand))
    dtype = "bfloat16" if op.endswith("_bf16") else "float32"
    flags = tuple(program.compile_flags)
    return tuple(
        KernelSource(op, dtype, origin, main, text, flags, function, signature)
        for origin, text in texts
    ), trouble
