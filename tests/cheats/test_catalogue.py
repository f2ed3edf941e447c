"""The catalogue itself: complete, well-formed, and what the document says."""

from collections import Counter
from pathlib import Path

import pytest

from breeder.core import FailureKind
from breeder.errors import TaskError
from breeder.verification.cheats import catalogue
from breeder.verification.cheats.catalogue import START, Chapter, chapters, source_files
from breeder.verification.cheats.document import document

CHAPTERS = chapters()
DOCUMENT = Path(__file__).parents[2] / "docs" / "cheats.md"


def test_names_are_unique() -> None:
    names = [one.name for chapter in CHAPTERS for one in (*chapter.cheat, *chapter.honest)]
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_every_task_has_both_kinds() -> None:
    assert all(chapter.cheat and chapter.honest for chapter in CHAPTERS)
    assert len({chapter.task for chapter in CHAPTERS}) == len(CHAPTERS)


def test_there_are_thirty_honest_variants() -> None:
    assert sum(len(chapter.honest) for chapter in CHAPTERS) >= 30


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.task)
def test_every_program_keeps_the_frozen_text(chapter: Chapter) -> None:
    task = chapter.load_task()
    name = next(iter(task.files))
    before, after = _frame(task.files[name])
    codes = [chapter.region_of(one) for one in chapter.cheat]
    for code in [*codes, *(one.code for one in chapter.honest)]:
        text = source_files(task, code)[name]
        assert text.startswith(before)
        assert text.endswith(after)
        assert text != task.files[name]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.task)
def test_every_cheat_says_why_and_is_compared_with_something(chapter: Chapter) -> None:
    honest = {one.name for one in chapter.honest}
    for cheat in chapter.cheat:
        assert len(cheat.tries) > 20
        assert len(cheat.why) > 20
        assert cheat.like in {"", START, *honest}
        assert cheat.like or cheat.kinds
        assert set(cheat.kinds) <= {*FailureKind} - {FailureKind.EVALUATOR}


def test_the_document_is_generated_from_the_catalogue() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(CHAPTERS)


def test_a_damaged_catalogue_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_task").mkdir()
    (tmp_path / "some_task" / "broken.toml").write_text("task = 3\n")
    monkeypatch.setattr(catalogue, "PROGRAMS", tmp_path)
    with pytest.raises(TaskError, match=r"broken\.toml: is damaged"):
        chapters()


def _frame(text: str) -> tuple[str, str]:
    begin = text.index("\n", text.index("EVOLVE-BLOCK-START")) + 1
    end = text.rindex("\n", 0, text.index("EVOLVE-BLOCK-END")) + 1
    return text[:begin], text[end:]
