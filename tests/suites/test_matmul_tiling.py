"""The matmul tiling task: snapping, the memo, the baselines and the stages, under a fake clock."""

import math
import random
import re

import pytest

from breeder.core import Failure, FailureKind
from breeder.errors import EvaluatorError
from breeder.evaluation import CandidateFailedError, InvalidAnswerError
from breeder.task import load_native
from suites.direct import DirectCandidate
from suites.fake_tiling import (
    FOLDER,
    NARROW,
    SHAPE,
    TEXTBOOK,
    WIDE,
    Choice,
    FakeClock,
    Memo,
    Shape,
    comparison,
    evaluate,
    fake_speedups,
    grid,
    packing_costs,
    shapes,
    times,
)


def drawn_tiling(draw, member_of):
    return member_of.snap(
        {
            "rows": draw.randint(1, 14),
            "vectors": draw.randint(1, 6),
            "mc": draw.randint(1, 160),
            "kc": draw.randint(1, 160),
            "nc": draw.randint(1, 300),
            "pack_a": draw.randint(0, 1),
            "pack_b": draw.randint(0, 1),
            "order": draw.randint(0, 1),
            "threads": draw.randint(1, 4),
        }
    )


def test_snap_keeps_members_and_is_idempotent():
    draw = random.Random(4)
    for machine in (WIDE, NARROW):
        for _ in range(200):
            once = drawn_tiling(draw, machine)
            assert machine.snap(once._asdict()) == once
            assert 1 <= once.rows <= machine.tallest[once.vectors - 1]
            assert once.mc % once.rows == 0
            assert once.nc % (once.vectors * machine.lanes) == 0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"rows": 8.4, "vectors": 2.6}, {"rows": 8, "vectors": 3}),
        ({"rows": 99, "vectors": 4}, {"rows": 6, "vectors": 4}),
        ({"rows": -3, "vectors": 0}, {"rows": 1, "vectors": 1}),
        ({"mc": 1e30, "kc": -5, "nc": 100.0}, {"mc": 4096, "kc": 8, "nc": 96}),
        ({"kc": 101}, {"kc": 104}),
        ({"pack_a": 0.49, "pack_b": True, "order": 7}, {"pack_a": 0, "pack_b": 1, "order": 1}),
        ({"threads": 8}, {"threads": 1}),
    ],
)
def test_snap_rounds_and_clamps(given, expected):
    snapped = WIDE.snap({**TEXTBOOK, **given})._asdict()
    assert {name: snapped[name] for name in expected} == expected


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [8, 3, 96, 384, 2048, 1, 1, 0],
        {},
        {**TEXTBOOK, "rows": math.nan},
        {**TEXTBOOK, "kc": math.inf},
        {**TEXTBOOK, "mc": "96"},
        {**TEXTBOOK, "nc": [2048]},
        {**TEXTBOOK, "unroll": 4},
        {name: value for name, value in TEXTBOOK.items() if name != "order"},
    ],
)
def test_snap_refuses_what_is_not_a_tiling(answer):
    with pytest.raises(InvalidAnswerError):
        WIDE.snap(answer)


def test_huge_integers_are_clamped_or_refused_without_a_crash():
    assert WIDE.snap({**TEXTBOOK, "mc": 10**200}).mc == 4096
    with pytest.raises(InvalidAnswerError):
        WIDE.snap({**TEXTBOOK, "mc": 10**400})


def test_textbook_is_eight_by_fortyeight_with_wide_vectors():
    assert WIDE.textbook() == (8, 3, 96, 384, 2064, 1, 1, 0, 1)
    assert NARROW.textbook()[:2] == (4, 3)


def test_equal_work_on_a_shape_is_one_tiling():
    small = Shape(1, 16, 5, b_transposed=True)
    one = WIDE.on(small, WIDE.snap({**TEXTBOOK, "pack_b": 0, "kc": 500}))
    assert one == WIDE.on(small, WIDE.snap(TEXTBOOK)) == (1, 1, 1, 5, 16, 1, 1, 0, 1)


def test_blocks_are_equal_and_as_many_as_the_asked_size_gives():
    long = Shape(256, 1152, 1024)

    def blocks(**sizes):
        one = WIDE.on(long, WIDE.snap({**TEXTBOOK, **sizes}))
        assert WIDE.on(long, one) == one
        return one.mc, one.kc, one.nc

    assert blocks(kc=400) == blocks(kc=344) == blocks(kc=504) == (88, 344, 1152)
    assert blocks(mc=247)[0] == blocks(mc=128)[0] == 128
    assert blocks(nc=8192)[2] == 1152
    assert {blocks(nc=nc)[2] for nc in range(576, 1100, 48)} == {576}
    odd = Shape(57, 190, 147)
    for kc in range(8, 300, 8):
        one = WIDE.on(odd, WIDE.snap({**TEXTBOOK, "kc": kc}))
        assert WIDE.on(odd, one) == one
        assert one.kc <= 147


