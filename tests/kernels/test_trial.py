"""Trials: what a kernel must leave behind, what is timed, and when measuring stops."""

import math
from itertools import permutations

import numpy as np
import pytest

from breeder.errors import EvaluatorError
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.kernels import Effort, Inputs, Trial, TrustedProgram
from breeder.measurement import Verdict
from kernels.scaling import KERNEL, SIGNATURES, Clocked, scale

SHAPES = [8, 64, 100]


def trial(candidate, baseline=None, seed=1):
    return Trial(candidate, baseline or Clocked(seed=99), KERNEL, Inputs(seed))


def wrong(change):
    """The honest kernel, then something more."""

    def function(x, y, state, size, factor):
        scale(x, y, state, size, factor)
        change(x, y, state, size)

    return Clocked(function)


def nothing(x, y, state, size, factor):
    """Leave the output as it was."""


def test_an_honest_kernel_passes():
    trial(Clocked()).check([1, 2, 17, 1000])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x, y, s, n: y.__setitem__(n // 2, y[n // 2] * 1.001), r"y\[8\] is .* off by"),
        (lambda x, y, s, n: y.__setitem__(n - 1, math.nan), r"y\[16\] is nan instead of"),
        (lambda x, y, s, n: y.__setitem__(n, 0.0), "beyond the end of y"),
        (lambda x, y, s, n: y.__setitem__(n + 15, 0.0), "beyond the end of y"),
        (lambda x, y, s, n: s.__setitem__(2, 0), "beyond the end of state"),
        (lambda x, y, s, n: s.__setitem__(0, 0), r"state\[0\] is 0"),
        (lambda x, y, s, n: x.__setitem__(0, 0.0), "argument 1 is an input, but was written"),
    ],
    ids=["one element", "NaN", "first canary", "last canary", "state canary", "state", "input"],
)
def test_what_is_wrong_is_refused_and_named(change, text):
    with pytest.raises(InvalidAnswerError, match="scale on 17: .*" + text):
        trial(wrong(change)).check([17])


def test_an_output_that_is_not_written_is_refused():
    with pytest.raises(InvalidAnswerError, match=r"y\[0\] is nan instead of"):
        trial(Clocked(nothing)).check([3])


def test_a_wrong_baseline_is_no_fault_of_the_candidate():
    with pytest.raises(EvaluatorError, match="the baseline is wrong on 3: y"):
        trial(Clocked(), Clocked(nothing)).check([3])


def test_skipping_some_calls_is_caught_while_timing():
    made = []

    def lazy(x, y, state, size, factor):
        made.append(size)
        if len(made) % 3:
            scale(x, y, state, size, factor)

    with pytest.raises(InvalidAnswerError, match="nan instead of"):
        trial(Clocked(lazy)).compare(SHAPES, Effort(rounds=10))


def test_the_ratio_is_the_geometric_mean_over_shapes():
    baseline = Clocked(seconds=1e-4, noise=0.01, seed=1)

    class PerShape(Clocked):
        def prepare(self, function, calls):
            self.seconds = {8: 1e-4, 64: 5e-5, 100: 2.5e-5}[calls[0][3]]
            return super().prepare(function, calls)

    result = trial(PerShape(noise=0.01, seed=2), baseline).compare(
        SHAPES, Effort(rounds=30, footprint_mib=0.01)
    )
    assert result.ratio == pytest.approx(2.0, rel=0.01)
    assert [one.ratio for one in result.shapes] == pytest.approx([1, 2, 4], rel=0.02)
    assert result.overall.low < 2.0 < result.overall.high
    assert result.overall.fixed_low < 2.0 < result.overall.fixed_high
    assert result.interval == (result.overall.low, result.overall.high)
    lines = result.table().splitlines()
    assert [line.split("  ")[1].split(":")[0] for line in lines[:3]] == ["8", "64", "100"]
    assert lines[3] == f"stopped: {result.overall.stopped}"


def test_the_same_program_is_no_different():
    result = trial(Clocked(seed=3), Clocked(seed=4)).compare(
        SHAPES, Effort(rounds=200, margin=0.03, footprint_mib=0.01), against=1.0
    )
    assert result.overall.verdict is Verdict.NO_DIFFERENCE
    assert result.overall.low < 1.0 < result.overall.high


def test_measuring_stops_when_the_value_to_beat_is_out_of_reach():
    result = trial(Clocked(seed=5), Clocked(seed=6)).compare(SHAPES, against=2.0)
    assert result.overall.verdict is Verdict.SLOWER
    assert result.overall.pairs < 20
    assert result.overall.high < 2.0
    assert "clear against 2.000" in result.overall.stopped


