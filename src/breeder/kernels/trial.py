"""A trial of a native kernel: is it right on every shape, and is it faster than a baseline?

Timing is symmetric: baseline and candidate get the same number of calls on equally fresh inputs, in
sandboxes of the same kind, in an order drawn anew for each pair. Shapes are interleaved in time.

The unit of measuring is the launch. Starting a program settles where it runs and where its memory
lies, which can be worth more than what is measured and does not average out while it runs (Georges,
Buytaert and Eeckhout, "Statistically rigorous Java performance evaluation", 2007; Mytkowicz, Diwan,
Hauswirth and Sweeney, "Producing wrong data without doing anything obviously wrong!", 2009;
Curtsinger and Berger, "STABILIZER", 2013). So both programs start afresh for every round, in an
order drawn at random, each in either sandbox, on one core for both; a round is one value of the
sample, and the interval holds the variation between launches. How many passes over the shapes a
launch should serve follows from what either costs and how much either varies (Kalibera and Jones,
"Rigorous benchmarking in reasonable time", 2013): `Effort.passes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from breeder.errors import EvaluatorError
from breeder.evaluation.candidate import Batch, InvalidAnswerError
from breeder.kernels.cores import Cores, bound_cores
from breeder.kernels.inputs import Inputs
from breeder.kernels.kernel import Call, Kernel
from breeder.kernels.record import Effort, Record, ShapeRatio, total
from breeder.measurement import Comparison, Spent

Shape = TypeVar("Shape")

_MOST_CALLS = 512
_PROBE_CALLS = 4
_DEFAULT = Effort()
_NOTHING = Spent(0.0, 0.0)


class Subject(Protocol):
    """What can be tried: a `Candidate`, or a program of ours in this process."""

    def prepare(self, function: str, calls: Sequence[Sequence[Any]]) -> Batch:
        """Lay out calls, see `Candidate.prepare`."""
        ...

    def restart(self) -> None:
        """Go on in a fresh process, see `Candidate.restart`."""
        ...

    def exchange(self, other: Any) -> None:
        """Exchange places with the other program, see `Candidate.exchange`."""
        ...


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What a comparison of two kernels came to.

    Attributes:
        overall: geometric mean over the shapes with its interval; its samples are sums over the
            shapes of a round.
        shapes: one by one.
        entropy: seed of all inputs and orders.
        checked: number of the candidate's timed calls whose outputs were checked.
    """

    overall: Comparison
    shapes: tuple[ShapeRatio, ...]
    entropy: int
    checked: int

    @property
    def ratio(self) -> float:
        """Baseline time over candidate time, geometric mean over the shapes."""
        return self.overall.ratio

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the overall interval, valid whenever the measuring stopped."""
        return self.overall.low, self.overall.high

    def table(self) -> str:
        """One line per shape, the least gain first, for people and proposers."""
        lines = [
            f"{one.ratio:.3f}x ({one.low:.3f} .. {one.high:.3f})  {one.shape}: "
            f"{one.candidate_seconds * 1e6:.1f} us, baseline {one.baseline_seconds * 1e6:.1f} us"
            for one in sorted(self.shapes, key=lambda one: one.ratio)
        ]
        return "\n".join([*lines, f"stopped: {self.overall.stopped}"])


class Trial(Generic[Shape]):
    """A candidate beside a baseline on one kernel.

    Args:
        candidate: on trial.
        baseline: trusted; a fault of it is an error of the task, not of the candidate.
        kernel: the function, its inputs and its reference; where shapes call different functions
            of the program, what tells which.
        inputs: where everything random comes from; fresh from the operating system by default.
    """

    def __init__(
        self,
        candidate: Subject,
        baseline: Subject,
        kernel: Kernel[Shape] | Callable[[Shape], Kernel[Shape]],
        inputs: Inputs | None = None,
    ) -> None:
        self._candidate, self._baseline = candidate, baseline
        self._kernel_of = (lambda _: kernel) if isinstance(kernel, Kernel) else kernel
        self._inputs = inputs or Inputs()
        self._checked = 0
        self._exchanged = False

    def check(self, shapes: Sequence[Shape]) -> None:
        """Call the candidate once per shape, each call for itself, and check every output.

        The baseline goes through the same, lest the past of one process make it the slower one.

        Raises:
            InvalidAnswerError: an output is wrong, an input was changed, a canary is gone.
            CandidateFailedError: it failed otherwise.
            EvaluatorError: the baseline is wrong.
        """
        for shape in shapes:
            self._candidate_batch(shape, 1, 1)
            self._baseline_batch(shape, 1, 1)

    def compare(
        self, shapes: Sequence[Shape], effort: Effort = _DEFAULT, against: float | None = None
    ) -> TrialResult:
        """Time both on all shapes until it is clear on which side of `against` the ratio lies.

        Both start afresh for each round. A comparison by CPU time binds this process and all that
        it has started to one core, drawn anew each round, and lets go of them in the end.

        Args:
            shapes: to be timed, of equal weight.
            effort: how much it may take.
            against: ratio to compare with, usually `candidate.to_beat`. None: measure until the
                interval is within the margin.

        Raises:
            InvalidAnswerError: a timed call left something wrong.
            CandidateFailedError: the candidate failed otherwise.
            EvaluatorError: the baseline is wrong.
        """
        self._checked = 0
        record = Record(effort, against)
        with bound_cores() as cores:
            counts: list[int] = []
            try:
                while not record.stopped:
                    self._launch(shapes, cores if effort.clock == "cpu" else None)
                    counts = counts or [self._calls_per_batch(shape, effort) for shape in shapes]
                    record.add(self._round(shapes, counts, effort))
                record.one_core = cores.bound
            finally:
                if self._exchanged:
                    self._exchange()
        ratios = [
            record.shape_ratio(index, str(shape), counts[index] * effort.passes)
            for index, shape in enumerate(shapes)
        ]
        return TrialResult(record.comparison(), tuple(ratios), self._inputs.entropy, self._checked)

    def _launch(self, shapes: Sequence[Shape], cores: Cores | None) -> None:
        """Start both afresh, each in a sandbox drawn at random, and run each once, untimed.

        Args:
            shapes: one of them is drawn for that run.
            cores: both are bound to one of these; None leaves them all cores, as threads need.
        """
        shape = shapes[int(self._inputs.rng.integers(len(shapes)))]
        self._baseline.restart()
        self._candidate.restart()
        if self._inputs.rng.random() < 0.5:
            self._exchange()
        self._pair(shape, 1, 0)
        if cores is not None:
            cores.bind(self._inputs.rng)

    def _exchange(self) -> None:
        self._candidate.exchange(self._baseline)
        self._exchanged = not self._exchanged

    def _round(
        self, shapes: Sequence[Shape], counts: Sequence[int], effort: Effort
    ) -> list[tuple[Spent, Spent]]:
        """Run every shape `effort.passes` times in random order; return sums for both programs."""
        pairs = [(_NOTHING, _NOTHING)] * len(shapes)
        for _ in range(effort.passes):
            for index in self._inputs.rng.permutation(len(shapes)).tolist():
                pair = self._pair(shapes[index], counts[index], effort.checked)
                pairs[index] = (
                    total([pairs[index][0], pair[0]]),
                    total([pairs[index][1], pair[1]]),
                )
        return pairs

    def _calls_per_batch(self, shape: Shape, effort: Effort) -> int:
        """As many calls as fit the footprint, fewer where the baseline would take too long."""
        size = Call(self._kernel_of(shape), shape, self._inputs).bytes
        fit = min(max(1, int(effort.footprint_mib * 2**20 / max(size, 1))), _MOST_CALLS)
        probe = min(fit, _PROBE_CALLS)
        spent, _ = self._pair(shape, probe, effort.checked)
        return max(1, min(fit, int(effort.batch_seconds * probe / max(spent.cpu_seconds, 1e-9))))

    def _pair(self, shape: Shape, count: int, checked: float) -> tuple[Spent, Spent]:
        """Run baseline and candidate in random order, each with inputs of its own."""
        if self._inputs.rng.random() < 0.5:
            baseline = self._baseline_batch(shape, count, checked)
            return baseline, self._candidate_batch(shape, count, checked)
        candidate = self._candidate_batch(shape, count, checked)
        return self._baseline_batch(shape, count, checked), candidate

    def _candidate_batch(self, shape: Shape, count: int, checked: float) -> Spent:
        batch, calls, spent = self._run(self._candidate, shape, count)
        for index in self._choice(count, checked):
            self._inspect(batch, calls[index], index, shape)
            self._checked += 1
        return spent

    def _baseline_batch(self, shape: Shape, count: int, checked: float) -> Spent:
        """As for the candidate, checks included: what they leave in the caches is the same."""
        batch, calls, spent = self._run(self._baseline, shape, count)
        for index in self._choice(count, checked):
            fault = calls[index].fault(batch.output(index), batch.arguments(index))
            if fault:
                raise EvaluatorError(f"the baseline is wrong on {shape}: {fault}")
        return spent

    def _run(
        self, subject: Subject, shape: Shape, count: int
    ) -> tuple[Batch, list[Call[Shape]], Spent]:
        kernel = self._kernel_of(shape)
        calls = [Call(kernel, shape, self._inputs) for _ in range(count)]
        batch = subject.prepare(kernel.function, [call.arguments for call in calls])
        return batch, calls, batch.run()

    def _choice(self, count: int, checked: float) -> list[int]:
        """Which calls to check, drawn only now that the candidate is done with them."""
        whole, part = divmod(checked, 1)
        if part and self._inputs.rng.random() < part:
            whole += 1
        chosen = self._inputs.rng.choice(count, min(count, int(whole)), replace=False)
        return [int(index) for index in chosen]

    def _inspect(self, batch: Batch, call: Call[Shape], index: int, shape: Shape) -> None:
        fault = call.fault(batch.output(index), batch.arguments(index))
        if fault:
            function = self._kernel_of(shape).function
            raise InvalidAnswerError(f"{function} on {shape}: {fault}")
