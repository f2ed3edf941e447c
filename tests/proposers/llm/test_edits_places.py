"""Edits in programs of several files, with other line ends, without markers, without a grammar."""

import pytest

from breeder.proposers.llm.edits import apply, repair_message
from breeder.proposers.llm.entries import entry_names
from breeder.proposers.llm.verdicts import Applied, Form, Reason, Rejected
from breeder.proposers.proposer import Grammar
from proposers.llm.recorded_answers import FOLDER

START, END = "# EVOLVE-BLOCK-START\n", "# EVOLVE-BLOCK-END\n"
TWO = {
    "rules.py": f"{START}def rate(x):\n    return x + 1\n{END}",
    "lib/costs.py": f"{START}def cost(x):\n    return x + 1\n{END}",
}
PYTHON = Grammar({"rules.py": "python", "lib/costs.py": "python", "a.py": "python"})


def edit(old: str, new: str) -> str:
    return f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def applied(
    answer: str, files: dict[str, str], grammar: Grammar = PYTHON, **more: object
) -> Applied:
    form = more.pop("form", Form.DIFF)
    result = apply(answer, parent_files=files, grammar=grammar, form=form, **more)  # type: ignore[arg-type]
    assert isinstance(result, Applied), result
    return result


def rejected(
    answer: str, files: dict[str, str], grammar: Grammar = PYTHON, **more: object
) -> Rejected:
    form = more.pop("form", Form.DIFF)
    result = apply(answer, parent_files=files, grammar=grammar, form=form, **more)  # type: ignore[arg-type]
    assert isinstance(result, Rejected), result
    return result


def test_the_file_is_found_by_its_text_or_by_its_name() -> None:
    by_text = applied(edit("def cost(x):\n    return x + 1", "def cost(x):\n    return x"), TWO)
    assert by_text.files["rules.py"] == TWO["rules.py"]
    assert "return x\n" in by_text.files["lib/costs.py"]
    both = edit("    return x + 1", "    return x + 2")
    assert rejected(both, TWO).reason is Reason.AMBIGUOUS
    named = applied("lib/costs.py\n" + both, TWO)
    assert "x + 2" in named.files["lib/costs.py"]
    assert named.files["rules.py"] == TWO["rules.py"]


def test_a_function_goes_to_the_file_that_has_it() -> None:
    result = applied("```python\ndef cost(x):\n    return 7\n```", TWO, form=Form.FUNCTION)
    assert "return 7" in result.files["lib/costs.py"]
    assert result.files["rules.py"] == TWO["rules.py"]


@pytest.mark.parametrize(
    "answer",
    [
        edit("    return x + 1", "    y = x\n    return y"),
        "def rate(x):\n    y = x\n    return y\n",
        f"```python\n{START}def rate(x):\n    y = x\n    return y\n{END}```",
    ],
)
def test_line_ends_of_the_parent_are_kept(answer: str) -> None:
    parent = TWO["rules.py"].replace("\n", "\r\n")
    child = applied(answer, {"rules.py": parent}).files["rules.py"]
    assert "    y = x\r\n    return y\r\n" in child
    assert child.count("\n") == child.count("\r\n")


def test_unmarked_files_are_evolvable_as_a_whole_when_the_task_says_so() -> None:
    files = {"a.py": "import math\n\n\ndef f(x):\n    return math.sqrt(x)\n"}
    answer = "```python\nimport math\n\n\ndef f(x):\n    return math.cbrt(x)\n```"
    result = applied(answer, files, Grammar({"a.py": "python"}, whole=True), form=Form.FILE)
    assert result.files["a.py"] == answer.removeprefix("```python\n").removesuffix("```")
    assert rejected(answer, files, form=Form.FILE).reason is Reason.FROZEN


def test_languages_without_a_grammar_are_edited_as_text() -> None:
    files = {"a.rs": "// EVOLVE-BLOCK-START\nfn f() -> i32 { 1 }\n// EVOLVE-BLOCK-END\n"}
    grammar = Grammar({"a.rs": "rust"})
    result = applied("```rust\nfn f() -> i32 { 2 }\n```", files, grammar, form=Form.BLOCK)
    assert result.files["a.rs"].split("\n")[1] == "fn f() -> i32 { 2 }"
    assert not result.parses
    assert rejected("Return two instead.", files, grammar).reason is Reason.PROSE


def test_several_blocks_take_functions_one_by_one() -> None:
    text = f"{START}def f(x):\n    return x\n{END}FROZEN = 1\n{START}def g(x):\n    return x\n{END}"
    answer = "```python\ndef g(x):\n    return 2 * x\n\ndef f(x):\n    return 3 * x\n```"
    child = applied(answer, {"a.py": text}, form=Form.BLOCK).files["a.py"]
    assert child.index("3 * x") < child.index("FROZEN") < child.index("2 * x")


def test_entries_named_by_the_task_are_kept() -> None:
    files = {"a.py": f"{START}def f(x):\n    return g(x)\n\n\ndef g(x):\n    return x\n{END}"}
    answer = f"```python\n{START}def f(x):\n    return -x\n{END}```"
    assert "def g" not in applied(answer, files, form=Form.BLOCK).files["a.py"]
    # With g named, the block is read as a rewrite of f alone.
    assert "def g" in applied(answer, files, form=Form.BLOCK, entries=("g",)).files["a.py"]


@pytest.mark.parametrize(
    ("name", "language", "expected"),
    [
        ("packing.py", "python", {"priority"}),
        ("solver.py", "python", {"search", "weight"}),
        ("tiling.c", "c", {"tile_rows"}),
        ("scheduling.py", "python", set()),
    ],
)
def test_entry_names(name: str, language: str, expected: set[str]) -> None:
    files = {name: (FOLDER / "parents" / name).read_text(encoding="utf-8")}
    assert entry_names(files, Grammar({name: language})) == expected


def test_repair_message_shows_the_nearest_lines() -> None:
    files = {"a.py": f"{START}def f(x):\n    total = 3 * x\n    return total\n{END}"}
    refused = rejected(edit("    totals = 3 * xs", "    total = 1"), files)
    assert refused.reason is Reason.NOT_FOUND
    assert "        total = 3 * x" in repair_message(refused)
    assert "SEARCH" in repair_message(refused)


def test_repair_message_shows_where_the_code_breaks() -> None:
    files = {"a.py": f"{START}def f(x):\n    return x\n{END}"}
    refused = rejected("```python\ndef f(x):\n    y = x +* 2\n    return y\n```", files)
    assert refused.reason is Reason.SYNTAX
    assert "line 2" in repair_message(refused)
    assert "y = x +* 2" in repair_message(refused)
