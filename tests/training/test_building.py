"""Building kernels: found again, built anew when anything changes, one line when it fails."""

import shutil
from pathlib import Path

import pytest

from breeder.training import building
from breeder.training.building import BuildError, build, cache_folder, find_compiler
from training.programs import REFUSED, START, program

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@needs_compiler
def test_a_library_is_built_once(tmp_path: Path) -> None:
    compiler = find_compiler()
    first = build(program(START), compiler, tmp_path)
    before = first.stat().st_mtime_ns
    assert build(program(START), compiler, tmp_path) == first
    assert first.stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


@needs_compiler
def test_another_program_or_compiler_gets_another_library(tmp_path: Path) -> None:
    compiler = find_compiler()
    first = build(program(START), compiler, tmp_path)
    other = building.Compiler(compiler.command, compiler.version + " of tomorrow")
    assert build(program(START + "\n"), compiler, tmp_path) != first
    assert build(program(START), other, tmp_path) != first


@needs_compiler
def test_what_does_not_compile_says_so_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="nothing_of_that_name") as caught:
        build(program(REFUSED), find_compiler(), tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@needs_compiler
def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(BuildError, match="cannot be written"):
        build(program(START), find_compiler(), tmp_path / "taken")


def test_without_a_compiler_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building.shutil, "which", lambda name: None)
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    with pytest.raises(BuildError, match=r"install g\+\+ or clang\+\+"):
        find_compiler()


def test_libraries_lie_in_the_cache_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.delenv("BREEDER_CACHE", raising=False)
    assert cache_folder() == Path("/caches/breeder/kernels")
    monkeypatch.setenv("BREEDER_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere/kernels")
