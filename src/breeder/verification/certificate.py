"""The certificate: what was run again to check a champion, and what came of it, as one JSON file.

`seal` and `read` keep a content hash over the canonical JSON, so that a changed figure is noticed.
It is no signature: whoever can write the file can seal it anew. What makes a certificate worth
believing is that `breeder verify certificate.json` repeats it. `docs/verification.md` describes
every field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from breeder.admission import program_id
from breeder.core import Direction, Objective
from breeder.errors import CertificateError

FORMAT = 1
FILE_NAME = "certificate.json"
_HASH = "sha256"
_LARGEST = 64 * 2**20

Outcome = Literal["holds", "does not hold", "not decided"]
Method = Literal["verify", "held_out", "search", "construction"]
Side = Literal["start", "champion"]


HOW: Mapping[Method, str] = {
    "verify": "by the task's own verification, with fresh seeds, each in a fresh process",
    "held_out": "on held-out data, with fresh seeds, each in a fresh process",
    "search": "by the search's own stages (the task has no held-out data), with fresh seeds, each "
    "in a fresh process",
    "construction": "the constructions that start and champion left, checked alone and exactly",
}
"""What each method does, in words."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown fields are refused: they would be covered by the hash and seen by nobody."""


class TaskRecord(_Record, frozen=True, kw_only=True):
    """The task that the champion was verified on.

    Attributes:
        folder: where it lay; a repeat looks there when no shipped task has the digest. Empty for a
            task that ships with breeder.
        ratio: whether differences are taken of logarithms (see `[measured] ratio`).
    """

    name: str
    digest: str
    kind: str
    folder: str
    objectives: tuple[ObjectiveRecord, ...]
    ratio: bool

    def as_objectives(self) -> tuple[Objective, ...]:
        """The objectives in the vocabulary of `breeder.core`."""
        return tuple(Objective(o.name, o.direction, o.weight) for o in self.objectives)


class ObjectiveRecord(_Record, frozen=True, kw_only=True):
    """A metric to improve."""

    name: str
    direction: Direction
    weight: float


class ProgramRecord(_Record, frozen=True, kw_only=True):
    """A program with its text. `sha256` is over names and texts, `id` the run's short hash."""

    id: str
    sha256: str
    files: dict[str, str]
    proposer: str = ""
    note: str = ""
    generation: int = 0
    construction: bytes | None = None


class Selection(_Record, frozen=True, kw_only=True):
    """What the champion was selected on, as the run recorded it. No verdict rests on it.

    Attributes:
        metrics: the champion's; `start_metrics`: those of the initial program.
        sandbox: kind of sandbox during the run.
        task_digest: of the task during the run.
    """

    split: str
    seed: int
    metrics: dict[str, float]
    start_metrics: dict[str, float]
    sandbox: str
    trusted: bool
    task_digest: str
    breeder: str


class Trial(_Record, frozen=True, kw_only=True):
    """One run of one program in a fresh evaluator process and a fresh sandbox.

    `seed` is None where a construction was checked alone, which knows no chance.
    """

    side: Side
    seed: int | None
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]] = msgspec.field(default_factory=dict)
    failure: str = ""
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


class Effect(_Record, frozen=True, kw_only=True):
    """By how much the champion is better than the start; above `neutral` it is.

    Attributes:
        scale: `difference` of the objectives, signed so that more is better, or `ratio`.
        low, high: 95 % interval; None where the trials do not give one.
        exact: whether every seed gave the same values, so that there is nothing to estimate.
        basis: how the interval was found, in words.
    """

    scale: Literal["difference", "ratio"]
    centre: float
    low: float | None
    high: float | None
    exact: bool
    basis: str

    @property
    def neutral(self) -> float:
        """The value that means no improvement."""
        return 1.0 if self.scale == "ratio" else 0.0


class Environment(_Record, frozen=True, kw_only=True):
    """What the trials ran on."""

    breeder: str
    python: str
    packages: dict[str, str]
    compilers: dict[str, str]
    machine: dict[str, str | int]
    sandbox: str
    sandbox_kind: str


