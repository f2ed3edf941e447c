import functools
import io
import math
from collections.abc import Callable
from math import sqrt as root
from typing import Any

import numpy as np
import pytest

from breeder.capture import capture, capture_program
from breeder.errors import UserError

SCALE = 2.0
TABLE = {"a": [1, 2], "b": (None, "x")}
STREAM = io.StringIO()
ARRAY = np.zeros(2)


class Box:
    """Holds a side."""

    def area(self, side: "Undefined") -> float:  # type: ignore[name-defined]  # noqa: F821
        return SCALE * side * side


def helper(x: float) -> float:
    return Box().area(x) + root(x)


def user(x: "Undefined", y: float = SCALE) -> float:  # type: ignore[name-defined]  # noqa: F821
    math = [helper(x)]  # hides the module
    return sum(math) + len(TABLE["a"]) + y


def modules(x: float) -> float:
    return math.floor(x) + np.float64(x).item()


@functools.cache
def recursive(n: int) -> int:
    return 1 if n == 0 else n * recursive(n - 1)


def cached(n: int) -> int:
    return recursive(n)


def run(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(text, "captured", "exec"), names)
    return names


def test_a_function_comes_with_what_it_uses() -> None:
    names = run(capture([user]))
    assert names["user"](4.0) == user(4.0)
    assert "math" not in names


def test_modules_become_imports() -> None:
    assert "import math\n" in capture([modules])
    assert "import numpy as np\n" in capture([modules])
    assert run(capture([modules]))["modules"](2.5) == 4.5


def test_several_functions_share_what_they_use() -> None:
    text = capture([user, helper, cached])
    assert text.count("def helper") == 1
    assert "@functools.cache\ndef recursive" in text
    assert run(text)["cached"](4) == 24


def test_values_of_the_functions_around_it_count() -> None:
    offset = 3

    def inner(x: int) -> int:
        return x + offset

    assert run(capture([inner]))["inner"](1) == 4


def test_of_a_program_only_the_function_itself_is_marked() -> None:
    text = capture_program(helper)
    block = text.partition("# EVOLVE-BLOCK-START\n")[2].partition("# EVOLVE-BLOCK-END")[0]
    assert block.startswith("def helper")
    assert "class Box" not in block
    assert run(text)["helper"](4.0) == helper(4.0)


def open_stream() -> str:
    return STREAM.read()


def of_an_array() -> float:
    return float(ARRAY.sum())


async def later() -> None:
    return None


def made_in_a_string() -> Any:
    names: dict[str, Any] = {}
    exec("def typed(): return 1", names)
    return names["typed"]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (open_stream, "'STREAM' is a StringIO"),
        (of_an_array, "'ARRAY' is a ndarray"),
        (later, "asynchronous"),
        (lambda x: x, "lambda"),
        (functools.partial(helper, 1.0), "no plain function"),
        (Box().area, "no plain function"),
        (made_in_a_string(), "no source text"),
    ],
)
def test_what_cannot_be_written_down_is_refused_in_one_line(
    function: Callable[..., Any], words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        capture([function])
    assert "\n" not in str(caught.value)


def test_two_meanings_of_one_name_are_refused() -> None:
    def make(value: int) -> tuple[Callable[[], int], Callable[[], int]]:
        def one() -> int:
            return value

        def two() -> int:
            return value

        return one, two

    first, second = make(1)[0], make(2)[1]
    with pytest.raises(UserError, match="two things"):
        capture([first, second])
