import pytest

from breeder.report.constants import Constant, changed_constants


def test_constants_of_equal_structure():
    before = "def f(x):\n    weight = 0.5\n    return weight * x + 3\n"
    after = "def f(x):\n    weight = 0.75\n    return weight * x + 4e-2\n"
    assert changed_constants(before, after) == (
        Constant(2, "weight", "0.5", "0.75"),
        Constant(3, "return weight * x + 4e-2", "3", "4e-2"),
    )


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("a = 1\n", "a = -1\n", ("1", "-1")),
        ("f(-2.5, x)\n", "f(2.5, x)\n", ("-2.5", "2.5")),
        ("int tile = 16;\n", "int tile = 64;\n", ("16", "64")),
        ("x = 1.0f;\n", "x = 2.0f;\n", ("1.0f", "2.0f")),
        ("return -1\n", "return 0x1F\n", ("-1", "0x1F")),
    ],
)
def test_signs_and_suffixes(before, after, change):
    (constant,) = changed_constants(before, after) or ()
    assert (constant.before, constant.after) == change


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = x - 1\n", "a = x + 1\n"),
        ("a = x1\n", "a = x2\n"),
        ("a = 1\n", "a = b\n"),
        ("a = 1\n", "a = 1\nb = 2\n"),
        ("a = x -1\n", "a = x 1\n"),
    ],
)
def test_other_changes_are_structure(before, after):
    assert changed_constants(before, after) is None


def test_equal_texts_have_no_changed_constants():
    assert changed_constants("a = 1\n", "a = 1\n") == ()
