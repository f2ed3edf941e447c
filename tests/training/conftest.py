"""Kernels for the tests with torch: checked once, in a folder of their own, and never timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from breeder.training.registry import KernelRegistry


@pytest.fixture(scope="session")
def checked_kernels(tmp_path_factory: pytest.TempPathFactory) -> KernelRegistry:
    """A registry that takes every kernel which passes its check, however slow this moment is."""
    from breeder.training.registry import KernelRegistry
    from breeder.verification.registry import Registry

    folder = tmp_path_factory.mktemp("checked")
    return KernelRegistry(Registry(folder / "adopted"), folder / "libraries", timed=False)


@pytest.fixture
def kernels(checked_kernels: KernelRegistry) -> Iterator[KernelRegistry]:
    """The operators ask that registry while a test runs."""
    from breeder.training import use_registry

    use_registry(checked_kernels)
    yield checked_kernels
    use_registry(None)
