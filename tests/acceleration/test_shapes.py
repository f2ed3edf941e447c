"""Tasks for a script's own shapes: the shipped contract, other sizes."""

from types import SimpleNamespace

import pytest

from breeder.acceleration.profile import Row
from breeder.acceleration.shapes import MOST, Wanted, derived, limited, profiled_layers, wanted
from breeder.evaluation.loading import load_evaluator
from breeder.task_formats import load
from breeder.training.sources import TASKS


def bucket(op, shapes, **more):
    return {
        "op": op, "shapes": shapes, "calls": 2.0, "taken": True, "pytorch": 3e-3, "kernel": 1e-3,
        "origins": ["written by hand"], "device": "cpu", **more,
    }  # fmt: skip


def test_what_a_script_spends_time_on_is_wanted_the_hottest_first():
    found = wanted([
        bucket("rmsnorm", [(4, 16, 64), (64,)]),
        bucket("cross_entropy", [(64, 512)], taken=False),
        bucket("rope", [(4, 8, 16, 32), (4, 2, 16, 32)]),
        bucket("embedding", [(512, 64)]),
    ])  # fmt: skip
    assert found[0] == Wanted("cross_entropy", (64, 512), 6e-3)
    assert {(one.op, one.shape) for one in found[1:]} == {
        ("rmsnorm", (64, 64)), ("rmsnorm_backward", (64, 64)), ("rope", (4, 16, 8, 16)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shapes", "bucket_word", "expected"),
    [
        ([(4, 16, 96), (48, 96), (48,)], "64x128x64-highest", (64, 48, 96, 3)),
        ([(4096, 64), (64, 64)], "4096x64x64-medium", (512, 64, 64, 1)),
        ([(2048, 512), (2048, 512)], "2048x512x2048-high", (32, 256, 256, 2)),
    ],
)
def test_linear_layers_become_products_of_a_size_that_can_be_searched(
    shapes, bucket_word, expected
):
    pytest.importorskip("torch", reason="torch is not installed")
    (found,) = wanted([bucket("linear", shapes, bucket=bucket_word)])
    assert found == Wanted("matmul", expected, 2e-3)
    evolved = f"evolved for {found.word}, certificate 0123456789ab"
    again = bucket("linear", shapes, bucket=bucket_word, origins=[evolved])
    assert wanted([again]) == []


def test_products_of_a_profile_are_wanted_where_no_kernel_was_tried():
    profile = [
        Row("aten::mm", ((64, 96), (96, 48)), 2.0, 1e-3, 0.0, 0.0),
        Row("aten::addmm", ((48,), (64, 96), (96, 48)), 2.0, 3e-3, 0.0, 0.0),
        Row("aten::addmm", ((4,), (8, 16), (16, 4)), 2.0, 1e-3, 0.0, 0.0),
        Row("aten::add", ((64, 96), (64, 96)), 2.0, 9e-3, 0.0, 0.0),
    ]
    assert profiled_layers(profile) == [
        Wanted("matmul", (64, 48, 96, 3), 4e-3), Wanted("matmul", (8, 4, 16, 3), 1e-3),
    ]  # fmt: skip


def test_attention_is_wanted_with_one_head_of_keys_and_fewer_rows_where_there_are_many():
    found = wanted([
        bucket("attention_backward", [(2, 8, 4096, 64), (2, 2, 4096, 64)], bucket="causal-64-x"),
        bucket("attention_forward_bf16", [(2, 8, 1, 64), (2, 8, 100, 64)], bucket="full-64-x"),
        bucket("attention", [(1, 1, 9, 8), (1, 1, 9, 8)], bucket="full-32-x", device="cuda sm80"),
    ])  # fmt: skip
    assert {(one.op, one.shape) for one in found} == {
        ("attention_backward", (1, 4, 1, 1024, 1024, 64, 1)),
        ("attention_forward_bf16", (1, 1, 1, 1, 100, 64, 0)),
    }


def test_scores_of_derived_tasks_need_no_contrast(tmp_path):
    for op, shape in (("rmsnorm", (64, 512)), ("attention_forward", (1, 2, 1, 9, 9, 32, 1))):
        task = derived(Wanted(op, shape, 1.0), tmp_path / op)
        evaluator = load_evaluator(task.folder, task.file.evaluator)
        result = SimpleNamespace(ratio=2.0, interval=(1.5, 2.5), table=lambda: "")
        scored = evaluator.scored(result, evaluator.SEARCH)
        names = {one.name for one in task.file.feature} - {"size"}
        assert set(scored.metrics) == {"speedup", *names}


def test_shapes_with_a_champion_of_their_own_are_not():
    evolved = "evolved for 64x64, certificate 0123456789ab"
    assert wanted([bucket("softmax", [(64, 64)], origins=[evolved])]) == []
    assert wanted([bucket("softmax", [(64, 128)], origins=[evolved])]) != []


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((100, 64), (100, 64)), ((10**6, 1024), (1024, 1024)), ((50, 10**6), (8, 10**6)),
     ((10**8,), (MOST,))],
    ids=str,
)  # fmt: skip
def test_large_inputs_get_fewer_rows(shape, expected):
    assert limited(shape) == expected


