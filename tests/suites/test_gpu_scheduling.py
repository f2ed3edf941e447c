"""The GPU scheduling task: score cache, replay, generator, baselines and stages."""

import importlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import breeder.suites
from breeder.errors import TaskError
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.evaluation.loading import load_evaluator
from breeder.task import load_native
from suites.direct import DirectCandidate
from suites.naive_placement import Naive

FOLDER = Path(breeder.suites.__file__).parent / "cluster" / "gpu_scheduling"
evaluate = load_evaluator(FOLDER, "evaluate.py")
placement = importlib.import_module("pod_placement")
generator = importlib.import_module("pod_generator")
policies = importlib.import_module("pod_policies")
replaying = importlib.import_module("pod_replay")
workloads = importlib.import_module("pod_workload")

on_generated_data = pytest.mark.skipif(
    bool(os.environ.get("BREEDER_OPENB")), reason="BREEDER_OPENB replaces the generated data"
)
needs_trace = pytest.mark.skipif(
    not os.environ.get("BREEDER_OPENB"), reason="BREEDER_OPENB does not point at the openb trace"
)

# GPU allocation in % on the quick stage's generated lists.
MEASURED = {"first fit": 93.64, "best fit": 91.91, "dot product": 88.33, "FGD": 94.49}

GIB = 1024
NODES = np.array(
    [(16_000, 64 * GIB, 2, 0), (32_000, 128 * GIB, 4, 1), (16_000, 64 * GIB, 2, 0)], dtype=np.int64
)
CLASSES = np.array(
    [
        (4_000, 8 * GIB, 1, 400, 0),
        (4_000, 8 * GIB, 2, 1000, 0),
        (8_000, 40 * GIB, 0, 0, 0),
        (1_000, 1 * GIB, 1, 700, 0b10),
    ],
    dtype=np.int64,
)


def workload(pods):
    popularity = np.full((1, len(CLASSES)), 0.25)
    return workloads.Workload(("tiny",), (0,), NODES, CLASSES, popularity, [np.array(pods)])


def outcome(pods, *placements):
    return replaying.replay(workload(pods), 0, np.array(placements, dtype=np.int64))


def varied_score(pod, node, after):
    """Every feature counts; rounded, so that equal nodes stay equal however sums are ordered."""
    fields = [*pod, *node, *after]
    return np.round(sum(np.sin(7 * i + 1) * field for i, field in enumerate(fields)), 9)


SCORES = {
    "best-fit": policies.best_fit,
    "ties": policies.first_fit,
    "fgd": policies.fragmentation_gradient_descent,
    "every-feature": varied_score,
    "not-a-number": lambda pod, node, after: np.where(pod.cpu > 0.05, np.nan, after.cpu),
    "refusal": lambda pod, node, after: np.where(pod.cpu > 0.05, -np.inf, after.cpu),
}


@pytest.fixture(scope="module")
def small():
    source = generator.Generator()
    return workloads.assemble(source, ("cpu200", "gpuspec33"), (5,), every=120)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES.keys())
def test_cached_scores_place_as_one_pair_at_a_time(small, score):
    arrivals = [pods[:60] for pods in small.arrivals]
    answers = placement.place_all(score, small.nodes, small.classes, small.popularity, arrivals)
    for index, answer in enumerate(answers):
        naive = Naive(placement, small.nodes, small.classes, small.popularity[index])
        assert np.array_equal(answer, naive.place(score, arrivals[index]))


def test_lists_do_not_influence_each_other(small):
    together = placement.place_all(varied_score, *small[2:])
    for index, pods in enumerate(small.arrivals):
        share = small.popularity[[index]]
        alone = placement.place_all(varied_score, small.nodes, small.classes, share, [pods])
        assert np.array_equal(together[index], alone[0])


def test_replay_measures_allocation_and_what_is_stranded():
    result = outcome([1, 1, 0, 3], (0, 0b11), (1, 0b0110), (1, 1), (1, 0b1000))
    assert result.at_end == pytest.approx(100 * (2000 + 2000 + 400 + 700) / 8000)
    # Node 0 has no GPU left, node 1 600 + 300 milli and node 2 is empty. Of three equally popular
    # GPU classes 400 milli fit on nodes 1 and 2, two GPUs on node 2, 700 milli of model 1 nowhere.
    assert result.stranded_gpu == pytest.approx(100 * (900 * 2 / 3 + 2000 * 1 / 3) / 8000)


