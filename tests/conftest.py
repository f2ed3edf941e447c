"""What all tests share: telling assertions of shared suites, and the mark of the stack's tests."""

from pathlib import Path

import pytest

pytest.register_assert_rewrite("conformance")

STACK = ("models", "training")
"""Folders of tests that need the extra `torch` and are skipped where it is not installed."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the stack's tests, so that they can be run together once its extras are there."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in STACK:
            item.add_marker("stack")
