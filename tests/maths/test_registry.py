import pytest

from breeder.errors import UserError
from breeder.maths import Problem, problem, problems
from breeder.maths.registry import FAMILIES
from breeder.maths.sheets import sheet
from conformance.problems import ProblemConformance, sheets

LISTED = {listed.name: listed for listed in problems()}


FIRST = {name: family.make(*family.listed[0]) for name, family in FAMILIES.items()}


@pytest.mark.parametrize("listed", FIRST.values(), ids=FIRST)
class TestEveryFamily(ProblemConformance):
    """The first problem of every family keeps the contract, however it was added."""

    @pytest.fixture(autouse=True)
    def _choose(self, listed: Problem):
        type(self).problem = listed


def test_every_listed_problem_is_found_by_its_name_and_has_an_example():
    for name, listed in LISTED.items():
        assert problem(name) == listed
        assert listed.verify(listed.example()).problem == name


def test_names_are_distinct():
    assert len(LISTED) == len(problems())


def test_every_sheet_belongs_to_a_problem():
    for family in sheets():
        assert family in FAMILIES


def test_a_problem_that_is_not_listed_has_a_name_as_well():
    assert problem("kissing_5").parameters == {"d": 5}
    assert problem("circle_packing_7").name == "circle_packing_7"
    assert problem("autocorrelation_3").name == "autocorrelation_3"


@pytest.mark.parametrize(
    "name",
    ["", "kissing", "kissing_", "kissing_011", "kissing_x", "kissing_11_2", "kissing_99999"],
)
def test_a_name_of_no_problem_lists_those_there_are(name):
    with pytest.raises(UserError, match="is no problem; there are erdos_minimum_overlap"):
        problem(name)


@pytest.mark.parametrize(
    "name", ["Kissing_11", "erdos_minimum_overlap_3", "kissing_-1", "kissing_١", "../kissing_11"]
)
def test_a_name_that_is_nearly_one_is_none(name):
    with pytest.raises(UserError, match="is no problem"):
        problem(name)


def test_an_unlisted_problem_has_an_empty_sheet():
    assert sheet("kissing", "kissing_5").records == ()
    assert problem("kissing_5").best is None
    assert sheet("no such family", "x").bound is None
