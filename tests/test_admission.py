import pytest

from breeder.admission import Admission, Refusal, program_id
from breeder.core import Program
from breeder.proposers.proposer import Grammar, Proposal

TEXT = "import math\n# EVOLVE-BLOCK-START\nx = {}\n# EVOLVE-BLOCK-END\ndef f():\n    return x\n"
GRAMMAR = Grammar({"a.py": "python"})


@pytest.fixture
def admission() -> Admission:
    return Admission({"a.py": TEXT.format(1)}, GRAMMAR, source_kib=1)


@pytest.fixture
def start(admission: Admission) -> Program:
    return admission.start({"a.py": TEXT.format(1)})


def test_a_new_program_gets_its_lineage(admission: Admission, start: Program) -> None:
    child = admission.admit("syntax", Proposal({"a.py": TEXT.format(2)}, (start.id,), "x"), start)
    assert isinstance(child, Program)
    assert (child.parents, child.generation, child.proposer) == ((start.id,), 1, "syntax")
    assert child.id == program_id(child.files) != start.id


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (TEXT.format(1), Refusal.UNCHANGED),
        (TEXT.format("1  # a remark"), Refusal.DUPLICATE),
        (TEXT.format(2).replace("return x", "return 9"), Refusal.FROZEN),
        (TEXT.format(2).replace("# EVOLVE-BLOCK-END\n", ""), Refusal.FROZEN),
        (TEXT.format("1" * 2000), Refusal.LARGE),
    ],
)
def test_refusals(admission: Admission, start: Program, text: str, refusal: Refusal) -> None:
    assert admission.admit("syntax", Proposal({"a.py": text}, (start.id,)), start) is refusal


def test_a_missing_file_is_refused(admission: Admission, start: Program) -> None:
    assert admission.admit("syntax", Proposal({}, (start.id,)), start) is Refusal.FROZEN


def test_the_same_tree_twice_is_a_duplicate_until_it_is_forgotten(
    admission: Admission, start: Program
) -> None:
    proposal = Proposal({"a.py": TEXT.format(3)}, (start.id,))
    child = admission.admit("syntax", proposal, start)
    assert isinstance(child, Program)
    assert admission.admit("syntax", proposal, start) is Refusal.DUPLICATE
    admission.forget(child)
    assert isinstance(admission.admit("syntax", proposal, start), Program)


def test_ids_depend_on_names_and_contents_alone() -> None:
    assert program_id({"a": "1", "b": "2"}) == program_id({"b": "2", "a": "1"})
    assert program_id({"a": "12"}) != program_id({"a1": "2"})
