"""Between values and rows: columns in the order of schema.sql, JSON that is strict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from breeder.archive.records import (
    BaselineRecord,
    ChallengeOutcome,
    ChallengeRecord,
    EvaluationRecord,
    PlacedRecord,
    RunRecord,
)
from breeder.core import Cost, Evaluation, Failure, FailureKind, Placement, Program

RUN_COLUMNS = (
    "breeder_version, task_name, task_kind, task_folder, task_digest, task_json, config_json,"
    " sandbox, trusted, machine_json, started_at, finished_at, status, detail, elapsed, engine_cpu"
)
PROGRAM_COLUMNS = "id, files_json, parents_json, proposer, note, fingerprint, size, generation"
EVALUATION_COLUMNS = (
    "program_id, split, draw, island, fitness, metrics_json, failure_kind, failure_detail,"
    " failure_stage, stage, stages_run, artifacts_json, construction, trusted, seed, cpu_seconds,"
    " wall_seconds, tokens, currency, placement, gain, elapsed, intervals_json"
)
CHALLENGE_COLUMNS = (
    "number, evaluation, outcome, against, value, low, high, heats, decided, elapsed"
)
BASELINE_COLUMNS = "name, kind, split, metrics_json, fitness, cpu_seconds, evaluations"

_encode = msgspec.json.Encoder().encode
_texts = msgspec.json.Decoder(dict[str, str]).decode
_names = msgspec.json.Decoder(tuple[str, ...]).decode
_metrics = msgspec.json.Decoder(dict[str, float]).decode
_intervals = msgspec.json.Decoder(dict[str, tuple[float, float]]).decode

Row = Sequence[Any]


def encode_metrics(metrics: Mapping[str, float]) -> str:
    """Return metrics as a JSON object.

    Raises:
        ValueError: one of them is NaN or infinite.
    """
    plain = {name: finite(name, value) for name, value in metrics.items()}
    return _encode(plain).decode()


def encode_intervals(intervals: Mapping[str, tuple[float, float]]) -> str:
    """Return intervals as a JSON object of pairs. Raises ValueError for an end not finite."""
    plain = {n: (finite(n, low), finite(n, high)) for n, (low, high) in intervals.items()}
    return _encode(plain).decode()


def finite(name: str, value: float) -> float:
    """Return `value` as a float. Raises ValueError when it is not finite."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number}; the store holds finite numbers only")
    return number


def encode_program(program: Program) -> Row:
    """Values of `PROGRAM_COLUMNS`."""
    return (
        program.id,
        _encode(dict(program.files)).decode(),
        _encode(program.parents).decode(),
        program.proposer,
        _storable(program.note),
        program.fingerprint,
        program.size,
        program.generation,
    )


def decode_program(row: Row) -> Program:
    """A program from `PROGRAM_COLUMNS`."""
    return Program(row[0], _texts(row[1]), _names(row[2]), *row[3:8])


def encode_evaluation(row: EvaluationRecord) -> Row:
    """Values of `EVALUATION_COLUMNS`."""
    evaluation = row.evaluation
    failure, cost = evaluation.failure, evaluation.cost
    return (
        row.program_id,
        row.split,
        row.draw,
        row.island,
        None if row.fitness is None else finite("fitness", row.fitness),
        encode_metrics(evaluation.metrics),
        failure.kind.value if failure else None,
        _storable(failure.detail) if failure else "",
        failure.stage if failure else "",
        evaluation.stage,
        evaluation.stages_run,
        _encode_texts(evaluation.artifacts),
        evaluation.construction,
        evaluation.trusted,
        evaluation.seed,
        cost.cpu_seconds,
        cost.wall_seconds,
        cost.tokens,
        cost.currency,
        row.placement.value,
        finite("gain", row.gain),
        row.elapsed,
        encode_intervals(evaluation.intervals),
    )


def decode_evaluation(row: Row) -> EvaluationRecord:
    """An evaluation from `id` and `EVALUATION_COLUMNS`."""
    failure = Failure(FailureKind(row[7]), row[8], row[9]) if row[7] is not None else None
    evaluation = Evaluation(
        metrics=_metrics(row[6]),
        failure=failure,
        stage=row[10],
        stages_run=row[11],
        artifacts=_texts(row[12]),
        construction=row[13],
        trusted=bool(row[14]),
        seed=row[15],
        cost=Cost(row[16], row[17], row[18], row[19]),
        intervals=_intervals(row[23]),
    )
    return EvaluationRecord(
        id=row[0],
        program_id=row[1],
        evaluation=evaluation,
        split=row[2],
        draw=row[3],
        island=row[4],
        fitness=row[5],
        placement=Placement(row[20]),
        gain=row[21],
        elapsed=row[22],
    )


def decode_placed(row: Row) -> PlacedRecord:
    """What placing needs, from id, program, size, island, fitness, metrics, intervals."""
    return PlacedRecord(
        row[0], row[1], row[2], row[3], row[4], _metrics(row[5]), _intervals(row[6])
    )


def encode_challenge(row: ChallengeRecord) -> Row:
    """Values of `CHALLENGE_COLUMNS`."""
    for name in ("against", "value", "low", "high"):
        value = getattr(row, name)
        if value is not None:
            finite(name, value)
    return tuple(getattr(row, name.strip()) for name in CHALLENGE_COLUMNS.split(","))


def decode_challenge(row: Row) -> ChallengeRecord:
    """A challenge from `CHALLENGE_COLUMNS`."""
    return ChallengeRecord(row[0], row[1], ChallengeOutcome(row[2]), *row[3:])


def encode_run(run: RunRecord) -> Row:
    """Values of `RUN_COLUMNS`."""
    return tuple(getattr(run, name.strip()) for name in RUN_COLUMNS.split(","))


def decode_run(row: Row) -> RunRecord:
    """A run from `RUN_COLUMNS`."""
    fields = dict(zip((name.strip() for name in RUN_COLUMNS.split(",")), row, strict=True))
    return RunRecord(**{**fields, "trusted": bool(fields["trusted"])})


def encode_baseline(row: BaselineRecord) -> Row:
    """Values of `BASELINE_COLUMNS`."""
    fitness = None if row.fitness is None else finite("fitness", row.fitness)
    metrics = encode_metrics(row.metrics)
    return (row.name, row.kind, row.split, metrics, fitness, row.cpu_seconds, row.evaluations)


def decode_baseline(row: Row) -> BaselineRecord:
    """A baseline from `BASELINE_COLUMNS`."""
    return BaselineRecord(row[0], row[1], row[2], _metrics(row[3]), *row[4:7])


def placeholders(columns: str) -> str:
    """One question mark per column."""
    return ", ".join("?" for _ in columns.split(","))


def _encode_texts(texts: Mapping[str, str]) -> str:
    try:
        return _encode(dict(texts)).decode()
    except UnicodeEncodeError:
        return _encode({_storable(k): _storable(v) for k, v in texts.items()}).decode()


def _storable(text: str) -> str:
    """Escape lone surrogates: what a program printed may hold them, and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
