"""A running model, seen from the process that uses it: started, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from breeder.errors import UserError
from breeder.executors.process_tree import tree_cpu_seconds
from breeder.proposers.llm.local.runtime import Settings
from breeder.proposers.llm.model import LossKind, ModelError

_COMMAND = (sys.executable, "-m", "breeder.proposers.llm.local.runtime")
_START_SECONDS = 300.0  # a large file from a slow disk
_LAST_SECONDS = 1.0
_WORDS = 300
# What the runtime may need of the environment. Keys of other models are none of its business.
_PASSED = ("PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_PASSED_PREFIXES = ("PYTHON", "GGML_", "OMP_", "CUDA_", "LC_")


def require_runtime() -> None:
    """Make sure that the extra is installed.

    Raises:
        UserError: it is not.
    """
    for package in ("xllamacpp", "openai"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f"a local model needs {package}; run: pip install 'breeder[local]'")


def free_cores(slots: int = 0) -> int:
    """Cores that neither evaluations nor other work use; at least one.

    With other work on the cores two computing threads wait for each other most of the time.

    Args:
        slots: evaluations that will run side by side.
    """
    cores = len(os.sched_getaffinity(0))
    return max(1, cores - max(slots, round(os.getloadavg()[0])))


class ModelServer:
    """A model in a process of its own; starts at the first use, and again after a crash.

    Args:
        model: the GGUF file.
        settings: how it is run; path and key are filled in.
        command: what to run in place of breeder's runtime.
    """

    def __init__(
        self, model: Path, settings: Settings | None = None, *, command: Sequence[str] = _COMMAND
    ) -> None:
        self._settings = replace(
            settings or Settings("", ""), model=str(model), key=secrets.token_urlsafe(24)
        )
        self._command = tuple(command)
        self._process: asyncio.subprocess.Process | None = None
        self._log: IO[bytes] | None = None
        self._address = ""
        self._spent = 0.0
        self._seen = 0.0  # of the running process, when last read

    @property
    def settings(self) -> Settings:
        """How the model is run."""
        return self._settings

    @property
    def pid(self) -> int | None:
        """Id of the process, or None when none runs."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process else None

    @property
    def cpu_seconds(self) -> float:
        """CPU time of the running process and of those before it.

        Of one that died of itself, what it had used when it was last looked at.
        """
        if self.pid:
            self._seen = max(self._seen, tree_cpu_seconds(self.pid))
        return self._spent + self._seen

    async def address(self) -> str:
        """Where the model answers; starts it when it does not run.

        Raises:
            ModelError: it cannot be started; fatal, as no repetition can help.
        """
        if self.pid is None:
            await self._start()
        return self._address

    async def close(self) -> None:
        """End the process. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                self._seen = max(self._seen, tree_cpu_seconds(process.pid))
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            self._spent, self._seen = self._spent + self._seen, 0.0
            await process.wait()
            _close_pipes(process)
        if self._log is not None:
            self._log.close()
            self._log = None

    async def bury(self) -> str:
        """End a process that went wrong; returns what it printed last, in one line.

        The next `address` starts another one.
        """
        if self._process is not None:
            # A process that is about to die of itself may still be writing why.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_SECONDS):
                    await self._process.wait()
        words = self._last_words()
        await self.close()
        return words

    def _last_words(self) -> str:
        if self._log is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        begin = max(0, size - _WORDS)
        text = os.pread(self._log.fileno(), _WORDS, begin).decode("utf-8", "replace")
        return " ".join(text.split())

    async def _start(self) -> None:
        await self.close()
        self._log = TemporaryFile()  # noqa: SIM115 - closed by `close`
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=self._log,
                env=_environment(os.environ),
            )
            line = await self._first_line(self._process)
        except BaseException:
            await self.close()
            raise
        answer = json.loads(line) if line.startswith(b"{") else {}
        if "address" not in answer:
            reason = answer.get("error") or self._last_words() or "it ended without a word"
            await self.close()
            file = self._settings.model
            raise ModelError(
                LossKind.UNKNOWN_MODEL, f"the model {file} cannot be run: {reason}", fatal=True
            )
        self._address = answer["address"]

    async def _first_line(self, process: asyncio.subprocess.Process) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(self._settings.line())
            await process.stdin.drain()
        try:
            async with asyncio.timeout(_START_SECONDS):
                return await process.stdout.readline()
        except TimeoutError:
            raise ModelError(
                LossKind.TIMEOUT, f"the model did not load within {_START_SECONDS:.0f} s"
            ) from None


def _environment(whole: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in whole.items()
        if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }


def _close_pipes(process: asyncio.subprocess.Process) -> None:
    # Else the transport is closed by the garbage collector, with a warning, perhaps after the loop.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
