"""The sandbox: bubblewrap namespaces around a pre-warmed zygote that forks one candidate at a time.

Two ways to run it, with the same guarantees:

* nested: one long-lived bubblewrap per slot runs one program after another, started in
  milliseconds. Before the next one starts, every process of the last one is dead, its scratch
  folder is gone with its file system, and process numbers begin anew;
* single: one bubblewrap and one interpreter per program, where mounting inside is refused (for
  example by a security module). Here programs see a /proc, with the sandbox's own processes only.

As root no user namespace is used and each slot's candidates become a user of their own without
any rights: root in a user namespace would still be the machine's root for files under /proc/sys,
and exempt from process limits. Anybody else runs inside a user namespace.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from breeder.errors import SandboxUnavailableError
from breeder.evaluation import control
from breeder.evaluation.clock import pid_of
from breeder.evaluation.compilation import Binaries, Compiler
from breeder.evaluation.confinement import bubblewrap, command_line, setup_for
from breeder.evaluation.control import (
    Allow,
    Company,
    Died,
    Kill,
    Locate,
    Ready,
    Sampled,
    Start,
    Usage,
)
from breeder.evaluation.program import RunningProgram
from breeder.evaluation.sandbox import Limits, ProgramSpec

_CAP_SYS_ADMIN = 21
_READY_SECONDS = 60.0
_REPLY_SECONDS = 30.0
_NO_SANDBOX = "or pass --sandbox none to run candidates without isolation"


class Zygote:
    """A bubblewrap process and its control socket; a `Supervision` of the program that it runs."""

    interval: float | None = None

    def __init__(self, process: subprocess.Popen[bytes], channel: socket.socket) -> None:
        self._process = process
        self._channel = channel
        self._died: Died | None = None
        self._ready = False
        self._problem = ""
        self.nested = False

    @classmethod
    def spawn(
        cls, slot: int, preload: Sequence[str], *, user: bool, scratch_mib: int | None
    ) -> Zygote:
        """Start bubblewrap; does not wait until it is ready.

        Args:
            slot: see `BubblewrapSandbox`; likewise `preload`.
            preload: modules to import.
            user: use a user namespace.
            scratch_mib: scratch space of the only program; None to serve many, nested.

        Raises:
            SandboxUnavailableError: there is no bubblewrap.
        """
        setup = setup_for(slot, tuple(preload), nested=scratch_mib is None, user=user)
        command = command_line(user=user, scratch_mib=scratch_mib)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = [str(theirs.fileno()), msgspec.json.encode(setup).decode()]
            process = subprocess.Popen(
                [*command, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={},
                start_new_session=True,
            )
        return cls(process, ours)

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait for its first message.

        Raises:
            SandboxUnavailableError: it cannot serve; the text says why and what to do.
        """
        if self._ready:
            return
        reply = self._next_reply(_READY_SECONDS)
        if not isinstance(reply, Ready):
            raise SandboxUnavailableError(self._explain())
        if reply.problem:
            raise SandboxUnavailableError(f"the sandbox cannot start: {reply.problem}")
        self.nested, self._ready = reply.nested, True

    def start(self, limits: Limits) -> RunningProgram:
        """Fork a candidate."""
        self._died = None
        ours, theirs = socket.socketpair()
        pipe, pipe_end = os.pipe()
        try:
            socket.send_fds(
                self._channel, [control.encode(Start(limits))], [theirs.fileno(), pipe_end]
            )
        except OSError as error:
            ours.close()
            os.close(pipe)
            raise SandboxUnavailableError(f"the sandbox died: {error}") from None
        finally:
            theirs.close()
            os.close(pipe_end)
        return RunningProgram(ours, pipe, self, limits)

    def fileno(self) -> int:
        """The control socket."""
        return self._channel.fileno()

    def allow(self, cpu_seconds: float) -> None:
        """See `Supervision.allow`."""
        self._send(Allow(cpu_seconds))

    def check(self) -> Died | None:
        """See `Supervision.check`."""
        while self._died is None and select.select([self._channel], [], [], 0)[0]:
            self._take(self._receive())
        return self._died

    def usage(self) -> float:
        """See `Supervision.usage`."""
        return self._ask(Usage())

    def pid(self) -> int:
        """See `Supervision.pid`."""
        _, handle = self._locate()
        return 0 if handle is None else pid_of(handle)

    def company(self) -> Company:
        """See `Supervision.company`."""
        found, handle = self._locate()
        if handle is not None:
            os.close(handle)
        return found

    def kill(self) -> float:
        """See `Supervision.kill`."""
        return self._ask(Kill())

    def close(self) -> None:
        """End bubblewrap and everything in it."""
        self._channel.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _ask(self, request: control.Request) -> float:
        self._send(request)
        while True:
            reply = self._next_reply(_REPLY_SECONDS)
            if isinstance(reply, Sampled):
                return reply.cpu_seconds
            self._take(reply)

    def _locate(self) -> tuple[Company, int | None]:
        self._send(Locate())
        while select.select([self._channel], [], [], _REPLY_SECONDS)[0]:
            packet, handles, _, _ = socket.recv_fds(self._channel, control.MAX_PACKET_BYTES, 1)
            reply = control.decode_reply(packet) if packet else None
            if isinstance(reply, Company):
                return reply, handles[0] if handles else None
            self._take(reply)
        raise SandboxUnavailableError(self._explain())

    def _send(self, request: control.Request) -> None:
        try:
            self._channel.send(control.encode(request), socket.MSG_NOSIGNAL)
        except OSError:
            raise SandboxUnavailableError(self._explain()) from None

    def _take(self, reply: control.Reply | None) -> None:
        if not isinstance(reply, Died):
            raise SandboxUnavailableError(self._explain())
        if reply.reason == "setup":
            raise SandboxUnavailableError(f"the sandbox cannot start a program: {reply.detail}")
        self._died = reply

    def _next_reply(self, seconds: float) -> control.Reply | None:
        if not select.select([self._channel], [], [], seconds)[0]:
            self._process.kill()
            return None
        return self._receive()

    def _receive(self) -> control.Reply | None:
        try:
            packet = self._channel.recv(control.MAX_PACKET_BYTES)
        except OSError:
            packet = b""
        return control.decode_reply(packet) if packet else None

    def _explain(self) -> str:
        if not self._problem:
            self._process.kill()
            _, errors = self._process.communicate()
            text = errors.decode("utf-8", "replace").strip().splitlines()
            self._problem = unavailable(text[-1] if text else "it ended without a word")
        return self._problem


