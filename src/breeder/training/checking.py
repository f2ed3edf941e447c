"""Checks a compiled kernel by the rules of its task, in a process that may crash instead of ours.

    python -m breeder.training.checking OPERATION LIBRARY [RIVAL]

A library is a shared one, or a program in Triton (`.py`); that is interpreted where no GPU is, and
has no rival.

Outputs of all odd, empty and extreme cases that the task verifies are compared with the float64
reference. A library that passed leaves a mark beside it and is not checked again on this machine.
With a rival, both are timed side by side on the task's held-out shapes.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from breeder.core import NativeFunction
from breeder.evaluation.loading import load_evaluator
from breeder.kernels import (
    Effort,
    Inputs,
    Kernel,
    TimedTask,
    Trial,
    TrialResult,
    TrustedProgram,
)
from breeder.kernels.interpreted import InterpretedTask
from breeder.kernels.interpreted import fault_of as fault_in
from breeder.kernels.trusted import loaded
from breeder.task_formats import load
from breeder.training import devices
from breeder.training.sources import TASKS, TRITON

_SECONDS = 300
_MOST_SCORES = 1 << 20  # of the shape of a case; longer ones belong to a verification
MARK = ".checked"
"""Suffix of the mark beside a library that passed."""

_TRITON = ".py"
_EFFORT = Effort(rounds=24, footprint_mib=1.5)


class Finding(msgspec.Struct, frozen=True):
    """What a check found.

    Attributes:
        fault: what is wrong, in one line; empty when nothing is.
        low, speedup, high: time of the rival over that of the library, where they were timed.
    """

    fault: str
    low: float | None = None
    speedup: float | None = None
    high: float | None = None


def fault_of(op: str, library: Path) -> str:
    """What is wrong with a library, in one line; empty when it is right or was found to be so."""
    mark = library.with_suffix(MARK)
    if mark.is_file():
        return ""
    found = examined(op, library)
    if not found.fault:
        with contextlib.suppress(OSError):  # where nothing can be written it is checked every time
            mark.touch()
    return found.fault


def examined(op: str, library: Path, rival: Path | None = None) -> Finding:
    """Check a library in another process, whatever was found before; time it where a rival is."""
    command = [sys.executable, "-m", "breeder.training.checking", op, str(library)]
    command += [] if rival is None else [str(rival)]
    environment = dict(os.environ)
    if library.suffix == _TRITON and not devices.has_gpu():
        environment[devices.VARIABLE] = "1"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        return Finding(f"its check takes longer than {_SECONDS} s")
    if done.returncode < 0:
        return Finding(f"its check died of {signal.Signals(-done.returncode).name}")
    if done.returncode:
        return Finding((done.stderr.strip() or "no reason given").splitlines()[-1])
    return msgspec.json.decode(done.stdout, type=Finding)


def first_fault(op: str, library: Path, inputs: Inputs) -> str:
    """Call the library on every case of the task in this process; what is wrong first, or empty."""
    evaluator, program = _loaded(op, library)
    function = TASKS[op].rpartition("/")[2] if library.suffix == _TRITON else None
    for case, kernel in _cases(evaluator, inputs):
        if function not in (None, kernel.function):
            continue  # of another operation that the program has a function for
        fault = fault_in(program, kernel, case, inputs)
        if fault:
            return f"{case}: {fault}"
    return ""


def _cases(evaluator: Any, inputs: Inputs) -> Iterator[tuple[Any, Kernel[Any]]]:
    """What a task checks but does not time, and what each case calls."""
    task: TimedTask[Any] | InterpretedTask | None = getattr(evaluator, "TASK", None)
    if isinstance(task, InterpretedTask):
        yield from task.cases(inputs)
        return
    if task is None:  # a task with an evaluator of its own, which has one kernel
        for case in (*evaluator.QUICK, *evaluator.VERIFIED, *evaluator.unlisted(inputs.rng)):
            yield case, evaluator.KERNEL
        return
    cases = task.cases
    for case in (*cases.quick, *cases.verified, *cases.unlisted(inputs.rng)):
        if math.prod(case.shape) <= _MOST_SCORES:  # longer ones take the reference too long
            yield case, task.kernel(case)


def speedup(op: str, library: Path, rival: Path) -> TrialResult:
    """Time both libraries in this process, on the shapes that the task holds out."""
    evaluator, program = _loaded(op, library)
    other = _loaded(op, rival)[1]
    task: TimedTask[Any] | None = getattr(evaluator, "TASK", None)
    held_out = evaluator.HELD_OUT if task is None else task.cases.held_out
    kernel = evaluator.KERNEL if task is None else task.kernel
    return Trial(program, other, kernel).compare(held_out, _EFFORT)


def _loaded(op: str, library: Path) -> tuple[Any, TrustedProgram]:
    triton = library.suffix == _TRITON
    task = load((TRITON if triton else TASKS)[op])
    signatures: dict[str, NativeFunction] = dict(task.file.program.functions)
    if triton:
        found = devices.functions(library, signatures)
        arrays = {name: devices.on_arrays(one) for name, one in found.items()}
        program = TrustedProgram(signatures, arrays)
    else:
        program = loaded(ctypes.CDLL(str(library)), signatures)
    return load_evaluator(task.folder, task.file.evaluator), program


def _main(op: str, library: str, rival: str | None = None) -> None:
    fault = first_fault(op, Path(library), Inputs())
    finding = Finding(fault)
    if rival is not None and not fault:
        result = speedup(op, Path(library), Path(rival))
        finding = Finding("", result.interval[0], result.ratio, result.interval[1])
    sys.stdout.buffer.write(msgspec.json.encode(finding))


if __name__ == "__main__":
    _main(*sys.argv[1:])