def test_allocation_at_capacity_counts_the_pods_up_to_it():
    on_model_1 = [(1, 1), (1, 2), (1, 4), (1, 8), *[(-1, 0)] * 5]
    result = outcome([3] * 9 + [1], *on_model_1, (0, 3))
    assert result.at_capacity == pytest.approx(35.0)
    assert result.at_end == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("pods", "placements", "complaint"),
    [
        ([2, 2], [(0, 0), (0, 0)], "memory is over-committed"),
        ([1] * 9, [(-1, 0)] * 9, "refused, but node 0 has room"),
        ([1, 1], [(0, 3), (-1, 0)], "pod 1: refused, but node 1 has room"),
        ([0] * 5, [(0, 1), (0, 1), (0, 2), (0, 2), (0, 1)], "CPU is over-committed"),
        ([0, 0, 0], [(0, 1), (0, 1), (0, 1)], "GPU 0 is over-committed"),
        ([1, 0], [(0, 3), (0, 1)], "GPU 0 is over-committed"),
        ([0], [(0, 0b100)], "GPU index is out of range"),
        ([0], [(0, -1)], "GPU index is out of range"),
        ([1], [(0, 1)], "1 GPUs used where 2 are requested"),
        ([0], [(0, 0)], "0 GPUs used where 1 are requested"),
        ([2], [(1, 1)], "1 GPUs used where 0 are requested"),
        ([3], [(0, 1)], "not one that the pod accepts"),
        ([0], [(3, 1)], "node index is not between -1 and 2"),
        ([0], [(-2, 1)], "node index is not between -1 and 2"),
        ([0], [(0, 1), (0, 1)], "shape"),
    ],
)
def test_replay_rejects_what_is_impossible(pods, placements, complaint):
    with pytest.raises(InvalidAnswerError, match=complaint):
        outcome(pods, *placements)


@pytest.mark.parametrize(
    "answer",
    [
        np.array([[0.0, 1.0]]),
        np.array([[np.nan, 1.0]]),
        np.array([[True, True]]),
        [[0, 1]],
        None,
        np.array([0, 1]),
        np.zeros((1, 3), dtype=np.int64),
    ],
    ids=["floats", "nan", "flags", "list", "nothing", "flat", "wide"],
)
def test_replay_rejects_what_is_no_table_of_integers(answer):
    with pytest.raises(InvalidAnswerError, match="placements"):
        replaying.replay(workload([0]), 0, answer)


def test_huge_unsigned_indices_are_rejected():
    answer = np.array([[2**64 - 1, 1]], dtype=np.uint64)
    with pytest.raises(InvalidAnswerError, match="placements must be"):
        replaying.replay(workload([0]), 0, answer)


class Answers:
    """A candidate that gives fixed answers or computes them."""

    def __init__(self, answer):
        self._answer = answer

    def call(self, function, *arguments, **_limits):
        assert function == "place"
        return self._answer(*arguments)


def test_a_policy_that_looks_ahead_is_rejected():
    def look_ahead(nodes, classes, popularity, arrivals):
        answers = []
        for index, pods in enumerate(arrivals):
            sign = 1.0 if pods[-200:].sum() % 2 else -1.0
            share = popularity[[index]]
            answers += placement.place_all(
                lambda pod, node, after, sign=sign: sign * after.cpu, nodes, classes, share, [pods]
            )
        return answers

    first = evaluate.quick_workload().arrivals[0]
    last = evaluate.quick_workload().arrivals[-1]
    assert first[-200:].sum() % 2 != last[-200:].sum() % 2
    with pytest.raises(InvalidAnswerError, match="later ones differed"):
        evaluate.evaluate_quick(Answers(look_ahead))


@pytest.mark.parametrize("answer", [None, [], "placements", [np.zeros((1, 2))]])
def test_answers_that_are_no_list_per_pod_list_are_rejected(answer):
    with pytest.raises(InvalidAnswerError, match="must answer a list of 3 arrays"):
        evaluate.evaluate_quick(Answers(lambda *_: answer))


def test_initial_program_is_plain_best_fit():
    candidate = DirectCandidate(FOLDER)
    workload = evaluate.quick_workload()
    answers = placement.place_all(lambda pod, node, after: -after.cpu - after.gpu, *workload[2:])
    for mine, plain in zip(evaluate.ask(candidate, workload), answers, strict=True):
        assert np.array_equal(mine, plain)