class BubblewrapSandbox:
    """A `Sandbox` over bubblewrap.

    Args:
        slot: number of the slot; running slots of one process must differ.
        preload: modules to import before any candidate.
        nested: False to use one bubblewrap per program even where sharing one works.
        user_namespace: None chooses by who is running: everybody but root uses one.
        binaries: of compiled programs, shared with other sandboxes; None for this one alone.

    Raises:
        SandboxUnavailableError: there is no bubblewrap.
    """

    def __init__(
        self,
        slot: int,
        preload: Sequence[str] = (),
        *,
        nested: bool = True,
        user_namespace: bool | None = None,
        binaries: Binaries | None = None,
    ) -> None:
        self._slot = slot
        self._preload = tuple(preload)
        self._nested = nested
        self._user = not is_privileged() if user_namespace is None else user_namespace
        self._compiler = Compiler(self._run, binaries)
        self._program: RunningProgram | None = None
        self._closed = False
        self._zygote: Zygote | None = None
        bubblewrap()
        if nested:
            self._spawn(None)

    @property
    def nested(self) -> bool:
        """Whether programs share one bubblewrap, one after another."""
        return self._nested

    def start(self, spec: ProgramSpec, limits: Limits) -> RunningProgram:
        """Start a program, see `Sandbox.start`."""
        return self._compiler.start(spec, limits)

    def close(self) -> None:
        """Kill everything. Safe to call twice."""
        self._closed = True
        self._end_program()
        self._discard()

    def check(self) -> None:
        """Wait until the sandbox is ready.

        Raises:
            SandboxUnavailableError: it cannot run on this machine.
        """
        self._ready_zygote(scratch_mib=1)

    def _run(self, limits: Limits) -> RunningProgram:
        self._end_program()
        if not self._nested:
            self._discard()
        self._program = self._ready_zygote(limits.scratch_mib).start(limits)
        return self._program

    def _end_program(self) -> None:
        if self._program is not None:
            program, self._program = self._program, None
            try:
                program.close()
            except SandboxUnavailableError:
                self._discard()  # it is replaced at the next start

    def _ready_zygote(self, scratch_mib: int) -> Zygote:
        if self._closed:
            raise SandboxUnavailableError("the sandbox was closed")
        if self._nested:
            if self._zygote is None or not self._zygote.alive:
                self._spawn(None)
            assert self._zygote is not None
            self._zygote.wait_until_ready()
            if self._zygote.nested:
                return self._zygote
            self._nested = False
        zygote = self._spawn(scratch_mib)
        zygote.wait_until_ready()
        return zygote

    def _spawn(self, scratch_mib: int | None) -> Zygote:
        self._discard()
        self._zygote = Zygote.spawn(
            self._slot, self._preload, user=self._user, scratch_mib=scratch_mib
        )
        return self._zygote

    def _discard(self) -> None:
        if self._zygote is not None:
            self._zygote.close()
            self._zygote = None


def is_privileged() -> bool:
    """Whether this process is root of the machine, not of a user namespace, and may mount."""
    if os.geteuid() != 0:
        return False
    mapping = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return mapping == ["0", "0", str(2**32 - 1)] and bool(effective >> _CAP_SYS_ADMIN & 1)


def unavailable(problem: str) -> str:
    """Say in one line why there is no sandbox and what to do."""
    remedy = "install bubblewrap (Debian, Ubuntu: apt install bubblewrap)"
    if "ermission" in problem or "not permitted" in problem:
        remedy = (
            "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1 or "
            "kernel.apparmor_restrict_unprivileged_userns=0; in a container, run it with "
            "--security-opt seccomp=unconfined)"
        )
    return f"bubblewrap cannot isolate candidates here ({problem}); {remedy}, {_NO_SANDBOX}"
