"""Task folders for the shapes of a user's script: the shipped task with other shapes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from breeder.task import Task
from breeder.task_formats import load
from breeder.training.sources import TASKS

MOST = 1 << 20
"""Elements of a case; larger inputs get fewer rows, since rows are alike."""

_OPS: Mapping[str, tuple[str, ...]] = {
    "rmsnorm": ("rmsnorm", "rmsnorm_backward"),
    "layernorm": ("layernorm",),
    "cross_entropy": ("cross_entropy",),
    "softmax": ("softmax",),
    "swiglu": ("swiglu",),
    "rope": ("rope",),
    "adamw": ("adamw",),
}
"""What a script was seen to do -> the operations whose tasks take the same shapes."""


class Wanted(NamedTuple):
    """An operation on shapes that no champion was evolved for.

    Attributes:
        op: of the registry.
        shape: in the order that its task names sizes.
        seconds: per step that the script spends there, at present.
    """

    op: str
    shape: tuple[int, ...]
    seconds: float

    @property
    def word(self) -> str:
        """The shape in one word."""
        return "x".join(map(str, self.shape))


def wanted(buckets: Sequence[Mapping[str, Any]]) -> list[Wanted]:
    """Operations that a script spends time on, without those that have a champion of their own.

    Args:
        buckets: as `Script.report` gives them.
    """
    found = []
    for one in buckets:
        name, shapes = one["op"].removesuffix("_forward"), one["shapes"]
        seconds = one["calls"] * (one["kernel"] if one["taken"] else one["pytorch"])
        for op in _OPS.get(name, ()):
            shape = limited(_case(name, [tuple(shape) for shape in shapes]))
            if not any(f"for {'x'.join(map(str, shape))}," in origin for origin in one["origins"]):
                found.append(Wanted(op, shape, seconds))
    return sorted(found, key=lambda one: -one.seconds)


def limited(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with fewer rows where it is large; at least 8 of them."""
    size = 1
    for one in shape[1:]:
        size *= one
    return (min(shape[0], max(MOST // max(size, 1), 8)), *shape[1:]) if len(shape) > 1 else (
        min(shape[0], MOST),
    )  # fmt: skip


def derived(one: Wanted, folder: Path) -> Task:
    """Write the shipped task of an operation with these shapes to a folder, and load it.

    What is searched are the shape and half its rows; what is held out lies between them. Every
    other case, reference and tolerance stays, so a champion is held to the shipped contract.

    Raises:
        OSError: the folder cannot be written.
    """
    shipped = load(TASKS[one.op])
    shutil.copytree(shipped.folder, folder, dirs_exist_ok=True)
    file = folder / "task.toml"
    text = file.read_text(encoding="utf-8")
    name = f'name = "{shipped.name}"'
    assert text.count(name) == 1, f"{shipped.name}: its task.toml names it once"
    file.write_text(text.replace(name, f'name = "{shipped.name}/{one.word}"'), encoding="utf-8")
    with (folder / shipped.file.evaluator).open("a", encoding="utf-8") as script:
        script.write(_cases(one))
    return load(folder)


def _case(name: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    first = shapes[0]
    if name == "rope":  # batch, heads, tokens, width
        return first[0], first[2], first[1], first[3] // 2
    if name == "adamw":
        return first
    rows = 1
    for size in first[:-1]:
        rows *= size
    return rows, first[-1]


def _cases(one: Wanted) -> str:
    """What stands behind the shipped evaluator: the same with these shapes."""
    axis = 1 if one.op == "rope" else 0  # tokens or rows

    def scaled(part: float) -> tuple[int, ...]:
        sizes = list(one.shape)
        sizes[axis] = max(1, int(sizes[axis] * part))
        return tuple(sizes)

    search = list(dict.fromkeys((one.shape, scaled(0.5))))
    held_out = [shape for shape in (scaled(0.75), scaled(0.25)) if shape not in search]
    if not held_out:
        held_out = [tuple(size + (at == axis) for at, size in enumerate(one.shape))]
    if one.op == "rmsnorm":  # whose evaluator spells everything out
        return (
            f"\n\nSEARCH = [Case(*one) for one in {search}]\n"
            f"HELD_OUT = [Case(*one) for one in {held_out}]\n"
            "QUICK_TIMED = SEARCH[-1:]\n"
        )
    functions = ", functions=FUNCTIONS" if one.op in ("layernorm", "swiglu") else ""
    return (
        "\n\nTASK.cases = Cases(\n"
        "    quick=CASES.quick,\n"
        f"    glance=cases_of({search[-1:]}{functions}),\n"
        f"    search=cases_of({search}{functions}),\n"
        f"    held_out=cases_of({held_out}{functions}),\n"
        "    verified=CASES.verified,\n"
        "    unlisted=CASES.unlisted,\n"
        ")\n"
    )
