"""Runs a user's training script, step by step as it is told.

    python -m breeder.acceleration.hook ORDERS ANSWERS VARIANT SCRIPT [ARGUMENT ...]

VARIANT is the JSON of a `Variant`. A step ends when an optimiser's `step` does; the script then
waits for an order, a line on file descriptor ORDERS, and says what came of it, a line on ANSWERS.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import runpy
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from breeder.acceleration.variant import GradientFile, Variant

WARM_STEPS = 1
"""Steps after which the script is ready: the first one allocates and compiles."""


class _Enough(BaseException):
    """No more steps are wanted. No `Exception`, lest the script catch it."""


class Steps:
    """Told of every step of the script's first optimiser; waits for orders between them."""

    def __init__(self, variant: Variant, orders: int, answers: int) -> None:
        self._variant = variant
        self._orders = os.fdopen(orders, "r", encoding="utf-8")
        self._answers = os.fdopen(answers, "w", encoding="utf-8")
        self._first: Any = None
        self._done = 0
        self._began = (0.0, 0.0)
        self._profiler: Any = None
        self._left = 0
        self.accelerated: Any = None
        self.watching: list[Any] = []

    def before(self, optimiser: Any, *_: Any) -> None:
        """An optimiser is about to take a step."""
        if self._first is None:
            self._first = optimiser
            _save_gradients(optimiser, Path(self._variant.gradients))
            if self.accelerated is not None:
                self.accelerated.include_optimiser(optimiser)

    def after(self, optimiser: Any, *_: Any) -> None:
        """An optimiser took its step."""
        if optimiser is not self._first:
            return
        spent = time.process_time() - self._began[0], time.perf_counter() - self._began[1]
        self._done += 1
        while self.watching:  # by now every model was seen; hooks would cost time
            self.watching.pop().remove()
        if self._done < WARM_STEPS:
            return
        if self._left:
            self._left -= 1
            if self._left:
                return
            self.answer(_profiled(self._profiler))
        elif self._done == WARM_STEPS:
            self.answer({"ready": _threads()})
        else:
            self.answer({"cpu": spent[0], "wall": spent[1]})
        self._obey()
        self._began = time.process_time(), time.perf_counter()

    def answer(self, content: dict[str, Any]) -> None:
        """Say something to whoever gives orders."""
        self._answers.write(json.dumps(content) + "\n")
        self._answers.flush()

    def _obey(self) -> None:
        while True:
            order = json.loads(self._orders.readline() or '{"do": "stop"}')
            if order["do"] == "stop":
                raise _Enough
            if order["do"] == "report":
                self.answer({"report": _report(self.accelerated, self._done)})
                continue
            if order["do"] == "profile":
                self._left = int(order["steps"])
                self._profiler = _profiler()
                self._profiler.__enter__()
            return


def main(orders: str, answers: str, text: str, script: str, *arguments: str) -> None:
    """Run the script with what the variant asks for."""
    variant = msgspec.json.decode(text, type=Variant)
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(Path(script).resolve().parent)
    steps = Steps(variant, int(orders), int(answers))
    try:
        with _prepared(variant, steps):
            runpy.run_path(script, run_name="__main__")
        steps.answer({"ended": "the script ended"})
    except _Enough:
        pass
    except SystemExit as ending:
        steps.answer({"ended": f"the script exited with {ending.code}"})
    except Exception as error:
        steps.answer({"failed": f"{type(error).__name__}: {error}"})
        raise


@contextlib.contextmanager
def _prepared(variant: Variant, steps: Steps) -> Any:
    """Seeds, flags, hooks of steps, and kernels where they are wanted."""
    from breeder.training.pytorch import torch

    random.seed(0)
    torch.manual_seed(0)
    if variant.precision:
        torch.set_float32_matmul_precision(variant.precision)
    if variant.fused:
        _fuse(torch.optim.AdamW)
    hooks = import_module("torch.optim.optimizer")  # no attribute of its package
    hooks.register_optimizer_step_pre_hook(steps.before)
    hooks.register_optimizer_step_post_hook(steps.after)
    if not variant.kernels:
        yield
        return
    from breeder.training import accelerate

    with accelerate() as accelerated:
        steps.accelerated = accelerated
        inside: list[Any] = []

        def enter(module: Any, _: Any) -> None:
            inside.append(module)
            if len(inside) == 1:
                accelerated.include(module)

        def leave(*_: Any) -> None:
            inside.pop()

        modules = torch.nn.modules.module
        steps.watching = [
            modules.register_module_forward_pre_hook(enter),
            modules.register_module_forward_hook(leave, always_call=True),
        ]
        yield


def _fuse(kind: Any) -> None:
    before = kind.__init__

    def made(self: Any, *arguments: Any, **options: Any) -> None:
        if not options.get("foreach") and not options.get("differentiable"):
            options["fused"] = True
        before(self, *arguments, **options)

    kind.__init__ = made


def _save_gradients(optimiser: Any, path: Path) -> None:
    """The gradients of the first step in one row, so that two runs can be compared."""
    import numpy as np

    from breeder.training.pytorch import torch

    found = [
        one.grad.detach().float().flatten()
        for group in optimiser.param_groups
        for one in group["params"]
        if one.grad is not None and one.grad.layout == torch.strided
    ]
    whole = torch.cat(found)[: GradientFile.MOST] if found else torch.zeros(0)
    np.save(path, whole.numpy())


def _threads() -> int:
    from breeder.training.pytorch import torch

    return int(torch.get_num_threads())


def _profiler() -> Any:
    from breeder.training.pytorch import torch

    activities = [torch.profiler.ProfilerActivity.CPU]
    return torch.profiler.profile(activities=activities, record_shapes=True, with_flops=True)


def _profiled(profiler: Any) -> dict[str, Any]:
    profiler.__exit__(None, None, None)
    rows = [
        {
            "op": one.key,
            "shapes": [list(shape) for shape in one.input_shapes],
            "calls": one.count,
            "seconds": one.self_cpu_time_total * 1e-6,
            "flops": float(one.flops or 0),
        }
        for one in profiler.key_averages(group_by_input_shape=True)
        if one.key.startswith("aten::") and one.self_cpu_time_total > 0
    ]
    return {"profile": rows}


def _report(accelerated: Any, steps: int) -> dict[str, Any]:
    """What the kernels were chosen for, and which calls stayed with PyTorch."""
    from breeder.training.operators import registry

    if accelerated is None:
        return {"lines": [], "buckets": []}
    buckets = []
    for key, calls in accelerated.calls.items():
        choice = registry().decided(key)
        if choice is None or choice.comparison is None:
            continue
        times = [
            sorted(one.cpu_seconds for one in side)[len(side) // 2]
            for side in (choice.comparison.baseline_seconds, choice.comparison.candidate_seconds)
        ]
        buckets.append({
            "op": key.op, "dtype": key.dtype, "bucket": key.bucket, "calls": calls / steps,
            "taken": bool(choice.kernels), "pytorch": times[0], "kernel": times[1],
            "origins": sorted({one.source.origin for one in choice.kernels}),
            "shapes": accelerated.shapes[key], "device": key.device,
        })  # fmt: skip
    return {"lines": accelerated.report().splitlines(), "buckets": buckets}


if __name__ == "__main__":
    main(*sys.argv[1:])