def test_initial_program_passes_the_quick_stage_and_has_every_metric():
    task = load_native(FOLDER)
    candidate = DirectCandidate(FOLDER)
    stage = task.file.stage[0]
    assert evaluate.evaluate_quick(candidate)[stage.metric] >= stage.at_least
    result = evaluate.evaluate(candidate)
    named = {o.name for o in task.objectives} | {f.name for f in task.file.feature}
    assert named - {"size"} <= set(result.metrics)
    assert all(0 <= value <= 100 for value in result.metrics.values())
    assert result.metrics["gpu_allocated"] >= result.metrics["gpu_allocated_100"]
    lists = len(workloads.TRAIN) + len(workloads.CPU_VARIANTS)
    assert len(result.artifacts["lists"].splitlines()) == lists


def test_splits_share_neither_lists_nor_orders():
    held_out = evaluate.held_out_lists()
    assert not set(held_out) & set(workloads.TRAIN)
    assert len(held_out) >= 10
    assert len(evaluate.HELD_OUT_ORDERS) >= 2
    assert not set(evaluate.HELD_OUT_ORDERS) & {evaluate.TRAIN_ORDER, evaluate.QUICK_ORDER}


def test_pods_arrive_until_130_percent_is_requested():
    source = generator.Generator()
    full = workloads.assemble(source, ("default", "multigpu50"), (1, 2), every=10)
    for index in range(4):
        requested = int(full.requested(index).sum())
        assert 1.28 * full.capacity < requested <= 1.3 * full.capacity
    assert full.names == ("default", "default", "multigpu50", "multigpu50")
    assert not np.array_equal(full.arrivals[0][:50], full.arrivals[1][:50])


@pytest.mark.parametrize(("name", "factor"), workloads.CPU_VARIANTS.items())
def test_variants_change_the_pods_without_gpu_alone(name, factor):
    source = workloads.WithVariants(evaluate.SOURCE)
    plain, variant = source.pod_list("default"), source.pod_list(name)
    assert name in source.names()
    before, after = (
        np.bincount(each.pods, minlength=len(plain.classes)) for each in (plain, variant)
    )
    no_gpu = plain.classes[:, workloads.GPUS] == 0
    assert np.array_equal(before[~no_gpu], after[~no_gpu])
    assert abs(after[no_gpu].sum() - factor * before[no_gpu].sum()) < 1
    assert np.array_equal(source.nodes, evaluate.SOURCE.nodes)


@pytest.mark.parametrize("name", [*workloads.TRAIN, *generator.HELD_OUT])
def test_generated_lists_are_reproducible_and_as_named(name):
    first, second = generator.Generator(), generator.Generator()
    drawn = first.pod_list(name)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, second.pod_list(name), strict=True))
    assert np.array_equal(first.nodes, second.nodes)
    requests = drawn.classes[drawn.pods]
    gpu = requests[:, 2] * requests[:, 3]
    kind = name.rstrip("0123456789")
    percent = int(name.removeprefix(kind) or 100)
    shares = {
        "default": 100 * (requests[:, 2] == 0).mean() / 0.133,
        "cpu": 100 * (requests[:, 2] == 0).sum() / (0.133 * generator.PODS),
        "gpushare": 100 * gpu[requests[:, 3] < 1000].sum() / gpu.sum(),
        "multigpu": 100 * gpu[requests[:, 2] > 1].sum() / gpu.sum(),
        "gpuspec": 100 * (requests[:, 4] != 0).sum() / (requests[:, 2] == 1).sum(),
    }
    assert shares[kind] == pytest.approx(percent, rel=0.12, abs=1.5)


def test_every_generated_pod_fits_on_an_empty_node():
    source = generator.Generator()
    for name in source.names():
        for cpu, memory, gpus, _, spec in source.pod_list(name).classes.tolist():
            models = [spec == 0 or spec >> model & 1 for model in source.nodes[:, 3].tolist()]
            assert ((source.nodes[:, :3] >= (cpu, memory, gpus)).all(axis=1) & models).any()


def test_unknown_generated_list_is_one_line():
    with pytest.raises(TaskError, match="'gpu7x' does not exist"):
        generator.Generator().pod_list("gpu7x")