def test_measuring_stops_when_the_value_to_beat_is_beaten():
    fast = Clocked(seconds=2e-4, seed=7)
    result = trial(fast, Clocked(seed=8)).compare(SHAPES, against=2.0)
    assert result.overall.verdict is Verdict.FASTER
    assert result.overall.low > 2.0
    assert result.overall.against == 2.0


def test_a_close_race_takes_every_round_and_says_so():
    result = trial(Clocked(seed=9), Clocked(seed=10)).compare(
        SHAPES, Effort(rounds=25, margin=0.001, footprint_mib=0.01), against=1.0
    )
    assert result.overall.pairs == 25
    assert result.overall.verdict is Verdict.UNDECIDED
    assert result.overall.stopped == "all 25 rounds were taken"
    assert len(result.overall.baseline_seconds) == len(result.overall.candidate_seconds) == 25


def test_without_a_value_to_beat_measuring_goes_on_until_the_margin():
    quiet = trial(Clocked(noise=0.001, seed=11), Clocked(noise=0.001, seed=12))
    result = quiet.compare(SHAPES, Effort(rounds=100, margin=0.01))
    assert result.overall.pairs < 40
    assert result.overall.stopped == "the interval is within the margin"


def test_intervals_are_finite_after_a_single_round():
    result = trial(Clocked()).compare(SHAPES, Effort(rounds=1, least=1))
    assert all(map(math.isfinite, result.interval))
    assert result.overall.note == "too few rounds for an interval"
    assert result.overall.verdict is Verdict.UNDECIDED


def test_elapsed_time_decides_where_asked():
    result = trial(Clocked()).compare(SHAPES, Effort(rounds=2, least=2, clock="wall"))
    assert result.overall.clock == "wall"
    assert result.shapes[0].baseline_seconds == pytest.approx(3e-3, rel=0.3)


def test_both_get_as_many_calls_on_inputs_of_their_own_that_never_repeat():
    candidate, baseline = Clocked(seconds=1e-5), Clocked(seconds=1e-5)
    trial(candidate, baseline).compare(SHAPES, Effort(rounds=4, least=4, footprint_mib=0.01))
    counts = [sorted(len(b) for b in one.batches) for one in (candidate, baseline)]
    assert counts[0] == counts[1]
    seen = [
        np.asarray(call[0]).tobytes()
        for one in (candidate, baseline)
        for batch in one.batches
        for call in batch
    ]
    assert len(set(seen)) == len(seen) > 100


def test_outputs_come_poisoned_and_canaries_are_new_each_time():
    candidate = Clocked()
    trial(candidate).check([5, 5])
    (first,), (second,) = candidate.batches
    for call in (first, second):
        assert np.isnan(call[1][:5]).all()
        assert call[1].size == 5 + 16
        assert np.isfinite(call[1][5:]).all()
    assert not np.array_equal(first[1][5:], second[1][5:])


def test_batches_keep_to_the_footprint_and_to_the_time():
    small = Effort(rounds=1, least=1, footprint_mib=0.01)
    (one,) = trial(Clocked(seconds=1e-6), Clocked(seconds=1e-6)).compare([100], small).shapes
    assert one.calls == int(0.01 * 2**20 / (4 * (100 + 116 + 18)))
    slow = Effort(rounds=1, least=1, batch_seconds=0.02)
    (one,) = trial(Clocked(noise=0), Clocked(seconds=5e-3, noise=0)).compare([100], slow).shapes
    assert one.calls == 4
    (one,) = trial(Clocked(), Clocked(seconds=1.0)).compare([100], slow).shapes
    assert one.calls == 1


def test_order_within_pairs_and_among_shapes_is_drawn():
    order = []

    class Watched(Clocked):
        def prepare(self, function, calls):
            order.append((self, calls[0][3]))
            return super().prepare(function, calls)

    candidate, baseline = Watched(), Watched()
    trial(candidate, baseline).compare(SHAPES, Effort(rounds=40, least=40))
    pairs = [order[i : i + 2] for i in range(0, len(order), 2)]
    assert all(a[0] is not b[0] and a[1] == b[1] for a, b in pairs)
    first = sum(pair[0][0] is candidate for pair in pairs)
    assert 0.3 < first / len(pairs) < 0.7
    # A pair at each launch, and three pairs that set the numbers of calls after the first one.
    rounds = {tuple(pair[0][1] for pair in pairs[i + 1 : i + 4]) for i in range(7, len(pairs), 4)}
    assert rounds == set(permutations(SHAPES))


