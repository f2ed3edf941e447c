import pytest

from breeder.archive.grid import DEFAULT_FEATURES, Grid
from breeder.core import Program
from breeder.errors import TaskError
from breeder.task import FeatureSection


def test_default_is_size_in_eight_logarithmic_bins():
    grid = Grid()
    assert grid.features == DEFAULT_FEATURES
    assert len(grid) == 8
    assert grid.edges[0][0] == pytest.approx(8 * 512 ** (1 / 8))


def test_a_cell_has_one_coordinate_per_feature():
    features = (
        FeatureSection(name="depth", low=-1, high=1, bins=4),
        FeatureSection(name="size", low=1, high=100, bins=2, log=True),
        FeatureSection(name="flat", low=0, high=1, bins=1),
    )
    grid = Grid(features)
    program = Program("a", {}, size=11)
    assert grid.cell(program, {"depth": 0.0, "flat": 5.0}) == (2, 1, 0)
    assert len(grid) == 8


def test_a_feature_is_declared_once():
    feature = FeatureSection(name="depth", low=0, high=1)
    with pytest.raises(TaskError, match="declared twice"):
        Grid([feature, feature])
