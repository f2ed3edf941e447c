"""Which programs can run where: C++ on the processor, Triton on GPUs or in its interpreter.

Triton's interpreter runs kernels on the CPU, for trying them out, and is slower than anything else.
It is Triton's own switch, TRITON_INTERPRET=1, that turns it on; where it is set, CPU tensors take
kernels in Triton. On a GPU they are compiled by Triton at their first call.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from breeder.extras import required
from breeder.training.sources import TRITON, KernelSource

CPU = "cpu"
INTERPRETER = "interpreter"
VARIABLE = "TRITON_INTERPRET"


def interpreted() -> bool:
    """Whether this process has Triton's kernels interpreted."""
    return os.environ.get(VARIABLE) == "1"


def device_of(op: str, tensor: Any) -> str:
    """What a kernel for `op` on such a tensor runs on: `cpu`, `interpreter` or `cuda sm80`.

    The last names the GPU's compute capability, which is to a GPU what its instructions are to a
    processor: kernels are chosen anew for each.
    """
    if tensor.device.type == "cuda":
        return gpu(tensor.device)
    formats = op.endswith("_bf16") or str(tensor.dtype) == "torch.float32"
    return INTERPRETER if op in TRITON and formats and interpreted() else CPU


def gpu(device: Any = None) -> str:
    """The name of a GPU's kind, as in `device_of`."""
    major, minor = required("torch", purpose="training").cuda.get_device_capability(device)
    return f"cuda sm{major}{minor}"


def hindrance() -> str:
    """Why kernels in Triton cannot run in this process; empty where they can."""
    if not installed():
        return "needs a GPU and Triton: pip install 'breeder[triton]'"
    return "" if interpreted() or has_gpu() else "needs a GPU"


def installed() -> bool:
    """Whether Triton and PyTorch are there."""
    return all(importlib.util.find_spec(one) is not None for one in ("triton", "torch"))


@functools.cache
def has_gpu() -> bool:
    """Whether PyTorch sees a GPU that Triton compiles for."""
    if importlib.util.find_spec("torch") is None:
        return False
    return bool(required("torch", purpose="training").cuda.is_available())


def program(source: KernelSource, folder: Path) -> Path:
    """The file that a program in Triton is imported from, written where it is not there yet.

    Like a library it is found by what it depends on: the program, Triton and what it runs on.

    Raises:
        OSError: the folder cannot be written.
    """
    where = gpu() if has_gpu() and not interpreted() else INTERPRETER
    parts = (source.text, version("triton"), where)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
    target = folder / f"{source.op}-{digest}.py"
    if not target.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(f".{os.getpid()}")
        unfinished.write_text(source.text, encoding="utf-8")
        shutil.move(unfinished, target)
    return target


def functions(path: Path, names: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """Functions of a program in Triton by name; they take tensors where C++ takes pointers.

    Raises:
        AttributeError: it has no function of that name.
        Exception: whatever it raises while it is imported.
    """
    name = f"breeder_{path.stem.replace('-', '_')}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # Triton looks up the source of what it compiles
        spec.loader.exec_module(module)
    return {one: _launching(getattr(sys.modules[name], one)) for one in names}


def _launching(function: Callable[..., Any]) -> Callable[..., Any]:
    """Triton launches on the current GPU, whichever one holds the tensors."""
    torch = required("torch", purpose="training")

    def call(first: Any, *rest: Any) -> None:
        if first.device.type != "cuda":
            function(first, *rest)
            return
        with torch.cuda.device(first.device):
            function(first, *rest)

    return call


def on_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors as one of numpy arrays, which it works on where Triton runs."""
    torch = required("torch", purpose="training")

    def call(*arguments: Any) -> None:
        tensors = [
            torch.from_numpy(one) if hasattr(one, "__array_interface__") else one
            for one in arguments
        ]
        if interpreted():
            function(*tensors)
            return
        moved = [one.cuda() if isinstance(one, torch.Tensor) else one for one in tensors]
        function(*moved)
        for before, after in zip(tensors, moved, strict=True):
            if isinstance(before, torch.Tensor):
                before.copy_(after)

    return call
