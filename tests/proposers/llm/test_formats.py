import re

import pytest

from breeder.proposers.llm.edits import Applied, apply
from breeder.proposers.llm.formats import FORMS, answer_format
from breeder.proposers.proposer import Grammar


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("language", ["python", "c", "cpp", "cuda", "rust"])
def test_the_example_is_an_answer_that_can_be_used(form: str, language: str) -> None:
    text = answer_format(form, language)  # type: ignore[arg-type]
    shown = "python" if language == "rust" else language
    match = re.search(r"```\w+\n(.*?)```\nan answer is:\n(.*)", text, re.DOTALL)
    assert match
    comment = "#" if shown == "python" else "//"
    start, end = (f"{comment} EVOLVE-BLOCK-{word}\n" for word in ("START", "END"))
    program, answer = start + match[1] + end, match[2]
    if form == "file":  # the example leaves the marker lines of a file out
        answer = answer.replace(f"```{shown}\n", f"```{shown}\n{start}").replace(
            "\n```\n", f"\n{end}```\n"
        )
    got = apply(answer, parent_files={"area": program}, grammar=Grammar({"area": shown}), form=form)
    assert isinstance(got, Applied), got
    assert "return width * height" in got.files["area"]
    assert "total" not in got.files["area"]


def test_the_format_of_a_run_never_changes() -> None:
    assert answer_format("diff", "python") == answer_format("diff", "python")