def test_a_fraction_of_checks_is_the_chance_of_one_and_still_catches_what_is_lazy():
    effort = Effort(rounds=40, least=40, checked=0.25)
    assert 10 < trial(Clocked()).compare(SHAPES, effort).checked < 60
    made = []

    def lazy(x, y, state, size, factor):
        made.append(size)
        if len(made) % 2:
            scale(x, y, state, size, factor)

    with pytest.raises(InvalidAnswerError, match="nan instead of"):
        trial(Clocked(lazy)).compare(SHAPES, effort)


def test_checked_calls_are_counted():
    result = trial(Clocked()).compare(SHAPES, Effort(rounds=5, least=5, checked=2))
    assert result.checked == 2 * 3 * (5 + 1)


def test_each_round_begins_in_fresh_processes():
    candidate, baseline = Clocked(), Clocked()
    on_trial = trial(candidate, baseline)
    on_trial.check(SHAPES)
    assert candidate.restarts == baseline.restarts == 0
    result = on_trial.compare(SHAPES, Effort(rounds=7, least=7))
    assert result.overall.pairs == candidate.restarts == baseline.restarts == 7


class Housed(Clocked):
    """Takes its place's share longer for every call."""

    place = 0.0

    def prepare(self, function, calls):
        batch = super().prepare(function, calls)
        self.visited.append(self.place)
        self.seconds = 1e-3 * (1 + self.place)
        return batch

    def exchange(self, other):
        super().exchange(other)
        self.place, other.place = other.place, self.place


def housed(seed=21):
    candidate, baseline = Housed(seed=seed, noise=0.005), Housed(seed=seed + 1, noise=0.005)
    candidate.visited, baseline.visited = [], []
    baseline.place = 0.1
    return candidate, baseline


def test_a_slower_sandbox_is_no_difference_between_programs():
    held = 0
    for seed in range(20):
        candidate, baseline = housed(2 * seed)
        result = trial(candidate, baseline, seed).compare([8], Effort(rounds=20), 1.0)
        held += result.overall.low <= 1.0 <= result.overall.high
        assert set(candidate.visited) == set(baseline.visited) == {0.0, 0.1}
    assert held >= 17


def test_both_are_where_they_were_when_it_is_over():
    for rounds in range(1, 9):
        candidate, baseline = housed()
        trial(candidate, baseline, seed=rounds).compare(SHAPES, Effort(rounds=rounds, least=9))
        assert (candidate.place, baseline.place) == (0.0, 0.1)
        assert candidate.exchanges % 2 == 0


def test_both_are_where_they_were_after_a_wrong_answer():
    for seed in range(5):
        candidate, baseline = housed()
        made = []

        def spoilt(*arguments, made=made):
            made.append(arguments)
            (scale if len(made) < 40 else nothing)(*arguments)

        candidate.program = TrustedProgram(SIGNATURES, {"scale": spoilt})
        with pytest.raises(InvalidAnswerError):
            trial(candidate, baseline, seed=seed).compare(SHAPES, Effort(footprint_mib=0.01))
        assert (candidate.place, baseline.place) == (0.0, 0.1)


def test_what_a_launch_does_is_in_the_interval():
    """Processes that differ by 5 % from start to start: twenty rounds cannot resolve 1 %."""

    class Fickle(Clocked):
        def restart(self):
            super().restart()
            self.seconds = 1e-3 * math.exp(self.rng.gauss(0.0, 0.05))

    held = 0
    for seed in range(40):
        pair = Fickle(seed=2 * seed, noise=0.001), Fickle(seed=2 * seed + 1, noise=0.001)
        result = trial(*pair, seed=seed).compare([8], Effort(rounds=20, footprint_mib=0.01), 1.0)
        held += result.overall.low <= 1.0 <= result.overall.high
        assert result.overall.high / result.overall.low > 1.02
    assert held >= 36


def test_passes_are_one_value_together():
    candidate, baseline = Clocked(), Clocked()
    result = trial(candidate, baseline).compare(SHAPES, Effort(rounds=3, least=3, passes=4))
    assert result.overall.pairs == len(result.overall.baseline_seconds) == 3
    assert candidate.restarts == 3
    assert result.checked == 3 * (3 * 4 + 1)
    assert result.shapes[0].baseline_seconds == pytest.approx(1e-3, rel=0.1)


def test_after_the_last_round_the_interval_is_that_of_a_fixed_sample():
    result = trial(Clocked(seed=9), Clocked(seed=10)).compare(
        SHAPES, Effort(rounds=25, margin=0.0, footprint_mib=0.01), against=1.0
    )
    overall = result.overall
    assert overall.stopped == "all 25 rounds were taken"
    assert overall.low <= overall.fixed_low < overall.ratio < overall.fixed_high <= overall.high
    assert math.log(overall.high / overall.low) < 1.4 * math.log(
        overall.fixed_high / overall.fixed_low
    )
