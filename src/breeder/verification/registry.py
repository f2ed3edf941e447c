"""The registry of adopted champions: what later layers may use, and why.

One folder per adoption, `REGISTRY/TASK/PROGRAM_ID`, with the certificate, the program's files and
`adoption.json`. Folders appear whole, by one rename, and are never written again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from breeder.errors import CertificateError
from breeder.verification import certificate as certificates
from breeder.verification.certificate import Certificate
from breeder.verification.judgement import check_verdict

VARIABLE = "BREEDER_REGISTRY"
_RECORD = "adoption.json"
_PROGRAM = "program"
_UNFINISHED = ".adopting-"


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Content of adoption.json: when, and by which certificate."""

    adopted_at: str
    certificate_sha256: str


@dataclass(frozen=True, slots=True)
class Adoption:
    """An adopted champion.

    Attributes:
        folder: holds `certificate.json` and the program's files below `program/`.
        adopted_at: ISO 8601, UTC.
    """

    folder: Path
    adopted_at: str
    certificate: Certificate

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.certificate.task.name

    @property
    def program_id(self) -> str:
        """Short hash of the program."""
        return self.certificate.program.id

    @property
    def files(self) -> Mapping[str, str]:
        """The program: path -> text."""
        return self.certificate.program.files


class Registry:
    """Reads and extends a folder of adopted champions; several processes may do so at once.

    Args:
        folder: where it is; need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def default(cls) -> Registry:
        """The user's registry: BREEDER_REGISTRY, else `breeder/registry` in the XDG data home."""
        named = os.environ.get(VARIABLE)
        if named:
            return cls(Path(named))
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return cls(Path(base) / "breeder" / "registry")

    def adopted(self) -> tuple[Adoption, ...]:
        """Every adoption, oldest first.

        Raises:
            CertificateError: one of them is damaged or was changed.
        """
        found = [self._read(folder) for folder in self._folders()]
        return tuple(sorted(found, key=lambda entry: (entry.adopted_at, entry.program_id)))

    def current(self, task: str, digest: str | None = None) -> Adoption | None:
        """The champion to use for a task; None when none was adopted.

        Only champions that were verified on the same task from the same start are comparable: by
        default those like the newest one, or those on the task with `digest`. Among them the one
        with the largest established improvement counts, which is the lower end of its interval;
        the newest on equality.
        """
        entries = [entry for entry in self.adopted() if entry.task == task]
        if digest is not None:
            entries = [entry for entry in entries if entry.certificate.task.digest == digest]
        if not entries:
            return None
        newest = entries[-1].certificate
        alike = [
            (_established(entry.certificate), index, entry)
            for index, entry in enumerate(entries)
            if _ground(entry.certificate) == _ground(newest)
        ]
        return max(alike, key=lambda item: item[:2])[2]

    def adopt(self, certificate: Certificate, files: Mapping[str, str]) -> Adoption:
        """Take a certified champion in. One that is there already stays as it is.

        Args:
            certificate: as `certificates.read` gave it.
            files: the program that is offered, which must be the certified one.

        Raises:
            CertificateError: it does not earn an adoption, or the registry cannot be written.
        """
        check_adoptable(certificate, files)
        target = self._place(certificate)
        if (target / _RECORD).is_file():
            return self._read(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=self.folder) as scratch:
                whole = Path(scratch) / "entry"
                _fill(whole, certificate)
                _rename(whole, target)
        except OSError as error:
            reason = error.strerror or error
            raise CertificateError(f"{self.folder}: cannot be written: {reason}") from None
        return self._read(target)

    def _place(self, certificate: Certificate) -> Path:
        parts = certificate.task.name.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise CertificateError(f"{certificate.task.name!r} is no name for a folder")
        return self.folder.joinpath(*parts, certificate.program.id)

    def _folders(self) -> Iterator[Path]:
        for folder, below, names in os.walk(self.folder):
            if _RECORD in names:
                below.clear()  # what lies in a program's own folders is the program's
                yield Path(folder)
            below[:] = sorted(name for name in below if not name.startswith(_UNFINISHED))

    def _read(self, folder: Path) -> Adoption:
        path = folder / _RECORD
        try:
            record = msgspec.json.decode(path.read_bytes(), type=_Record)
        except (OSError, msgspec.MsgspecError) as error:
            raise CertificateError(f"{path}: is damaged: {error}") from None
        certificate = certificates.read(folder / certificates.FILE_NAME)
        if certificate.sha256 != record.certificate_sha256 or self._place(certificate) != folder:
            raise CertificateError(f"{folder}: does not hold what was adopted there")
        return Adoption(folder, record.adopted_at, certificate)


def check_adoptable(certificate: Certificate, files: Mapping[str, str]) -> None:
    """Make sure that a certificate earns its program an adoption.

    Raises:
        CertificateError: it does not; says why.
    """
    if dict(files) != certificate.program.files:
        raise CertificateError(
            "the program is not the certified one; verify it first with breeder verify"
        )
    for bar in certificates.bars(certificate):
        raise CertificateError(f"not adopted: {bar}")
    if certificate.verdict != "holds":
        raise CertificateError(
            f"not adopted: its certificate says {certificate.verdict!r}: {certificate.reason}"
        )
    check_verdict(certificate)


def _fill(folder: Path, certificate: Certificate) -> None:
    program = folder / _PROGRAM
    program.mkdir(parents=True)
    for name, text in certificate.program.files.items():
        target = (program / name).resolve()
        if not target.is_relative_to(program.resolve()):
            raise CertificateError(f"the program's file {name!r} lies outside of its folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    (folder / certificates.FILE_NAME).write_bytes(certificates.to_json(certificate))
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    record = _Record(moment, certificate.sha256)
    (folder / _RECORD).write_bytes(msgspec.json.encode(record) + b"\n")


def _rename(whole: Path, target: Path) -> None:
    try:
        whole.rename(target)
    except OSError:
        if not (target / _RECORD).is_file():  # else another process adopted it meanwhile
            raise
        shutil.rmtree(whole, ignore_errors=True)


def _ground(certificate: Certificate) -> tuple[str, str, str]:
    """What two improvements must share to be comparable."""
    effect = certificate.effect
    scale = "" if effect is None else effect.scale
    return certificate.task.digest, certificate.start.sha256, scale


def _established(certificate: Certificate) -> float:
    effect = certificate.effect
    assert effect is not None, "a certificate that holds has an effect"
    assert effect.low is not None, "and an interval"
    return effect.low
