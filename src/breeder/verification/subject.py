"""What is verified: the champion of a run, an exported champion, or the one in a certificate."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from breeder.admission import program_id
from breeder.archive.store import FILE_NAME as STORE_NAME
from breeder.archive.store import EvaluationRecord, RunRecord, Store
from breeder.core import Program
from breeder.errors import CertificateError, RunError, TaskError
from breeder.task import Task
from breeder.task_formats import load, shipped
from breeder.verification import certificate as certificates
from breeder.verification.certificate import Certificate, ProgramRecord, Selection
from breeder.verification.trials import Contender

EVALUATION_NAME = "evaluation.json"
# What `breeder export` adds to a task's own files; a task's file of such a name was renamed.
_EXPORTED = ("README.md", EVALUATION_NAME, "reproduce.py", "construction.msgpack")
_ADDED = (*_EXPORTED, "construction.json", "certificate.json", "certificate.html")
_RENAMED = "task_"


@dataclass(frozen=True, slots=True)
class Subject:
    """A champion, the start that it shall beat, and the task to try both on.

    Attributes:
        proposer, note, generation: lineage of the champion, for the record.
        origin: the certificate that is repeated; None otherwise.
        task_folder: what the certificate names as the task's folder.
    """

    task: Task
    task_folder: str
    champion: Contender
    start: Contender
    selection: Selection
    proposer: str
    note: str
    generation: int
    origin: Certificate | None = None


@contextmanager
def opened(source: Path, task: str | None = None) -> Iterator[Subject]:
    """Find out what `source` offers; its task may lie in a folder that is gone afterwards.

    Args:
        source: a run's directory, an exported folder, or a certificate.
        task: folder or name of the task to verify on. A run's champion may be tried on a task
            that has changed since (the certificate says so); a certificate is repeated on the
            same task only.

    Raises:
        RunError: nothing to verify there, or the task has changed.
        CertificateError: the certificate is damaged, or its task is not here.
    """
    if source.is_file():
        with _from_certificate(source, task) as subject:
            yield subject
    elif (source / STORE_NAME).is_file():
        yield _from_run(source, task)
    elif (source / EVALUATION_NAME).is_file():
        with _from_export(source) as subject:
            yield subject
    else:
        raise RunError(
            f"{source}: holds no run, exported champion or certificate; "
            "name a run's directory, a folder of `breeder export`, or a certificate.json"
        )


def offered_files(source: Path) -> dict[str, str]:
    """The champion's files that a run or an exported folder offers now.

    Raises:
        RunError: there is no champion.
    """
    if (source / STORE_NAME).is_file():
        with closing(Store.open(source, readonly=True)) as store:
            champion, _ = _rows(store, source)
            return dict(store.program(champion.program_id).files)
    return _exported_files(source, _evaluation(source))


# ---- a run -------------------------------------------------------------------------------------


def _from_run(folder: Path, named: str | None) -> Subject:
    with closing(Store.open(folder, readonly=True)) as store:
        run = store.run()
        champion, start = _rows(store, folder)
        program, initial = store.program(champion.program_id), store.program(start.program_id)
    task = load(named) if named else _unchanged(folder, run)
    return Subject(
        task=task,
        task_folder=str(task.folder),
        champion=Contender("champion", program, champion.evaluation.construction),
        start=Contender("start", initial, start.evaluation.construction),
        selection=Selection(
            split="search",
            seed=champion.evaluation.seed,
            metrics=dict(champion.evaluation.metrics),
            start_metrics=dict(start.evaluation.metrics),
            sandbox=run.sandbox,
            trusted=run.trusted and champion.evaluation.trusted,
            task_digest=run.task_digest,
            breeder=run.breeder_version,
        ),
        proposer=program.proposer,
        note=program.note,
        generation=program.generation,
    )


def _rows(store: Store, folder: Path) -> tuple[EvaluationRecord, EvaluationRecord]:
    champion, start = store.champion(), store.start()
    if champion is None or start is None or champion.program_id == start.program_id:
        raise RunError(f"{folder}: no improvement found: nothing to verify")
    return champion, start


def _unchanged(folder: Path, run: RunRecord) -> Task:
    changed, name, recorded = False, run.task_name, run.task_folder
    places: tuple[str | Path, ...] = (recorded, *_shipped(name))
    for place in places:
        try:
            task = load(place)
        except TaskError:
            continue
        if task.digest() == run.task_digest:
            return task
        changed = True
    if changed:
        raise RunError(
            f"{folder}: its task {name} has changed since the run; restore it, "
            "or name with --task the one to verify on"
        )
    raise RunError(f"{folder}: its task {name} is gone from {recorded}; name it with --task")


def ships(task: Task) -> bool:
    """Whether a task is one that ships with breeder as it is, and is found anywhere by its name."""
    return any(load(place).digest() == task.digest() for place in _shipped(task.name))


def _shipped(name: str) -> list[Path]:
    return [entry.folder for entry in shipped() if entry.name == name]


# ---- an exported champion ----------------------------------------------------------------------


@contextmanager
def _from_export(folder: Path) -> Iterator[Subject]:
    data = _evaluation(folder)
    files = _exported_files(folder, data)
    try:
        start_files = {str(name): str(text) for name, text in data["start_program"].items()}
        selection = Selection(
            split="search",
            seed=int(data["search"]["seed"]),
            metrics=dict(data["search"]["metrics"]),
            start_metrics=dict(data["start"]),
            sandbox=str(data["sandbox"]),
            trusted=bool(data["trusted"]),
            task_digest=str(data["task_digest"]),
            breeder=str(data["breeder_version"]),
        )
        name, lineage = str(data["task"]), dict(data["program"])
    except (KeyError, TypeError, AttributeError, ValueError):
        raise RunError(
            f"{folder}/{EVALUATION_NAME}: lacks what a verification needs; export the run again"
        ) from None
    if files == start_files:
        raise RunError(f"{folder}: no improvement found: nothing to verify")
    packed = folder / "construction.msgpack"
    construction = packed.read_bytes() if packed.is_file() else None
    first = _packed(data.get("start_construction"))
    with _exported_task(folder, start_files, (name, selection.task_digest)) as (task, place):
        yield Subject(
            task=task,
            task_folder=place,
            champion=Contender("champion", _champion(files, start_files), construction),
            start=Contender("start", _start(start_files), first),
            selection=selection,
            proposer=str(lineage.get("proposer", "")),
            note=str(lineage.get("note", "")),
            generation=int(lineage.get("generation", 0)),
        )


def _packed(value: object) -> bytes | None:
    try:
        return None if value is None else msgspec.convert(value, bytes)
    except msgspec.ValidationError:
        raise RunError(f"{EVALUATION_NAME}: start_construction: is not base 64") from None


def _evaluation(folder: Path) -> dict[str, Any]:
    path = folder / EVALUATION_NAME
    try:
        data = msgspec.json.decode(path.read_bytes())
    except OSError:
        raise RunError(f"{folder}: holds no run and no exported champion") from None
    except msgspec.MsgspecError as error:
        raise RunError(f"{path}: is damaged: {error}") from None
    if not isinstance(data, dict):
        raise RunError(f"{path}: is damaged: expected an object")
    return data


def _exported_files(folder: Path, data: Mapping[str, Any]) -> dict[str, str]:
    """The program as it lies in the folder, which must be the one that was exported."""
    try:
        names = [str(name) for name in data["program"]["sha256"]]
        expected = str(data["program"]["id"])
    except (KeyError, TypeError):
        raise RunError(f"{folder}/{EVALUATION_NAME}: does not name the program's files") from None
    files = {}
    for name in names:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise RunError(f"{folder}: the program's file {name!r} is missing")
        try:
            files[name] = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise RunError(f"{folder}: the program's file {name!r} is not UTF-8") from None
    if program_id(files) != expected:
        raise RunError(f"{folder}: the program was changed since it was exported")
    return files


@contextmanager
def _exported_task(
    folder: Path, start_files: Mapping[str, str], wanted: tuple[str, str]
) -> Iterator[tuple[Task, str]]:
    """The task of an exported folder, and where to look for it later."""
    name, digest = wanted
    for place in _shipped(name):
        task = load(place)
        if task.digest() == digest:
            yield task, str(place)
            return
    with tempfile.TemporaryDirectory(prefix="breeder-task-") as scratch:
        restored = _restore(folder, Path(scratch) / "task", start_files)
        if restored is None or restored.digest() != digest:
            raise RunError(
                f"{folder}: its task {name} is not the one that the champion was selected on; "
                "export the run again"
            )
        yield restored, str(folder.resolve())


def _restore(folder: Path, to: Path, start_files: Mapping[str, str]) -> Task | None:
    """Copy the task out of an exported folder, with the start program in its place."""

    def skipped(path: str, names: list[str]) -> set[str]:
        top = Path(path) == folder
        return {n for n in names if n.startswith(".") or (top and n in _ADDED)}

    shutil.copytree(folder, to, ignore=skipped)
    for name in _EXPORTED:
        if (to / f"{_RENAMED}{name}").is_file():
            (to / f"{_RENAMED}{name}").rename(to / name)
    for name, text in start_files.items():
        target = (to / name).resolve()
        if not target.is_relative_to(to.resolve()):
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    try:
        return load(to)
    except TaskError:
        return None


# ---- a certificate -----------------------------------------------------------------------------


@contextmanager
def _from_certificate(path: Path, named: str | None) -> Iterator[Subject]:
    origin = certificates.read(path)
    champion, start = origin.program, origin.start
    with _certified_task(path, origin, named) as task:
        yield Subject(
            task=task,
            task_folder=str(task.folder) if named else origin.task.folder,
            champion=Contender(
                "champion", _champion(champion.files, start.files), champion.construction
            ),
            start=Contender("start", _start(start.files), start.construction),
            selection=origin.selection,
            proposer=champion.proposer,
            note=champion.note,
            generation=champion.generation,
            origin=origin,
        )


@contextmanager
def _certified_task(path: Path, origin: Certificate, named: str | None) -> Iterator[Task]:
    digest, name = origin.task.digest, origin.task.name
    if named is not None:
        task = load(named)
        if task.digest() != digest:
            raise CertificateError(f"{named}: is not the task that {path} was written for")
        yield task
        return
    recorded = [Path(origin.task.folder)] if origin.task.folder else []
    folders = (*_shipped(name), *recorded, path.resolve().parent)
    for folder in folders:
        try:
            task = load(folder)
        except TaskError:
            continue
        if task.digest() == digest:
            yield task
            return
    with tempfile.TemporaryDirectory(prefix="breeder-task-") as scratch:
        for number, folder in enumerate(folders):
            if not (folder / EVALUATION_NAME).is_file():
                continue
            restored = _restore(folder, Path(scratch) / str(number), origin.start.files)
            if restored is not None and restored.digest() == digest:
                yield restored
                return
    raise CertificateError(
        f"{path}: its task {name} is not here as it was certified; name its folder with --task"
    )


def _champion(files: Mapping[str, str], start: Mapping[str, str]) -> Program:
    return Program(program_id(files), dict(files), parents=(program_id(start),))


def _start(files: Mapping[str, str]) -> Program:
    return Program(program_id(files), dict(files))


def record_of(contender: Contender, subject: Subject) -> ProgramRecord:
    """A contender as the certificate keeps it."""
    files = dict(contender.program.files)
    champion = contender.side == "champion"
    return ProgramRecord(
        id=program_id(files),
        sha256=certificates.files_hash(files),
        files=files,
        proposer=subject.proposer if champion else "initial",
        note=subject.note if champion else "",
        generation=subject.generation if champion else 0,
        construction=contender.construction,
    )
