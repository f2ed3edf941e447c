import pytest
from hypothesis import given
from hypothesis import strategies as st

from breeder.regions import MarkerError, evolvable, extract, find_regions, frozen_text, splice

TWO = (
    "a = 1\n# EVOLVE-BLOCK-START\nb = 2\n# EVOLVE-BLOCK-END\nc\n"
    "// EVOLVE-BLOCK-START\n// EVOLVE-BLOCK-END\n"
)


def test_regions_hold_the_lines_between_the_markers() -> None:
    assert extract(TWO, find_regions(TWO)) == ("b = 2\n", "")


def test_splice_keeps_frozen_text_and_ends_a_line() -> None:
    child = splice(TWO, find_regions(TWO), ["b = 3", "d\n"])
    assert extract(child, find_regions(child)) == ("b = 3\n", "d\n")
    assert frozen_text(child, find_regions(child)) == frozen_text(TWO, find_regions(TWO))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x\n", "no EVOLVE-BLOCK-START"),
        ("EVOLVE-BLOCK-START\n", "never closed"),
        ("EVOLVE-BLOCK-END\n", "line 1"),
        ("EVOLVE-BLOCK-START\nEVOLVE-BLOCK-START\n", "line 2"),
    ],
)
def test_damaged_markers_are_named(text: str, problem: str) -> None:
    with pytest.raises(MarkerError, match=problem):
        find_regions(text)


def test_a_replacement_cannot_move_the_markers() -> None:
    with pytest.raises(MarkerError):
        splice(TWO, find_regions(TWO), ["# EVOLVE-BLOCK-END\n", ""])


def test_unmarked_text_is_evolvable_only_on_request() -> None:
    assert extract("x = 1\n", evolvable("x = 1\n", whole=True)) == ("x = 1\n",)
    with pytest.raises(MarkerError):
        evolvable("x = 1\n")


lines = st.text(alphabet="ab =\n1", max_size=30)


@given(lines, lines, lines, lines)
def test_any_new_block_leaves_the_frozen_text_alone(
    before: str, block: str, after: str, new: str
) -> None:
    before = before + "\n"
    block = block and block + "\n"
    text = f"{before}# EVOLVE-BLOCK-START\n{block}# EVOLVE-BLOCK-END\n{after}"
    child = splice(text, find_regions(text), [new])
    assert frozen_text(child, find_regions(child)) == frozen_text(text, find_regions(text))
