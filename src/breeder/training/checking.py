"""Checks a compiled kernel by the rules of its task, in a process that may crash instead of ours.

    python -m breeder.training.checking OPERATION LIBRARY

Outputs of all odd, empty and extreme cases that the task verifies are compared with the float64
reference. A library that passed leaves a mark beside it and is not checked again on this machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from breeder.core import NativeFunction
from breeder.evaluation.loading import load_evaluator
from breeder.kernels import Call, Inputs
from breeder.kernels.trusted import loaded
from breeder.task_formats import load
from breeder.training.sources import TASKS

_SECONDS = 300
_MARK = ".checked"
_MOST_SCORES = 1 << 20  # of the shape of a case; longer ones belong to a verification


def fault_of(op: str, library: Path) -> str:
    """What is wrong with a library, in one line; empty when it is right or was found to be so."""
    mark = library.with_suffix(_MARK)
    if mark.is_file():
        return ""
    command = [sys.executable, "-m", "breeder.training.checking", op, str(library)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return f"its check takes longer than {_SECONDS} s"
    if done.returncode < 0:
        return f"its check died of {signal.Signals(-done.returncode).name}"
    if done.returncode:
        lines = (done.stdout.strip() or done.stderr.strip() or "no reason given").splitlines()
        return lines[-1]
    with contextlib.suppress(OSError):  # where nothing can be written it is checked every time
        mark.touch()
    return ""


def first_fault(op: str, library: Path, inputs: Inputs) -> str:
    """Call the library on every case of the task in this process; what is wrong first, or empty."""
    task = load(TASKS[op])
    evaluator = load_evaluator(task.folder, task.file.evaluator)
    signatures: dict[str, NativeFunction] = dict(task.file.program.functions)
    program = loaded(ctypes.CDLL(str(library)), signatures)
    for case in _cases(evaluator, inputs):
        call = Call(evaluator.KERNEL, case, inputs)
        batch = program.prepare(evaluator.KERNEL.function, [call.arguments])
        batch.run()
        fault = call.fault(batch.output(0), batch.arguments(0))
        if fault:
            return f"{case}: {fault}"
    return ""


def _cases(evaluator: Any, inputs: Inputs) -> Sequence[Any]:
    """What a task checks but does not time, except for what takes the reference long."""
    task = getattr(evaluator, "TASK", None)
    if task is None:
        return (*evaluator.QUICK, *evaluator.VERIFIED, *evaluator.unlisted(inputs.rng))
    cases = task.cases
    listed = (*cases.quick, *cases.verified, *cases.unlisted(inputs.rng))
    return [one for one in listed if math.prod(one.shape) <= _MOST_SCORES]


if __name__ == "__main__":
    found = first_fault(sys.argv[1], Path(sys.argv[2]), Inputs())
    sys.stdout.write(found)
    sys.exit(1 if found else 0)