@on_generated_data
def test_baselines_on_generated_data_are_stable():
    workload = evaluate.quick_workload()
    found = {}
    for policy in policies.POLICIES:
        rows = evaluate.measure(workload, evaluate.run(policy, workload))
        found[policy] = round(evaluate.metrics_of(rows)["gpu_allocated"], 2)
    assert found == MEASURED


@on_generated_data
def test_best_per_list_is_no_worse_than_any_baseline(monkeypatch):
    small = workloads.assemble(evaluate.SOURCE, workloads.TRAIN, (1,), every=12)
    monkeypatch.setattr(evaluate, "train_workload", lambda: small)
    monkeypatch.setattr(evaluate, "baseline_rows", evaluate.baseline_rows.__wrapped__)
    found = evaluate.baselines("search")
    assert set(found) == {*policies.POLICIES, "best per list"}
    best = found["best per list"]["gpu_allocated"]
    assert best >= max(each["gpu_allocated"] for each in found.values())


def test_missing_trace_is_one_line(tmp_path):
    with pytest.raises(TaskError, match=r"BREEDER_OPENB: openb_node_list_gpu_node.csv is not in"):
        workloads.Trace(tmp_path)


def test_damaged_pod_list_is_one_line(tmp_path):
    (tmp_path / workloads.NODE_LIST).write_text(
        "sn,cpu_milli,memory_mib,gpu,model\na,8000,1024,1,T4\n"
    )
    for name in workloads.TRAIN:
        (tmp_path / workloads.POD_LIST.format(name)).write_text("cpu_milli,memory_mib\n1,2\n")
    trace = workloads.Trace(tmp_path)
    assert trace.names() == workloads.TRAIN
    assert trace.published("FGD") == {}
    (tmp_path / workloads.PUBLISHED).write_text(
        "workload,sc_policy,130\nopenb_pod_list_x,06-FGD,90\nopenb_pod_list_x,06-FGD,92\n"
        "openb_pod_list_x,05-BestFit,10\n"
    )
    assert trace.published("FGD") == {"x": 91.0}
    with pytest.raises(TaskError, match=r"openb_pod_list_default.csv: cannot be read"):
        trace.pod_list("default")


def test_trace_reads_specs_and_sorts_nodes(tmp_path):
    (tmp_path / workloads.NODE_LIST).write_text(
        "sn,cpu_milli,memory_mib,gpu,model\nb,8000,1024,1,T4\na,9000,2048,2,G2\n"
    )
    pods = "cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n100,1,1,500,T4|A10\n100,1,0,0,\n"
    for name in workloads.TRAIN:
        (tmp_path / workloads.POD_LIST.format(name)).write_text(pods)
    trace = workloads.Trace(tmp_path)
    assert trace.nodes.tolist() == [[9000, 2048, 2, 0], [8000, 1024, 1, 1]]
    listed = trace.pod_list("default")
    assert listed.classes[listed.pods].tolist() == [
        [100, 1, 1, 500, (1 << 1) | (1 << workloads.UNKNOWN_MODEL)],
        [100, 1, 0, 0, 0],
    ]


@needs_trace
def test_real_trace_has_the_published_size():
    trace = workloads.Trace(Path(os.environ["BREEDER_OPENB"]))
    assert len(trace.nodes) == 1213
    assert trace.nodes[:, 2].sum() == 6212
    assert len(trace.pod_list("default").pods) == 8152
    assert trace.published("FGD")["default"] == pytest.approx(95.39, abs=0.01)


@needs_trace
@pytest.mark.parametrize(
    ("policy", "published", "tolerance"),
    [("best fit", 93.08, 0.4), ("dot product", 90.85, 0.6), ("FGD", 95.39, 0.3)],
)
def test_baselines_reproduce_the_published_allocation(policy, published, tolerance):
    trace = workloads.Trace(Path(os.environ["BREEDER_OPENB"]))
    workload = workloads.assemble(trace, ("default",), (42,))
    answers = evaluate.run(policy, workload)
    assert replaying.replay(workload, 0, answers[0]).at_end == pytest.approx(
        published, abs=tolerance
    )


def test_task_folder_works_from_another_place(tmp_path):
    copy = shutil.copytree(FOLDER, tmp_path / "copy")
    assert load_native(copy).digest() == load_native(FOLDER).digest()
