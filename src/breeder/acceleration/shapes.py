"""Task folders for the shapes of a user's script: the shipped task with other shapes."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from breeder.acceleration.profile import Row
from breeder.task import Task
from breeder.task_formats import load
from breeder.training.devices import CPU
from breeder.training.sources import TASKS

MOST = 1 << 20
"""Elements of a case; larger inputs get fewer rows, since rows are alike."""

MOST_PRODUCTS = 1 << 21
"""Multiplications of a matrix product that is searched: plain loops take some milliseconds."""

_LEAST_ROWS = 32
_EXACT = 3  # parts

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
        shape: in the order that its task names sizes; of a matrix product rows, columns and depth
            of the layer's forward pass, and the number of parts; of attention as in its cases.
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
        if one["device"] != CPU:
            continue  # its programs cannot be timed in a sandbox
        seconds = one["calls"] * (one["kernel"] if one["taken"] else one["pytorch"])
        for op, shape in _asked(one):
            if not any(f"for {'x'.join(map(str, shape))}," in origin for origin in one["origins"]):
                found.append(Wanted(op, shape, seconds))
    return sorted(found, key=lambda one: -one.seconds)


def _asked(bucket: Mapping[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """Operations of the registry, each with the shape that its task would have."""
    op, shapes = bucket["op"], [tuple(one) for one in bucket["shapes"]]
    if op in TASKS and op.startswith("attention"):
        return [(op, _heads(shapes, causal=bucket["bucket"].startswith("causal")))]
    name = op.removesuffix("_forward")
    if name == "linear":
        return [("matmul", layer(shapes, bucket["bucket"]))]
    return [(each, limited(_case(name, shapes))) for each in _OPS.get(name, ())]


def _heads(shapes: Sequence[tuple[int, ...]], *, causal: bool) -> tuple[int, ...]:
    """The sizes of a case of attention: one head of keys, as they are alike, of at most 2^20 pairs.

    Args:
        shapes: of queries and keys (batch, heads, rows, width).
        causal: its mask.
    """
    (_, heads, queries, width), (_, kv_heads, keys, _) = shapes[:2]
    while queries * keys > MOST:
        queries, keys = max(queries // 2, 1), max(keys // 2, 1)
    return 1, heads // kv_heads, 1, queries, keys, width, int(causal)


def limited(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with fewer rows where it is large; at least 8 of them."""
    size = 1
    for one in shape[1:]:
        size *= one
    return (min(shape[0], max(MOST // max(size, 1), 8)), *shape[1:]) if len(shape) > 1 else (
        min(shape[0], MOST),
    )  # fmt: skip


def layer(shapes: Sequence[Sequence[int]], bucket: str) -> tuple[int, ...]:
    """Rows, columns, depth and parts of a linear layer, made smaller where it is large.

    Rows are alike, so there are fewer of them first; then the longer of the other two is halved.

    Args:
        shapes: of its input (..., depth) and its weights (columns, depth).
        bucket: whose last part is the precision of its products, see `fused.products.bucket_of`.
    """
    from breeder.training.fused.products import PARTS

    columns, depth = shapes[1]
    rows = max(math.prod(shapes[0][:-1]), 1)
    return _smaller(rows, columns, depth, PARTS[bucket.rpartition("-")[2]])


def profiled_layers(profile: Sequence[Row]) -> list[Wanted]:
    """Matrix products of a profile, the hottest first: what is known where no kernel was tried."""
    seconds: dict[tuple[int, ...], float] = {}
    for row in profile:
        matrices = [one for one in row.shapes if len(one) == 2]
        if row.op in ("aten::mm", "aten::addmm") and len(matrices) >= 2 and row.seconds > 0:
            (rows, depth), (_, columns) = matrices[-2:]
            shape = _smaller(rows, columns, depth, _EXACT)
            seconds[shape] = seconds.get(shape, 0.0) + row.seconds
    found = [Wanted("matmul", shape, spent) for shape, spent in seconds.items()]
    return sorted(found, key=lambda one: -one.seconds)


def _smaller(rows: int, columns: int, depth: int, parts: int) -> tuple[int, ...]:
    rows = min(rows, max(MOST_PRODUCTS // (columns * depth), _LEAST_ROWS))
    while rows * columns * depth > MOST_PRODUCTS and max(columns, depth) > _LEAST_ROWS:
        if columns >= depth:
            columns //= 2
        else:
            depth //= 2
    return rows, columns, depth, parts


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
    if one.op == "matmul":
        return _products(one.shape)
    if one.op.startswith("attention"):
        return _attention(one)
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
            f"QUICK_TIMED = SEARCH[-1:]\n{_SCORED.format('wide_over_narrow')}"
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


_SCORED = """

def scored(result: TrialResult, cases: Sequence[Case]) -> Result:
    \"\"\"The speed-up alone: cases of one kind have no contrast.\"\"\"
    return Result(
        {{"speedup": result.ratio, "{}": 1.0}},
        {{"shapes": result.table()}},
        intervals={{"speedup": result.interval}},
    )
"""


def _attention(one: Wanted) -> str:
    """The same heads with other numbers of rows."""
    queries, keys = one.shape[3:5]

    def scaled(part: float) -> tuple[int, ...]:
        rows = (max(1, int(size * part)) for size in (queries, keys))
        return (*one.shape[:3], *rows, *one.shape[5:])

    search = list(dict.fromkeys((one.shape, scaled(0.5))))
    held_out = [shape for shape in (scaled(0.75), scaled(0.25)) if shape not in search]
    held_out = held_out or [(*one.shape[:3], queries + 1, keys + 1, *one.shape[5:])]
    listed = [
        "[" + ", ".join(f"Case(*{shape[:6]}, causal={bool(shape[6])})" for shape in shapes) + "]"
        for shapes in (search, held_out)
    ]
    if one.op == "attention_forward":  # whose evaluator spells everything out
        return (
            f"\n\nSEARCH = {listed[0]}\nHELD_OUT = {listed[1]}\n"
            f"QUICK_TIMED = SEARCH[-1:]\n{_SCORED.format('long_over_short')}"
        )
    return (
        "\n\nfrom dataclasses import replace\n\nfrom breeder.kernels.attention import Case\n\n"
        f"SEARCH = {listed[0]}\n"
        "TASK.cases = replace(\n"
        f"    TASK.cases, glance=SEARCH[-1:], search=SEARCH, held_out={listed[1]}\n"
        ")\n"
    )


def _products(shape: tuple[int, ...]) -> str:
    """A layer's forward pass and both gradients; what is held out are neighbours of its sizes."""
    rows, columns, depth, parts = shape

    def passes(rows: int, columns: int, depth: int) -> list[tuple[int, int, int, str, int]]:
        return [
            (rows, columns, depth, "NT", parts),
            (rows, depth, columns, "NN", parts),
            (columns, depth, rows, "TN", parts),
        ]

    fewer = (3 * rows + 3) // 4 if rows > 3 else rows + 1
    search, held_out = passes(rows, columns, depth), passes(fewer, columns, depth)
    held_out += passes(rows, columns + 3, depth)[:1]  # no whole vectors
    return (
        "\n\nTASK.cases = Cases(\n"
        "    quick=CASES.quick,\n"
        f"    glance=[Product(*one) for one in {search[:1]}],\n"
        f"    search=[Product(*one) for one in {search}],\n"
        f"    held_out=[Product(*one) for one in {held_out}],\n"
        "    verified=CASES.verified,\n"
        "    unlisted=CASES.unlisted,\n"
        ")\n"
    )
