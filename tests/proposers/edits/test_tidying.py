import pytest

from breeder.proposers.edits.tidying import tidied

PYTHON = """\
# EVOLVE-BLOCK-START
def score(a, b):
    gap = abs(a - b)
    value = -0.5 * a
    value = value + 0.3 * gap
    value = 2.0 * b
    return value
# EVOLVE-BLOCK-END
"""
CPP = """\
float f(float a, float b)
{
    // EVOLVE-BLOCK-START
    float x;
    x = a * 2.0f;
    x = b + fabs(a);
    return x;
    // EVOLVE-BLOCK-END
}
"""


def python(body: str) -> str:
    text = "def f(a, b):\n" + "".join(f"    {line}\n" for line in body.split("; "))
    found = tidied(text.encode(), "python", whole=True).decode()
    return "; ".join(line[4:] for line in found.splitlines()[1:])


def test_all_that_a_new_assignment_made_dead_goes() -> None:
    found = tidied(PYTHON.encode(), "python", whole=False).decode()
    assert "value = 2.0 * b\n    return value" in found
    assert "0.5" not in found
    assert "0.3" not in found
    assert "gap = abs(a - b)" in found  # never read, but not assigned anew either


def test_assignments_of_c_go_as_well() -> None:
    found = tidied(CPP.encode(), "cpp", whole=False).decode()
    assert "2.0f" not in found
    assert "    float x;\n    x = b + fabs(a);\n" in found


@pytest.mark.parametrize(
    "kept",
    [
        "x = a; y = x; x = b; return x + y",  # read in between
        "x = a; x = x + b; return x",  # read by the assignment itself
        "x = a; x += b; return x",
        "x = a.pop(); x = b; return x",  # has a side effect
        "x = a; g(); x = b; return x",  # somebody else may read it
        "x = a; x = g(b); return x",
        "x[0] = a; x[0] = b; return x",
        "x = y = a; x = b; return x",
        "x = a",
    ],
)
def test_what_may_matter_stays(kept: str) -> None:
    assert python(kept) == kept


def test_branches_are_not_looked_into() -> None:
    text = "def f(a):\n    x = 1\n    if a:\n        x = 2\n    return x\n"
    assert tidied(text.encode(), "python", whole=True) == text.encode()


def test_frozen_text_stays() -> None:
    text = "def f(a):\n    x = a\n    x = 2\n    return x\n"
    text += "# EVOLVE-BLOCK-START\n# EVOLVE-BLOCK-END\n"
    assert tidied(text.encode(), "python", whole=False) == text.encode()


def test_text_without_a_grammar_stays() -> None:
    assert tidied(b"x = 1\nx = 2\n", "text", whole=True) == b"x = 1\nx = 2\n"


def test_a_statement_that_shares_its_line_stays() -> None:
    text = b"def f(a):\n    x = a; x = 2\n    return x\n"
    assert tidied(text, "python", whole=True) == text