def test_shape_lists_are_disjoint_of_the_same_kinds_and_of_moderate_size():
    training, held_out = shapes.flat(shapes.TRAINING), shapes.flat(shapes.HELD_OUT)
    assert len(set(training)) == len(training) == 20
    assert len(set(held_out)) == len(held_out) == 20
    assert not {s[:3] for s in training} & {s[:3] for s in held_out}
    kinds = [{g: len(v) for g, v in lists.items()} for lists in (shapes.TRAINING, shapes.HELD_OUT)]
    assert kinds[0] == kinds[1]
    assert set(shapes.QUICK) <= set(training)
    assert max(2 * s.m * s.n * s.k for s in training + held_out) < 250e6


def test_speed_up_ignores_rare_disturbances():
    pairs = [(2e-3, 1e-3)] * 12 + [(9e-3, 1e-3), (2e-3, 9e-3), (2e-3, 5e-3)]
    assert times.speed_up(pairs) == pytest.approx(2.0)


def test_equal_work_is_exactly_one_and_needs_no_measurement():
    speedups, clock = fake_speedups()
    assert speedups.race([SHAPE], [WIDE.textbook()], 1.0).logs == (0.0,)
    assert clock.batches == 0


def test_rounds_are_kept_up_to_a_bound_and_outlive_the_process(tmp_path):
    path = tmp_path / "rounds.sqlite"
    tiling = WIDE.textbook()._replace(pack_a=0)
    speedups, clock = fake_speedups(memo=Memo(path), levels=(2, 6), most=9)
    assert speedups.race([SHAPE], [tiling], 1.1).centre == pytest.approx(math.log(1.2))
    assert speedups.count(SHAPE, tiling) == 6
    speedups.race([SHAPE], [tiling], 1.1)
    assert (speedups.count(SHAPE, tiling), clock.batches) == (6, 12)
    speedups.take(SHAPE, tiling, [(1.2, 1.0)] * 5)
    assert speedups.count(SHAPE, tiling) == 9
    later, fresh = fake_speedups(memo=Memo(path), levels=(9,), most=9)
    assert later.race([SHAPE], [tiling]).centre == pytest.approx(math.log(1.2))
    assert fresh.batches == 0


def test_each_level_is_for_those_who_can_still_win_and_hopeless_tilings_get_a_glance():
    worse, slow = WIDE.textbook()._replace(order=1), WIDE.textbook()._replace(kc=8)
    costs = {worse: 1.1, slow: 9.0}
    counts = []
    for tiling, to_beat in ((worse, None), (worse, 1.0), (worse, 0.8), (slow, None)):
        speedups, _ = fake_speedups(
            lambda shape, t: {WIDE.on(SHAPE, k): v for k, v in costs.items()}.get(t, 1.0)
        )
        speedups.race([SHAPE], [tiling], to_beat)
        counts.append(speedups.count(SHAPE, tiling))
    assert counts == [4, 2, 24, 2]


def test_memo_of_two_processes_is_one(tmp_path):
    one, other = Memo(tmp_path / "m.sqlite"), Memo(tmp_path / "m.sqlite")
    tiling = WIDE.textbook()
    one.add(SHAPE, [(tiling, (2.0, 1.0))])
    other.add(SHAPE, [(tiling, (4.0, 1.0))])
    assert one.pairs(SHAPE, tiling) == other.pairs(SHAPE, tiling) == [(2.0, 1.0), (4.0, 1.0)]
    assert one.pairs(Shape(256, 256, 257), tiling) == []


def test_damaged_memo_is_one_line(tmp_path):
    path = tmp_path / "m.sqlite"
    path.write_bytes(b"this is no database at all" * 100)
    with pytest.raises(EvaluatorError, match=re.escape(f"{path}: ")):
        Memo(path)


def test_oracle_and_best_single_find_what_is_fastest():
    def cost(shape, tiling):
        wide = tiling.vectors == (4 if shape.m < 64 else 2)
        return packing_costs(shape, tiling) * (0.8 if wide else 1.0)

    speedups, _ = fake_speedups(cost)
    wide, narrow = Shape(32, 512, 64), Shape(256, 512, 64)
    best = grid.oracle(speedups, wide)
    assert (best.vectors, best.pack_a, best.pack_b) == (4, 0, 0)
    assert grid.oracle(speedups, narrow).vectors == 2
    single = grid.best_single(speedups, [narrow, Shape(200, 512, 64), wide])
    assert (single.vectors, single.pack_a, single.pack_b) == (2, 0, 0)


