"""The vocabulary that every other module speaks: frozen values, no I/O, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class FailureKind(StrEnum):
    """What a candidate did wrong. Our own faults are exceptions, see `breeder.errors`."""

    SYNTAX = "syntax"  # the source cannot be read, parsed or imported
    COMPILE = "compile"  # the compiler refused it
    MISSING = "missing"  # a required function is not there
    EXCEPTION = "exception"  # it raised
    CRASH = "crash"  # it died of a signal
    EXIT = "exit"  # it left with sys.exit, os._exit or an exit status
    WALL_TIME = "wall-time"
    CPU_TIME = "cpu-time"
    MEMORY = "memory"
    PROCESSES = "processes"
    DISK = "disk"
    OUTPUT = "output"  # printed or answered more than allowed
    PROTOCOL = "protocol"  # its answer is not well-formed data
    OUTSIDE_CLOCK = "outside-clock"  # it worked while it was not being measured
    INVALID = "invalid"  # the evaluator found that the answer breaks the rules
    NON_FINITE = "non-finite"  # a metric came out as NaN or infinity
    CONSTRAINT = "constraint"  # a declared constraint is violated
    THRESHOLD = "threshold"  # stopped by a stage's threshold (a verdict, not a fault)
    NEUTRAL = "neutral"  # no different from its parent where the task looks for that (a verdict)
    EVALUATOR = "evaluator"  # the evaluator raised while it scored this candidate


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an evaluation yielded no admissible result, in words a proposer can act on."""

    kind: FailureKind
    detail: str = ""
    stage: str = ""

    def __str__(self) -> str:
        where = f" in stage {self.stage}" if self.stage else ""
        return f"{self.kind}{where}: {self.detail}" if self.detail else f"{self.kind}{where}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What something used up. Adds up with `+`.

    Attributes:
        cpu_seconds: user + system time of the whole process tree.
        wall_seconds: elapsed time.
        tokens: model tokens, prompt and answer together.
        currency: money, in the currency of the configured prices.
    """

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    tokens: int = 0
    currency: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.cpu_seconds + other.cpu_seconds,
            self.wall_seconds + other.wall_seconds,
            self.tokens + other.tokens,
            self.currency + other.currency,
        )


@dataclass(frozen=True, slots=True)
class Program:
    """Source files of a candidate with their lineage.

    Attributes:
        id: short content hash of `files`; equal text means equal id.
        files: path relative to the task folder -> full text, every evolved file.
        parents: ids of the programs it was made from, the main parent first.
        proposer: name of the proposer that made it; `initial` for the start.
        note: one line on what was changed.
        fingerprint: hash of the normalised syntax trees (comments and layout do not count).
        size: number of syntax-tree nodes in the evolvable regions.
        generation: number of steps from the initial program along the main parent.
    """

    id: str
    files: Mapping[str, str]
    parents: tuple[str, ...] = ()
    proposer: str = "initial"
    note: str = ""
    fingerprint: str = ""
    size: int = 0
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came back from evaluating a program: metrics, or a failure, with its cost.

    Attributes:
        metrics: name -> finite number. May be partial when `failure` is set.
        failure: None when every stage was passed and every constraint holds.
        cost: what the evaluation used.
        stage: name of the last stage that was run.
        stages_run: number of stages that were run (the unit of deterministic cost).
        artifacts: name -> text for proposers and people (compiler errors, failing case, notes).
        construction: MessagePack bytes of the best artefact found, carried from program to program.
        intervals: 95 % intervals (low, high) of those metrics that are measured or sampled.
        trusted: False when the number was computed in the candidate's own process (self-reported).
        seed: the seed that the evaluation was run with.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    cost: Cost = field(default_factory=Cost)
    stage: str = ""
    stages_run: int = 0
    artifacts: Mapping[str, str] = field(default_factory=dict)
    construction: bytes | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    trusted: bool = True
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Elite:
    """A successfully evaluated program with its scalar fitness (higher is better, always).

    `error` is the standard error of the fitness where that was measured; 0 where it is exact.
    """

    program: Program
    evaluation: Evaluation
    fitness: float
    error: float = 0.0


class Placement(StrEnum):
    """What `Archive.place` did with an elite."""

    REJECTED = "rejected"  # its cell holds something at least as good
    IMPROVED = "improved"  # it replaced the elite of its cell
    NEW = "new"  # it opened an empty cell

    def __bool__(self) -> bool:
        return self is not Placement.REJECTED


class Direction(StrEnum):
    """Which way an objective improves."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    @property
    def sign(self) -> float:
        """+1.0 when more is better, -1.0 when less is."""
        return 1.0 if self is Direction.MAXIMIZE else -1.0


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric to improve. `weight` enters the scalar fitness; fronts ignore it."""

    name: str
    direction: Direction = Direction.MAXIMIZE
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Budget:
    """When a run must end; None means no limit of that kind.

    `cpu_seconds` counts evaluations and proposals together (children included).
    """

    minutes: float | None = None
    evaluations: int | None = None
    cpu_seconds: float | None = None
    tokens: int | None = None
    currency: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one evaluation of a candidate may use. `task.LimitsSection` validates the same fields.

    A plain value, because evaluator processes start in milliseconds and never load pydantic.
    """

    cpu_seconds: float = 30.0
    wall_seconds: float = 120.0
    memory_mib: int = 2048
    scratch_mib: int = 64
    file_mib: int = 32
    processes: int = 16
    output_kib: int = 256
    answer_mib: int = 64
    source_kib: int = 256
    compile_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class NativeFunction:
    """How to call a function on arrays. Types read like `float64`, `int64[]`, `out float32[]`.

    Attributes:
        arguments: one type per argument, in order. Scalars: int32, int64, float32, float64.
            Arrays: `T[]` (read only), `inout T[]` (the caller's data, answered back), `out T[]`
            (the caller passes the shape as a tuple; the worker allocates it filled with NaN or -1).
        returns: a scalar type or `void`.
    """

    # Read by pydantic when task.toml is validated: unknown keys are errors there.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    arguments: tuple[str, ...] = ()
    returns: str = "void"


def fitness(objectives: tuple[Objective, ...], metrics: Mapping[str, float]) -> float:
    """Weighted sum of the objectives, signed so that higher is better.

    Raises:
        KeyError: a metric named by an objective is missing.
    """
    return sum(o.direction.sign * o.weight * metrics[o.name] for o in objectives)


def merit(
    objectives: tuple[Objective, ...], metrics: Mapping[str, float], name: str | None
) -> float:
    """What parents are selected by: the metric `name` where a task names one, else the fitness.

    A task that carries constructions scores what a program reached from the best so far, which
    says little about the program. Such a task names a metric that does; it improves in the
    direction of the first objective.

    Raises:
        KeyError: a metric is missing.
    """
    if name is None:
        return fitness(objectives, metrics)
    return objectives[0].direction.sign * metrics[name]