@pytest.mark.parametrize(
    ("op", "shape"),
    [("rmsnorm", (64, 512)), ("rmsnorm_backward", (64, 512)), ("layernorm", (10, 96)),
     ("cross_entropy", (16, 1000)), ("softmax", (1, 33)), ("swiglu", (30, 100)),
     ("rope", (2, 16, 4, 8)), ("adamw", (5000,)), ("matmul", (64, 96, 48, 3)),
     ("matmul", (1, 8, 16, 1)), ("attention_forward", (1, 2, 1, 33, 33, 32, 1)),
     ("attention_backward", (1, 1, 1, 1, 1, 32, 0)),
     ("attention_forward_bf16", (1, 4, 1, 1, 100, 64, 0))],
    ids=lambda one: str(one) if isinstance(one, str) else "",
)  # fmt: skip
def test_a_derived_task_searches_the_shape_and_keeps_the_contract(op, shape, tmp_path):
    shipped = load(TASKS[op])
    task = derived(Wanted(op, shape, 1.0), tmp_path / "task")
    assert task.name == f"{TASKS[op]}/{'x'.join(map(str, shape))}"
    assert task.files == shipped.files
    assert task.digest() != shipped.digest()
    before = load_evaluator(shipped.folder, shipped.file.evaluator)
    after = load_evaluator(task.folder, task.file.evaluator)
    if op in ("rmsnorm", "attention_forward"):
        search, held_out = after.SEARCH, after.HELD_OUT
        shapes = [tuple(one[: len(shape)]) for one in search]
        assert after.VERIFIED == before.VERIFIED
    else:
        search, held_out = after.TASK.cases.search, after.TASK.cases.held_out
        shapes = [one.shape for one in search]
        assert after.TASK.cases.verified == before.TASK.cases.verified
        assert after.TASK.cases.quick == before.TASK.cases.quick
    if op == "matmul":
        assert [(one.m, one.n, one.k, one.layout) for one in search] == [
            (shape[0], shape[1], shape[2], "NT"),
            (shape[0], shape[2], shape[1], "NN"),
            (shape[1], shape[2], shape[0], "TN"),
        ]
        assert {one.parts for one in (*search, *held_out)} == {shape[3]}
    elif op.startswith("attention"):
        assert search[0][: len(shape)] == shape
        assert not {one.shape for one in search} & {one.shape for one in held_out}
    else:
        assert shapes[0] == shape
    assert not set(search) & set(held_out)
    again = derived(Wanted(op, shape, 1.0), tmp_path / "task")
    assert again.digest() == task.digest()
