"""The registry: checks before use, times before choosing, and says why PyTorch's path stays."""

import shutil
from types import SimpleNamespace

import pytest

from breeder.errors import CertificateError
from breeder.measurement import Spent
from breeder.task_formats import load
from breeder.training import registry as module
from breeder.training.building import BuildError, build, find_compiler
from breeder.training.checking import fault_of
from breeder.training.registry import KernelRegistry, Key
from breeder.training.sources import sources
from breeder.verification.registry import Registry
from training.programs import CRASHING, REFUSED, START, WRONG, by_hand, program

KEY = Key("rmsnorm", "float32", "64x256")

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


def lasting(seconds):
    return lambda: Spent(seconds, seconds)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture
def registry(folder, tmp_path, monkeypatch):
    """A registry whose programs are what the test says."""

    def of(*programs, **options):
        monkeypatch.setattr(module, "sources", lambda op, adopted, language: (programs, ""))
        return KernelRegistry(Registry(tmp_path), folder, **options)

    return of


@pytest.mark.parametrize(
    ("text", "reason"), [(WRONG, "is allowed"), (CRASHING, "its check died of SIGSEGV")]
)
def test_a_program_that_fails_its_check_is_not_used(registry, text, reason):
    choice = registry(program(text)).choose(KEY, lasting(1.0), lambda kernel: lasting(0.1))
    assert choice.kernel is None
    assert choice.reason.startswith("PyTorch's path: a test: fails its check on this machine")
    assert reason in choice.reason
    assert "\n" not in choice.reason


def test_a_program_that_passed_is_not_checked_again(folder):
    library = build(by_hand(folder), find_compiler(), folder)
    assert fault_of("rmsnorm", library) == ""
    assert library.with_suffix(".checked").is_file()
    assert fault_of("no such operation", library) == ""  # the mark alone decides


def test_the_next_program_is_taken_when_one_does_not_compile(registry, folder):
    kernels, trouble = registry(program(REFUSED), by_hand(folder)).kernels("rmsnorm")
    assert [one.source.origin for one in kernels] == ["written by hand"]
    assert "does not compile" in trouble


def test_the_faster_one_is_chosen_and_stays_chosen(registry, folder):
    here = registry(by_hand(folder))
    chosen = here.choose(KEY, lasting(0.2), lambda kernel: lasting(0.1))
    assert chosen.kernel is not None
    assert chosen.comparison.ratio == pytest.approx(2.0)
    assert here.choose(KEY, lasting(0.01), lambda kernel: lasting(0.1)) is chosen
    assert "kernel (written by hand), 2.00x" in here.report()


def test_a_slower_kernel_leaves_pytorch_in_place(registry, folder):
    choice = registry(by_hand(folder)).choose(KEY, lasting(0.1), lambda kernel: lasting(0.2))
    assert choice.kernel is None
    assert choice.reason.startswith("PyTorch's path: the kernel is 0.50x")


def test_untimed_registries_take_what_passes_its_check(registry, folder):
    here = registry(by_hand(folder), timed=False)
    assert here.choose(KEY, lasting(0.1), lambda kernel: lasting(9.0)).kernel is not None


def test_without_a_compiler_one_line_says_so(registry, monkeypatch):
    def none():
        raise BuildError("no C++ compiler; install g++")

    monkeypatch.setattr(module.building, "find_compiler", none)
    choice = registry(program(START)).choose(KEY, lasting(1.0), lambda kernel: lasting(0.1))
    assert choice.reason == "PyTorch's path: no C++ compiler; install g++"


def test_other_types_have_no_program(registry, folder):
    other = KEY._replace(dtype="bfloat16")
    choice = registry(by_hand(folder)).choose(other, lasting(1.0), lambda kernel: lasting(0.1))
    assert choice.reason == "PyTorch's path: no program for bfloat16"


def test_an_adopted_champion_comes_before_what_was_written_by_hand():
    asked = []

    class Adopted:
        def current(self, task, digest):
            asked.append((task, digest))
            certificate = SimpleNamespace(sha256="ab" * 32)
            return SimpleNamespace(
                certificate=certificate, files={"initial.cpp": "evolved"}, task=task
            )

        def adopted(self):
            return ()

    found, trouble = sources("rmsnorm", Adopted())
    assert [one.origin for one in found] == [f"evolved, certificate {'ab' * 6}", "written by hand"]
    assert found[0].text == "evolved"
    assert asked == [("kernels/rmsnorm", load("kernels/rmsnorm").digest())]
    assert trouble == ""


def test_a_damaged_registry_costs_a_line_and_no_kernel():
    class Damaged:
        def current(self, task, digest):
            raise CertificateError("certificate.json: is damaged")

    found, trouble = sources("attention_forward", Damaged())
    assert [one.origin for one in found] == ["written by hand"]
    assert trouble == "certificate.json: is damaged"


def test_an_empty_registry_reports_that_nothing_was_called_for(registry):
    assert registry().report() == "no kernel was called for"
    choice = registry().choose(KEY, lasting(1.0), lambda kernel: lasting(0.1))
    assert choice.reason == "PyTorch's path: no program for it"
