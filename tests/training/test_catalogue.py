"""What is adopted or known, and what became of it on this machine."""

import shutil
from types import SimpleNamespace

import pytest

from breeder.errors import UserError
from breeder.kernels.known import program_by_hand
from breeder.training import catalogue as module
from breeder.training.building import BuildError
from breeder.training.catalogue import Catalogue, chosen_ops
from breeder.training.sources import TASKS, TRITON, sources
from breeder.verification.registry import Registry
from training.programs import REFUSED, WRONG, by_hand, program

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


@pytest.fixture
def catalogue(tmp_path):
    return Catalogue(Registry(tmp_path / "adopted"), tmp_path / "libraries")


def test_every_operation_has_a_kernel_that_is_labelled(catalogue):
    entries = list(catalogue.listed(chosen_ops(())))
    assert {one.op for one in entries} == set(TASKS)
    by_hand = [one for one in entries if one.source == "written by hand"]
    assert [one.op for one in by_hand] == list(TASKS)
    in_triton = [one for one in entries if one.source == "written by hand in Triton"]
    assert [one.op for one in in_triton] == list(TRITON)
    assert len(entries) == len(by_hand) + len(in_triton)
    assert all(program_by_hand(task, ".cpp") for task in TASKS.values())


@needs_compiler
def test_installing_builds_and_checks_what_is_listed_then(catalogue):
    (before,) = catalogue.listed(["swiglu"])
    assert before.state == "not built yet"
    (made,) = catalogue.installed(["swiglu"])
    (after,) = catalogue.listed(["swiglu"])
    assert made.state == after.state == "built and checked"


@pytest.mark.slow
@needs_compiler
def test_verifying_times_against_plain_loops(catalogue):
    (entry,) = catalogue.verified(["swiglu"])
    assert entry.usable
    assert 0 < entry.low <= entry.speedup <= entry.high


@needs_compiler
@pytest.mark.parametrize(("text", "problem"), [(WRONG, "is allowed"), (REFUSED, "not compile")])
def test_what_cannot_be_used_says_why(text, problem, catalogue, monkeypatch):
    def one(op, adopted, language):
        return ((program(text),) if language == "c++" else ()), ""

    monkeypatch.setattr(module, "sources", one)
    for entry in (*catalogue.installed(["rmsnorm"]), *catalogue.verified(["rmsnorm"])):
        assert problem in entry.state
        assert not entry.usable


def test_without_a_compiler_the_list_says_so(catalogue, monkeypatch):
    def none():
        raise BuildError("no C++ compiler; install g++")

    monkeypatch.setattr(module.building, "find_compiler", none)
    (entry,) = catalogue.listed(["rope"])
    assert entry.state == "no C++ compiler; install g++"
    assert not entry.usable
    with pytest.raises(BuildError, match="install g"):
        list(catalogue.installed(["rope"]))


def test_an_operation_that_does_not_exist_is_named():
    with pytest.raises(UserError, match="'rms' is no operation; there are attention_forward"):
        chosen_ops(["rms"])


def test_champions_of_a_scripts_own_shapes_come_before_what_was_written_by_hand(tmp_path):
    class Adopted:
        """One champion, of the shipped task with other shapes."""

        one = SimpleNamespace(
            task="kernels/rmsnorm/64x512", files={"initial.cpp": "evolved"},
            certificate=SimpleNamespace(sha256="cd" * 32),
        )  # fmt: skip

        def current(self, task, digest=None):
            return self.one if task == self.one.task else None

        def adopted(self):
            return (self.one,)

    found, _ = sources("rmsnorm", Adopted())
    assert found[0].origin == f"evolved for 64x512, certificate {'cd' * 6}"
    assert found[-1].text == by_hand(tmp_path).text
    assert module._entry(found[0], "", usable=True).bucket == "64x512"
    assert [one.origin for one in sources("rmsnorm_backward", Adopted())[0]] == ["written by hand"]