def test_comparison_is_exact_for_equal_work_and_brackets_the_truth():
    chosen = {
        "default": [WIDE.textbook()] * 2,
        "same": [WIDE.snap({**TEXTBOOK, "nc": 4096})] * 2,
        "bare": [WIDE.textbook()._replace(pack_a=0, pack_b=0)] * 2,
    }
    both = (SHAPE, Shape(64, 64, 64))
    result = comparison.compare(WIDE, FakeClock(packing_costs), both, chosen, rounds=20)
    assert result.ratio("default", "same") == (1.0, 1.0, 1.0)
    ratio = result.ratio("default", "bare")
    assert ratio.low <= ratio.value <= ratio.high
    assert ratio.value == pytest.approx(1.5)
    assert result.ratio("bare", "default").value == pytest.approx(1 / 1.5)


@pytest.fixture
def fake_task(monkeypatch):
    speedups, clock = fake_speedups()
    monkeypatch.setattr(evaluate, "speedups", lambda: (speedups, clock))
    monkeypatch.setattr(evaluate, "fresh_clock", lambda seed: (WIDE, FakeClock(packing_costs)))
    return speedups


def test_start_scores_exactly_one_in_both_stages(fake_task):
    start = DirectCandidate(FOLDER)
    assert evaluate.quick(start).metrics == {"quick_speedup": 1.0}
    result = evaluate.evaluate(start)
    metrics = result.metrics
    assert set(metrics.values()) == {1.0}
    assert result.intervals == {"speedup": (1.0, 1.0)}
    file = load_native(FOLDER).file
    named = [f.name for f in file.feature] + [o.name for o in file.objective]
    assert set(named) <= set(metrics)
    assert file.stage[0].metric == "quick_speedup"
    assert callable(getattr(evaluate, file.measured.function))
    assert callable(getattr(evaluate, file.verification.function))


def test_start_is_the_textbook_setting_everywhere():
    rows = [list(map(int, s)) for s in shapes.flat(shapes.TRAINING) + shapes.flat(shapes.HELD_OUT)]
    answers = DirectCandidate(FOLDER).call("tilings", rows)
    for machine in (WIDE, NARROW):
        assert {machine.snap(answer) for answer in answers} == {machine.textbook()}


def test_held_out_and_baselines_agree_on_a_candidate_that_packs_nothing(fake_task):
    bare = Choice(lambda rows: [{**TEXTBOOK, "pack_a": 0, "pack_b": 0} for _ in rows])
    result = evaluate.evaluate_held_out(bare)
    metrics = result.metrics
    # Transposed B is packed whatever was asked: four shapes of twenty gain 1.2, the others 1.5.
    expected = (1.5**16 * 1.2**4) ** (1 / 20)
    assert metrics["speedup"] == pytest.approx(expected)
    assert metrics["speedup_low"] <= metrics["speedup"] <= metrics["speedup_high"]
    assert metrics["oracle_fraction"] == pytest.approx(1.0)
    baselines = evaluate.baselines("held_out")
    assert baselines["fixed default"] == {"speedup": 1.0}
    assert baselines["per-shape oracle"]["speedup"] == pytest.approx(expected)
    assert baselines["best single setting"]["speedup"] == pytest.approx(expected)
    assert result.artifacts["choices"].count("\n") == 5


def test_training_score_is_the_geometric_mean_and_names_the_slowest(fake_task):
    bare = Choice(
        lambda rows: [{**TEXTBOOK, "pack_a": int(row[0] > 64), "pack_b": 0} for row in rows]
    )
    result = evaluate.evaluate(bare)
    assert result.metrics["decode_speedup"] == pytest.approx(1.5)
    assert result.metrics["square_speedup"] == pytest.approx(1.2)
    assert result.metrics["forward_speedup"] == pytest.approx(1.0)
    assert result.artifacts["shapes"].splitlines()[1].startswith("1.00x")


@pytest.mark.parametrize(
    "rule",
    [
        lambda rows: None,
        lambda rows: {},
        lambda rows: [dict(TEXTBOOK)] * (len(rows) - 1),
        lambda rows: [dict(TEXTBOOK)] * (len(rows) + 1),
        lambda rows: [{**TEXTBOOK, "rows": math.nan}] * len(rows),
        lambda rows: ["8x48"] * len(rows),
    ],
)
def test_malformed_answers_are_invalid(fake_task, rule):
    stages = (evaluate.quick, evaluate.evaluate, evaluate.confirm, evaluate.evaluate_held_out)
    for stage in stages:
        with pytest.raises(InvalidAnswerError):
            stage(Choice(rule))


def test_failures_of_the_candidate_pass_through(fake_task):
    def fail(rows):
        raise CandidateFailedError(Failure(FailureKind.CRASH))

    with pytest.raises(CandidateFailedError):
        evaluate.evaluate(Choice(fail))
