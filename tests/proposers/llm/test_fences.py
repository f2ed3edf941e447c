import pytest

from breeder.proposers.llm.fences import clean, clipped, fenced, line, quoted


@pytest.mark.parametrize("inside", ["", "x = 1", "```", "a\n`````python\n````\n", "`" * 40])
def test_a_fence_is_longer_than_any_run_of_ticks_inside(inside: str) -> None:
    block = fenced(inside, "python")
    fence = block[: block.index("p")]
    assert set(fence) == {"`"}
    assert len(fence) >= 3
    assert fence not in inside
    assert block.endswith(f"{fence}\n")
    assert block.split("\n")[-2] == fence


def test_clipping_keeps_the_head_and_more_of_the_tail() -> None:
    text = "".join(f"{n:04}" for n in range(1000))
    short = clipped(text, 400)
    assert len(short) <= 400
    assert short.startswith("0000")
    assert short.endswith("0999")
    assert "3600 characters left out" in short
    assert clipped("abc", 3) == "abc"


def test_control_characters_and_terminal_sequences_go() -> None:
    assert clean("a\x1b[1;31mb\x1b]c\x00\x07\r\nd\re\u202ef\ud800") == "abc\nd\nef?"
    assert clean("tab\tand\nline") == "tab\tand\nline"


def test_a_line_is_one_short_line() -> None:
    assert line("  two\n lines\t ", 40) == "two lines"
    assert line("```python```", 40) == "``python``"
    assert line("word " * 40, 20) == "word word word wo..."


def test_large_outputs_are_cut_before_they_are_read() -> None:
    block = quoted("log", "a" * 1000 + "b" * 30_000_000 + "c" * 1000, 400)
    assert len(block) < 500
    assert block.startswith("log:\n```\naaa")
    assert block.endswith("ccc\n```\n")
