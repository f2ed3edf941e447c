"""The example of "Timing native code" in the guide runs as it stands."""

import textwrap
from pathlib import Path

import pytest

from breeder.core import NativeFunction
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.kernels import TrustedProgram

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"
SIGNATURES = {"square": NativeFunction(("float32[]", "inout float32[]", "int64"))}


def square(x, y, size):
    y[:size] = x * x


def cube(x, y, size):
    y[:size] = x * x * x


class Candidate(TrustedProgram):
    """A candidate with a trusted neighbour."""

    to_beat = None

    def beside(self, files):
        assert set(files) == {"initial.c"}
        return TrustedProgram(SIGNATURES, {"square": square})


@pytest.fixture
def example(tmp_path):
    section = PAGE.read_text(encoding="utf-8").split("## Timing native code")[1]
    begin = section.index("    from pathlib import Path")
    lines = []
    for line in section[begin:].splitlines():
        if line and not line.startswith("    "):
            break
        lines.append(line)
    (tmp_path / "initial.c").write_text("", encoding="utf-8")
    names = {"__file__": str(tmp_path / "evaluate.py")}
    exec(compile(textwrap.dedent("\n".join(lines)), "tasks.md", "exec"), names)
    return names


def test_the_example_scores_a_right_program(example):
    result = example["evaluate"](Candidate(SIGNATURES, {"square": square}))
    low, high = result.intervals["speedup"]
    assert low <= result.metrics["speedup"] <= high
    assert "40000: " in result.artifacts["shapes"]


def test_the_example_refuses_a_wrong_one(example):
    with pytest.raises(InvalidAnswerError, match="square on 1: y"):
        example["evaluate"](Candidate(SIGNATURES, {"square": cube}))