class Certificate(_Record, frozen=True, kw_only=True):
    """A record that a champion was run again under rules that selection did not see.

    Attributes:
        method: `verify` (the task's own verification), `held_out`, `search` (the cascade anew), or
            `construction` (checked alone and exactly).
        repeats: content hash of the certificate that this one repeats; empty otherwise.
        sha256: content hash, see `content_hash`.
    """

    format: int
    verdict: Outcome
    reason: str
    method: Method
    trusted: bool
    task: TaskRecord
    program: ProgramRecord
    start: ProgramRecord
    selection: Selection
    seeds: tuple[int, ...]
    trials: tuple[Trial, ...]
    effect: Effect | None
    environment: Environment
    created_at: str
    repeats: str = ""
    sha256: str = ""


def bars(certificate: Certificate) -> tuple[str, ...]:
    """What bars an adoption whatever the verdict, in words."""
    found = []
    if not certificate.trusted:
        found.append("self-reported: the figures were computed in the candidate's own process")
    where = {
        "the run": certificate.selection.sandbox,
        "the verification": certificate.environment.sandbox_kind,
    }
    open_ = [name for name, kind in where.items() if kind == "none"]
    if open_:
        found.append(f"no sandbox: nothing isolated the candidates during {' and '.join(open_)}")
    return tuple(found)


def caveats(certificate: Certificate) -> tuple[str, ...]:
    """What a reader must know before trusting the verdict: the bars, and a changed task."""
    found = bars(certificate)
    if certificate.task.digest == certificate.selection.task_digest:
        return found
    changed = "the task has changed since the run; it was verified on the task named here"
    return (*found, changed)


def files_hash(files: Mapping[str, str]) -> str:
    """SHA-256 over the names and texts of a program's files, in order of their names."""
    hasher = hashlib.sha256()
    for name in sorted(files):
        data = files[name].encode()
        hasher.update(f"{len(name.encode())}:{name}:{len(data)}:".encode() + data)
    return hasher.hexdigest()


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of a certificate without its own hash.

    Canonical: UTF-8, keys sorted, no white space, numbers as msgspec writes them (the shortest
    digits that read back as the same double).
    """
    rest = {key: value for key, value in content.items() if key != _HASH}
    return hashlib.sha256(msgspec.json.encode(rest, order="sorted")).hexdigest()


def seal(certificate: Certificate) -> Certificate:
    """Return the certificate with its content hash filled in."""
    content = msgspec.json.decode(msgspec.json.encode(certificate))
    return msgspec.structs.replace(certificate, sha256=content_hash(content))


def to_json(certificate: Certificate) -> bytes:
    """Return a sealed certificate as the text of its file."""
    return msgspec.json.format(msgspec.json.encode(certificate), indent=1) + b"\n"


def read(path: Path) -> Certificate:
    """Read and check a certificate.

    Raises:
        CertificateError: no file there, damaged, changed, or written by a newer breeder.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise CertificateError(f"{path}: is larger than any certificate; name another file")
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise CertificateError(f"{path}: {reason}") from None
    try:
        return parse(data)
    except CertificateError as error:
        raise CertificateError(f"{path}: {error}") from None


def parse(data: bytes) -> Certificate:
    """Decode the text of a certificate and check everything in it that can be checked alone.

    Raises:
        CertificateError: as for `read`.
    """
    try:
        content = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise CertificateError(f"is no certificate: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise CertificateError("is no certificate: the key 'format' is missing")
    if content["format"] != FORMAT:
        raise CertificateError(
            f"has format {content['format']}, this breeder reads {FORMAT}; "
            "use the breeder that wrote it"
        )
    if content.get(_HASH) != content_hash(content):
        raise CertificateError("was changed after it was written: its content hash does not fit")
    try:
        certificate = msgspec.json.decode(data, type=Certificate)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CertificateError(f"is no certificate: {error}") from None
    for program in (certificate.program, certificate.start):
        _check_program(program)
    return certificate


def _check_program(program: ProgramRecord) -> None:
    if not program.files:
        raise CertificateError("holds a program without files")
    if program.sha256 != files_hash(program.files) or program.id != program_id(program.files):
        raise CertificateError("was changed: the hash of its program does not fit the files")
