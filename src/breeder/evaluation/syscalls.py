"""The few Linux system calls that Python does not offer. Each raises OSError when it fails."""

from __future__ import annotations

import ctypes
import os
import struct
import sys

MNT_DETACH = 2
MS_NOSUID = 2
MS_NODEV = 4
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_LAST_CAPABILITY = 63
_CAPABILITY_VERSION_3 = 0x20080522
_CLOSE_RANGE = 436  # the same number on every architecture
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4  # no slower speculation for code that is being timed
_EINVAL = 22
_SIGNAL_SET_BYTES = 128
_PUNCH_HOLE_KEEP_SIZE = 3

_libc = ctypes.CDLL(None, use_errno=True)
if sys.platform == "linux":  # elsewhere this is imported, for its neighbours, but not called
    _libc.mount.argtypes = [*[ctypes.c_char_p] * 3, ctypes.c_ulong, ctypes.c_char_p]
    _libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    _libc.syscall.restype = ctypes.c_long


def _checked(result: int, name: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def signal_descriptor(number: int) -> int:
    """Return a descriptor that is readable while this signal, to be blocked already, is pending."""
    signals = ctypes.create_string_buffer(_SIGNAL_SET_BYTES)
    _checked(_libc.sigemptyset(signals), "sigemptyset")
    _checked(_libc.sigaddset(signals, number), "sigaddset")
    descriptor: int = _libc.signalfd(-1, signals, os.O_NONBLOCK | os.O_CLOEXEC)
    _checked(descriptor, "signalfd")
    return descriptor


def mount_tmpfs(target: str, options: str) -> None:
    """Mount a tmpfs without devices and set-user-id programs."""
    flags = MS_NOSUID | MS_NODEV
    result = _libc.mount(b"tmpfs", target.encode(), b"tmpfs", flags, options.encode())
    _checked(result, f"mount tmpfs on {target}")


def unmount(target: str) -> None:
    """Detach a mount, see umount2(2)."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def prctl(option: int, value: int = 0) -> None:
    """Set an attribute of this process."""
    _checked(_libc.prctl(option, value, 0, 0, 0), f"prctl {option}")


def close_from(descriptor: int) -> None:
    """Close every descriptor from this one on, see close_range(2)."""
    numbers = [ctypes.c_long(value) for value in (_CLOSE_RANGE, descriptor, 0xFFFFFFFF, 0)]
    _checked(_libc.syscall(*numbers), "close_range")


def punch_hole(descriptor: int, begin: int, size: int) -> None:
    """Give back the pages of a part of a file, which then reads as zeros; see fallocate(2)."""
    place = (ctypes.c_int64(begin), ctypes.c_int64(size))
    _checked(_libc.fallocate(descriptor, _PUNCH_HOLE_KEEP_SIZE, *place), "fallocate")


def drop_bounding_set() -> None:
    """Make it impossible for this process and its children to gain a capability by exec."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != _EINVAL:  # EINVAL: this kernel has no such capability
                raise


def drop_capabilities() -> None:
    """Give up every capability in all sets."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _checked(_libc.capset(header, bytes(24)), "capset")


def install_filter(program: bytes, syscall_number: int) -> None:
    """Install a seccomp filter for this process and all its children.

    Args:
        program: BPF instructions, 8 bytes each.
        syscall_number: of seccomp(2) on this architecture.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    operation = ctypes.c_long(_SECCOMP_SET_MODE_FILTER)
    flags = ctypes.c_long(_SECCOMP_FILTER_FLAG_SPEC_ALLOW)
    _checked(_libc.syscall(ctypes.c_long(syscall_number), operation, flags, header), "seccomp")
