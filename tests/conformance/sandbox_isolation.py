"""What isolation must make impossible, and what hostile programs a sandbox must survive.

The programs here are hostile on purpose. Run them through an isolating sandbox only.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

import breeder
from breeder.core import FailureKind
from breeder.evaluation.sandbox import CandidateFailedError, ProgramSpec, Sandbox
from conformance.sandbox import LIMITS, SandboxConformance, call, fail, limits, python, run, start

# Names `refused(f, ...)`: the error number of an OSError, or 0 when the call succeeds.
PRELUDE = """
import ctypes, errno, os, signal, socket, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)

def refused(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return 0

def syscall(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return ctypes.get_errno() if result < 0 else 0

CHANNEL = 3
"""
X86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="system calls by number")


def descendants() -> set[int]:
    """Processes that descend from this one, as the host sees them; zombies excluded."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            state, parent = Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(name)] = int(parent)
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


class IsolationConformance(SandboxConformance):
    """Subclass it and provide the fixture `sandbox`, as for `SandboxConformance`."""

    def test_files_of_the_user_are_invisible(self, sandbox: Sandbox, tmp_path: Path) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text("key")
        source = "import os\ndef f(paths): return [p for p in paths if os.path.exists(p)]"
        home = [str(path) for path in Path.home().iterdir() if path.is_file()]
        assert run(sandbox, source, [str(secret), str(tmp_path), "/etc/shadow", *home]) == []

    def test_only_the_way_to_python_is_visible_in_home(self, sandbox: Sandbox) -> None:
        source = "import os\ndef f(path): return os.listdir(path) if os.path.isdir(path) else []"
        prefixes = [Path(sys.prefix), Path(sys.base_prefix)]
        home = Path.home()
        expected = {p.relative_to(home).parts[0] for p in prefixes if p.is_relative_to(home)}
        assert set(run(sandbox, source, str(home))) <= expected

    def test_evaluators_of_breeder_are_invisible(self, sandbox: Sandbox) -> None:
        source = (
            "import os\ndef f(folder):\n    try:\n        import breeder.suites\n"
            "    except ImportError:\n        return os.path.exists(folder)\n    return True"
        )
        assert run(sandbox, source, str(Path(breeder.__file__).parent / "suites")) is False

    def test_the_environment_is_bare(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("API_KEY", "secret")
        names = run(sandbox, "import os\ndef f(): return list(os.environ)")
        assert {n for n in names if not n.endswith("_NUM_THREADS")} <= {
            "PATH", "HOME", "TMPDIR", "USER", "LANG", "PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE",
            "OMP_WAIT_POLICY", "TRITON_INTERPRET",
        }  # fmt: skip

    def test_nothing_but_scratch_is_writable(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f():\n    writable = []\n    for folder, names, _ in os.walk('/'):\n"
            "        if folder in ('/scratch', '/proc', '/usr', '/root'):\n"
            "            names.clear()\n            continue\n"
            "        if not refused(open, folder + '/probe', 'w'): writable.append(folder)\n"
            "    return writable"
        )
        assert run(sandbox, source) == []

    def test_installed_packages_cannot_be_changed(self, sandbox: Sandbox) -> None:
        source = "import numpy\ndef f():\n    open(numpy.__file__, 'a')"
        assert fail(sandbox, source).kind is FailureKind.EXCEPTION

    def test_no_file_is_left_for_the_next_program(self, sandbox: Sandbox) -> None:
        source = (
            # Where the interpreter lies below /tmp, that is no link to the scratch folder.
            "import os\nPLACES = ['/scratch', '/dev/shm'] + ['/tmp'] * os.access('/tmp', os.W_OK)\n"
            "def f():\n"
            "    seen = [p for p in PLACES if os.path.exists(p + '/mark')]\n"
            "    for p in PLACES: open(p + '/mark', 'w').close()\n    return seen"
        )
        assert run(sandbox, source) == run(sandbox, source) == []

    def test_sockets_of_every_kind_are_refused(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f(): return [refused(socket.socket, family, kind) for family in (1, 2, 10, 16, 17)"
            " for kind in (1, 2, 3)]"
        )
        assert set(run(sandbox, source)) == {1}

    def test_loopback_cannot_be_reached(self, sandbox: Sandbox) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            source = PRELUDE + "def f(port): socket.create_connection(('127.0.0.1', port), 1)"
            program = start(sandbox, source)
            with pytest.raises(CandidateFailedError, match="PermissionError"):
                call(program, server.getsockname()[1])
            program.close()

    @X86_64
    def test_dangerous_system_calls_are_refused(self, sandbox: Sandbox) -> None:
        numbers = {
            "ptrace": 101, "mount": 165, "umount2": 166, "pivot_root": 155, "unshare": 272,
            "setns": 308, "keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298,
            "userfaultfd": 323, "process_vm_readv": 310, "process_vm_writev": 311,
            "kexec_load": 246, "init_module": 175, "io_uring_setup": 425, "open_tree": 428,
            "fsopen": 430, "pidfd_getfd": 438, "open_by_handle_at": 304, "shmget": 29,
            "memfd_create": 319, "socket": 41, "x32 getpid": 0x40000000 + 39,
        }  # fmt: skip
        source = PRELUDE + "def f(numbers): return [syscall(n, 0, 0, 0, 0, 0) for n in numbers]"
        assert run(sandbox, source, list(numbers.values())) == [1] * len(numbers)

    @X86_64
    def test_new_namespaces_cannot_be_cloned(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f():\n    flags = [0x20000, *(1 << n for n in range(25, 31))]\n"
            "    cloned = [syscall(56, flag | 17, 0, 0, 0, 0) for flag in flags]\n"
            "    return [*cloned, syscall(435, 0, 0)]"
        )
        assert run(sandbox, source) == [1] * 7 + [38]

    def test_rights_cannot_be_gained(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f():\n    no_new_privileges = libc.prctl(39, 0, 0, 0, 0)\n"
            "    capable = libc.prctl(47, 2, 21, 0, 0)  # raise an ambient capability\n"
            "    return [no_new_privileges, capable, bool(refused(os.setuid, 0)),"
            " bool(refused(os.setgroups, [0])), bool(refused(os.nice, -1)),"
            " bool(refused(os.chroot, '.'))]"
        )
        assert run(sandbox, source) == [1, -1, True, True, True, True]

    def test_processes_outside_cannot_be_signalled(self, sandbox: Sandbox) -> None:
        source = PRELUDE + "def f(pids): return [refused(os.kill, pid, 9) for pid in pids]"
        outside = sorted({os.getpid(), os.getppid(), *descendants()} - {1, 2, 3})
        assert set(run(sandbox, source, [p for p in outside if p > 100])) <= {3}

    def test_killing_everything_kills_only_itself(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f():\n    refused(os.kill, -1, 9)\n    os.kill(os.getpid(), 9)\n"
            "    time.sleep(1000)"
        )
        assert fail(sandbox, source).kind is FailureKind.CRASH

    def test_killing_its_parent_gains_nothing(self, sandbox: Sandbox) -> None:
        program = start(sandbox, PRELUDE + "def f():\n    refused(os.kill, os.getppid(), 9)\n"
                        "    refused(os.kill, 1, 9)\n    time.sleep(1000)")  # fmt: skip
        with pytest.raises(CandidateFailedError) as caught:
            call(program, wall=0.5)
        program.close()
        assert caught.value.failure.kind in (FailureKind.CRASH, FailureKind.WALL_TIME)

    def test_process_1_cannot_be_changed(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "import resource\ndef f():\n    for n in range(1, 65):\n"
            "        if n != signal.SIGKILL: refused(os.kill, 1, n)\n"
            "    none = (0, 0)\n"
            "    return [bool(refused(*change)) for change in (\n"
            "        (resource.prlimit, 1, resource.RLIMIT_NOFILE, none),\n"
            "        (resource.prlimit, os.getpid(), resource.RLIMIT_NOFILE, none),\n"
            "        (os.setpriority, os.PRIO_PROCESS, 1, 19),\n"
            "        (os.setpriority, os.PRIO_PGRP, 1, 19),\n"
            "        (os.setpriority, os.PRIO_USER, 0, 19),\n"
            "        (os.sched_setaffinity, 1, {0}),\n"
            "        (os.sched_setscheduler, 1, os.SCHED_IDLE, os.sched_param(0)))]"
        )
        assert run(sandbox, source) == [True] * 7

    def test_programs_cannot_tell_how_many_processes_ran_before(self, sandbox: Sandbox) -> None:
        source = (
            "import os\ndef f(children):\n    for _ in range(children):\n"
            "        if os.fork() == 0: os._exit(0)\n        os.wait()\n    return os.getpid()"
        )
        assert run(sandbox, source, 5) == run(sandbox, source, 0)

    def test_many_orphans_one_after_another_are_no_failure(self, sandbox: Sandbox) -> None:
        source = (
            "import os\ndef f():\n    for _ in range(60):\n        child = os.fork()\n"
            "        if child == 0:\n            if os.fork() == 0: os._exit(0)\n"
            "            os._exit(0)\n        os.waitpid(child, 0)\n    return 1"
        )
        assert run(sandbox, source) == 1

    def test_memory_of_its_init_process_is_unreadable(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f(): return [bool(refused(open, f'/proc/{pid}/{name}', 'rb')) for pid in"
            " {1, os.getppid()} for name in ('mem', 'maps', 'environ', 'root/etc')]"
        )
        assert all(run(sandbox, source))

    def test_ignoring_sigterm_does_not_help(self, sandbox: Sandbox) -> None:
        source = (
            "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n"
            "    except (OSError, ValueError): pass\ndef f():\n    while True: pass"
        )
        assert fail(sandbox, source, cpu=0.2).kind is FailureKind.CPU_TIME

    def test_a_fork_bomb_is_a_process_failure(self, sandbox: Sandbox) -> None:
        source = (
            "import os, time\ndef f():\n    while True:\n        try: os.fork()\n"
            "        except OSError: time.sleep(0.01)"
        )
        assert fail(sandbox, source).kind is FailureKind.PROCESSES

    def test_too_many_threads_are_a_process_failure(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f():\n    for _ in range(12): threading.Thread(target=time.sleep, args=(999,)"
            ").start()\n    time.sleep(1000)"
        )
        assert fail(sandbox, source).kind is FailureKind.PROCESSES

    def test_processes_within_the_limit_are_fine(self, sandbox: Sandbox) -> None:
        source = (
            "import multiprocessing\ndef g(n): return n * n\ndef f():\n"
            "    with multiprocessing.get_context('fork').Pool(2) as pool:\n"
            "        return pool.map(g, range(4))"
        )
        assert run(sandbox, source) == [0, 1, 4, 9]

    def test_threads_that_never_end_do_not_hold_the_answer(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f():\n    threading.Thread(target=time.sleep, args=(1000,)).start()\n    return 1"
        )
        assert run(sandbox, source) == 1

    def test_orphans_are_gone_when_close_returns(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def orphan():\n    os.setsid()\n    if os.fork() == 0:\n"
            "        os.closerange(0, 64)\n        time.sleep(1000)\n    os._exit(0)\n"
            "def f():\n    for _ in range(3):\n        if os.fork() == 0: orphan()\n"
            "        os.wait()\n    return 1"
        )
        program = start(sandbox, source)
        before = descendants()
        assert call(program) == 1
        assert len(descendants() - before) == 3
        program.close()
        assert not descendants() - before

    def test_orphans_are_gone_when_the_program_leaves(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f(orphan=True):\n    if orphan and os.fork() == 0:\n        os.setsid()\n"
            "        time.sleep(1000)\n    os._exit(1)"
        )
        assert fail(sandbox, source.replace("=True", "=False")).kind is FailureKind.EXIT
        before = descendants()
        assert fail(sandbox, source).kind is FailureKind.EXIT
        assert len(descendants()) == len(before)

    def test_cpu_time_of_children_counts(self, sandbox: Sandbox) -> None:
        source = (
            "import os\ndef f():\n    if os.fork() == 0:\n        while True: pass\n    os.wait()"
        )
        assert fail(sandbox, source, cpu=0.3).kind is FailureKind.CPU_TIME

    def test_cpu_time_cannot_be_hidden_in_children_nobody_waits_for(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f():\n    signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n    while True:\n"
            "        if os.fork() == 0:\n            end = time.process_time() + 0.004\n"
            "            while time.process_time() < end: pass\n            os._exit(0)\n"
            "        refused(os.wait)"
        )
        program = start(sandbox, source)
        with pytest.raises(CandidateFailedError) as caught:
            call(program, cpu=0.5, wall=30)
        program.close()
        assert caught.value.failure.kind is FailureKind.CPU_TIME

    def test_memory_of_the_whole_tree_counts(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "def f():\n    for _ in range(4):\n        if os.fork() == 0:\n"
            "            kept = bytearray(b'x') * (100 << 20)\n            time.sleep(1000)\n"
            "    time.sleep(1000)"
        )
        assert fail(sandbox, source).kind is FailureKind.MEMORY

    def test_memory_outside_of_processes_is_refused(self, sandbox: Sandbox) -> None:
        source = PRELUDE + (
            "import mmap\ndef f():\n"
            "    return [refused(os.memfd_create, 'x'), refused(mmap.mmap, -1, 4096)]"
        )
        assert run(sandbox, source) == [1, 1]

    def test_a_scratch_folder_that_is_full_is_a_disk_failure(self, sandbox: Sandbox) -> None:
        source = (
            "def f():\n    for n in range(30):\n        with open(str(n), 'wb') as file:\n"
            "            file.write(bytes(4 << 20))"
        )
        assert fail(sandbox, source).kind is FailureKind.DISK

    def test_stopping_itself_runs_into_the_wall_time(self, sandbox: Sandbox) -> None:
        source = "import os, signal\ndef f(): os.kill(os.getpid(), signal.SIGSTOP)"
        assert fail(sandbox, source, wall=0.3).kind is FailureKind.WALL_TIME

    def test_replacing_the_worker_by_another_program_gains_nothing(self, sandbox: Sandbox) -> None:
        source = "import os\ndef f(): os.execv('/bin/true', ['true'])"
        assert fail(sandbox, source).kind is FailureKind.EXIT

    def test_sabotaging_its_own_worker_hurts_only_itself(self, sandbox: Sandbox) -> None:
        source = (
            "import sys, os\nsys.stdout = sys.stderr = None\nos.getpid = lambda: 0\n"
            "for name in list(sys.modules):\n"
            "    if name.startswith('breeder'): sys.modules[name].__dict__.clear()\n"
            "def f(): return 1"
        )
        with pytest.raises(CandidateFailedError):
            run(sandbox, source)

    def test_an_exception_whose_text_is_hostile_is_an_exception(self, sandbox: Sandbox) -> None:
        source = (
            "class Odd(Exception):\n    def __str__(self): raise SystemExit(0)\ndef f(): raise Odd"
        )
        assert fail(sandbox, source).kind is FailureKind.EXCEPTION

    def test_a_compiler_cannot_read_what_the_program_cannot(
        self, sandbox: Sandbox, tmp_path: Path
    ) -> None:
        (tmp_path / "secret.h").write_text("#error secret key\n")
        spec = ProgramSpec(
            {"main.c": f'#include "{tmp_path}/secret.h"\n'}, "main.c", "native", {},
            ("gcc", "-shared", "-o", "{output}", "main.c"),
        )  # fmt: skip
        with pytest.raises(CandidateFailedError) as caught:
            sandbox.start(spec, LIMITS)
        assert caught.value.failure.kind is FailureKind.COMPILE
        assert "key" not in caught.value.failure.detail

    def test_compiling_without_end_is_a_compile_failure(self, sandbox: Sandbox) -> None:
        spec = ProgramSpec(
            {"main.c": '#include "/dev/urandom"\n'}, "main.c", "native", {},
            ("gcc", "-shared", "-o", "{output}", "main.c"),
        )  # fmt: skip
        with pytest.raises(CandidateFailedError) as caught:
            sandbox.start(spec, limits(compile_seconds=0.5))
        assert caught.value.failure.kind is FailureKind.COMPILE

    def test_a_native_program_that_overruns_its_arrays_is_a_crash(self, sandbox: Sandbox) -> None:
        source = python("import ctypes\ndef f():\n    ctypes.memset(0x1000, 0, 1 << 30)")
        program = sandbox.start(source, LIMITS)
        with pytest.raises(CandidateFailedError) as caught:
            call(program)
        program.close()
        assert caught.value.failure.kind is FailureKind.CRASH
