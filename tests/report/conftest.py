from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.report.made_up_run import Recipe, write_run

from breeder.archive.store import Store

MadeUp = Callable[..., Path]


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """Recipe fields -> folder of a made-up run, written once per recipe. Do not write into it."""
    known: dict[Recipe, Path] = {}

    def make(**fields: Any) -> Path:
        recipe = Recipe(**fields)
        if recipe not in known:
            known[recipe] = write_run(tmp_path_factory.mktemp("made_up"), recipe)
        return known[recipe]

    return make


@pytest.fixture
def opened(made_up: MadeUp) -> Iterator[Callable[..., Store]]:
    """Recipe fields -> the made-up run's store, read only."""
    stores: list[Store] = []

    def open_(**fields: Any) -> Store:
        stores.append(Store.open(made_up(**fields), readonly=True))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()
