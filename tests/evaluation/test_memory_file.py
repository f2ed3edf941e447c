from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest

from breeder.evaluation import memory_file, syscalls
from breeder.evaluation.memory_file import MemoryFile

MIB = 1 << 20


@pytest.fixture
def memory() -> Iterator[MemoryFile]:
    made = MemoryFile(MIB)
    yield made
    made.close()


def in_use(memory: MemoryFile) -> int:
    return os.fstat(memory.fileno()).st_blocks * 512


def bytes_of(size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return (np.arange(size) % 251).astype(np.uint8)


def test_what_is_written_is_read_and_is_a_copy(memory: MemoryFile) -> None:
    memory.write(bytes_of(4096))
    found = memory.read(8, np.dtype(np.int32), (3, 2))
    np.testing.assert_array_equal(found.view(np.uint8).ravel(), np.arange(8, 32))
    memory.write(np.zeros(4096, np.uint8))
    assert found.any()
    assert memory.read(0, np.dtype(np.float64), (0, 3)).shape == (0, 3)
    assert memory.read(8, np.dtype(np.int64), ()).item() == 0


def test_a_mapping_of_another_sees_and_changes_it(memory: MemoryFile) -> None:
    memory.write(bytes_of(64))
    with mmap.mmap(memory.fileno(), 4096) as mapped:
        assert mapped[63] == 63
        mapped[63] = 7
    assert memory.read(63, np.dtype(np.uint8), ()).item() == 7


def test_pages_are_fresh_zero_and_no_more_than_asked_for(memory: MemoryFile) -> None:
    memory.write(bytes_of(MIB))
    assert in_use(memory) == MIB
    memory.renew(8192)
    assert in_use(memory) == 8192
    assert not memory.read(0, np.dtype(np.uint8), (MIB,)).any()


def test_nobody_can_change_its_size_or_its_seals(memory: MemoryFile) -> None:
    for size in (0, 4096, 2 * MIB):
        with pytest.raises(PermissionError):
            os.ftruncate(memory.fileno(), size)
    with pytest.raises(PermissionError):
        os.pwrite(memory.fileno(), b"more", MIB)
    with pytest.raises(PermissionError):
        fcntl.fcntl(memory.fileno(), fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)


def test_holes_read_as_zeros(memory: MemoryFile) -> None:
    memory.write(np.full(8192, 5, np.uint8))
    syscalls.punch_hole(memory.fileno(), 0, 4096)
    found = memory.read(0, np.dtype(np.uint8), (8192,))
    assert not found[:4096].any()
    assert (found[4096:] == 5).all()


def test_pages_that_are_protected_elsewhere_are_read_all_the_same(memory: MemoryFile) -> None:
    memory.write(bytes_of(4096))
    with mmap.mmap(memory.fileno(), 4096, prot=0):
        assert memory.read(9, np.dtype(np.uint8), ()).item() == 9


def test_it_is_let_go_of_once(memory: MemoryFile) -> None:
    descriptor = memory.fileno()
    memory.close()
    memory.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


def test_lack_of_memory_is_no_fault_of_the_candidate(
    memory: MemoryFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("pwrite", "memfd_create"):
        monkeypatch.setattr(memory_file.os, name, full)
    for work in (
        lambda: memory.renew(4096),
        lambda: memory.write(bytes_of(8)),
        lambda: MemoryFile(MIB),
    ):
        with pytest.raises(memory_file.SandboxUnavailableError, match="No space left"):
            work()
