"""A user's script in a process of its own, which waits between steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from breeder.acceleration.variant import Variant
from breeder.errors import UserError
from breeder.measurement import Spent

KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
}
"""Environment in which glibc gives no freed memory back to the system."""


class Script:
    """The script, run one way; starts when a step is first asked for, and again when it ended.

    Args:
        command: the script and its arguments.
        variant: the way.
        folder: where its output goes, to `NAME.log`.
        environment: further variables.
    """

    def __init__(
        self,
        command: Sequence[str],
        variant: Variant,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.variant = msgspec.structs.replace(
            variant, gradients=str(folder / f"{variant.name}.npy")
        )
        self._command = list(command)
        self._log = folder / f"{variant.name}.log"
        self._environment = {**os.environ, **(environment or {})}
        if variant.keep_memory:
            self._environment.update(KEEP_MEMORY)
        self._process: subprocess.Popen[bytes] | None = None
        self.threads = 1

    def step(self) -> Spent:
        """Let the script take a step.

        Raises:
            UserError: it failed, or takes no steps with an optimiser.
        """
        self._ready()
        answer = self._ask({"do": "step"})
        if "ended" in answer:
            self.close()
            self._ready()
            answer = self._ask({"do": "step"})
        if "cpu" not in answer:
            raise UserError(f"{self._command[0]}: it ends after its first step; give it more")
        return Spent(answer["cpu"], answer["wall"])

    def profile(self, steps: int) -> list[dict[str, Any]]:
        """Operators of so many steps: op, shapes, calls, seconds (self), flops.

        Raises:
            UserError: see `step`.
        """
        self._ready()
        answer = self._ask({"do": "profile", "steps": steps})
        if "profile" not in answer:
            raise UserError(f"{self._command[0]}: it ends before {steps + 1} steps; ask for fewer")
        return answer["profile"]  # type: ignore[no-any-return]

    def report(self) -> dict[str, Any]:
        """What kernels were used for so far."""
        self._ready()
        return self._ask({"do": "report"})["report"]  # type: ignore[no-any-return]

    def close(self) -> None:
        """End the script."""
        if self._process is None:
            return
        self._orders.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
        self._process = None

    def __enter__(self) -> Script:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready(self) -> None:
        if self._process is not None:
            return
        order_end, orders = os.pipe()
        answers, answer_end = os.pipe()
        words = [
            sys.executable, "-m", "breeder.acceleration.hook", str(order_end), str(answer_end),
            msgspec.json.encode(self.variant).decode(), *self._command,
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment,
                pass_fds=(order_end, answer_end),
            )  # fmt: skip
        os.close(order_end)
        os.close(answer_end)
        self._orders = os.fdopen(orders, "w", encoding="utf-8")
        self._answers = os.fdopen(answers, encoding="utf-8")
        answer = self._answer()
        if "ready" not in answer:
            raise UserError(f"{self._command[0]}: {answer['ended']} before an optimiser's step")
        self.threads = int(answer["ready"])

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._answers.readline()
        answer: dict[str, Any] = (
            json.loads(line) if line else {"failed": f"it died; see {self._log}"}
        )
        if "failed" in answer:
            raise UserError(f"{self._command[0]} ({self.variant.name}): {answer['failed']}")
        return answer
