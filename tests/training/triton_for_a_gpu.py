"""Compiles the kernels in Triton for a GPU, which needs none; prints the size of each binary."""

import importlib.util
import json
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import breeder.suites

SUITE = Path(breeder.suites.__file__).parent / "kernels"
TARGET = GPUTarget("cuda", 80, 32)
STEPS = ("i32", "i32", "i32")


def module(name):
    """The start of a task."""
    spec = importlib.util.spec_from_file_location(name, SUITE / name / "initial.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def size(kernel, element, constants):
    """Bytes of a kernel's machine code; `element` is the type of what most pointers point to."""
    types = {}
    for name in kernel.arg_names:
        if name in constants:
            types[name] = "constexpr"
        elif name.endswith("_steps"):
            types[name] = STEPS
        elif name in ("epsilon", "scale"):
            types[name] = "fp32"
        elif name in ("count", "columns", "stripe", "vocabulary", "heads", "group", "queries",
                      "keys", "width"):  # fmt: skip
            types[name] = "i32"
        else:
            special = {"targets": "*i64", "sums": "*fp32", "delta": "*fp32"}
            types[name] = special.get(name, element)
    places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    compiled = triton.compile(ASTSource(kernel, types, places), target=TARGET)
    return len(compiled.asm["cubin"])


if __name__ == "__main__":
    norm, loss, attention = (
        module(f"triton_{one}") for one in ("rmsnorm", "cross_entropy", "attention")
    )
    rows = {"ROWS": norm.ROWS, "COLUMNS": norm.MOST_COLUMNS}
    sums = {"ROWS": norm.ROWS_OF_SUMS, "COLUMNS": norm.COLUMNS_OF_SUMS}
    tiles = {"BITS": True, **attention.tiles_of(64, bits=True)}
    whole = {**tiles, "CAUSAL": True, "PRECISION": "tf32"}
    few = {name: tiles[name] for name in ("BITS", "QUERIES", "WIDTH")}
    found = {
        "rmsnorm": size(norm.forward, "*fp32", rows),
        "rmsnorm_backward": size(norm.backward, "*fp32", rows),
        "sums_over_rows": size(norm.sums_over_rows, "*fp32", sums),
        "cross_entropy": size(loss.losses_and_gradient, "*fp32", {"COLUMNS": loss.MOST_COLUMNS}),
        "deltas": size(attention.deltas, "*u16", few),
        **{
            kernel.fn.__name__: size(kernel, "*u16", whole)
            for kernel in (attention.forward, attention.grad_of_queries, attention.grad_of_keys)
        },
    }
    print(json.dumps(found))
