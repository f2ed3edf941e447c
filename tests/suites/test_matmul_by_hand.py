"""The matrix product by hand passes every check of its task, on lesser hardware too."""

import shutil

import pytest

from breeder.kernels import Inputs, Trial, compiled
from breeder.kernels.known import program_by_hand
from breeder.regions import find_regions
from breeder.task import load_native
from suites.kernel_programs import SUITE, KernelPrograms

TASK = SUITE / "matmul"

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")


def test_it_is_a_program_of_the_task_and_says_that_it_is_by_hand():
    start, known = (TASK / "initial.cpp").read_text("utf-8"), program_by_hand("kernels/matmul")
    ((begin, end),), ((first, last),) = find_regions(start), find_regions(known)
    assert (start[:begin], start[end:]) == (known[:first], known[last:])
    assert "Written by hand, not evolved" in known
    assert '#include "' not in known


@pytest.mark.slow
@pytest.mark.parametrize(
    "without", [(), ("-mno-amx-bf16",), ("-mno-amx-bf16", "-mno-avx512f")], ids=" ".join
)
def test_it_passes_every_check(tmp_path, without):
    found = KernelPrograms(TASK, {}, tmp_path)
    source = tmp_path / "by_hand.cpp"
    source.write_text(program_by_hand("kernels/matmul"), encoding="utf-8")
    flags = [*load_native(TASK).file.program.compile_flags, *without]
    program = compiled(source, flags, found.signatures)
    task = found.evaluate.TASK
    Trial(program, program, task.kernel, Inputs(3)).check(task.cases.everything(Inputs(4).rng))
