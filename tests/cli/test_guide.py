"""The pages of the guide say what is so: their examples run, their tables are complete."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import BaseModel
from tests.cli.conftest import Breeder

from breeder import task_file
from breeder.checking import check_folder
from breeder.config import BudgetConfig, RunConfig, SearchConfig, load_config
from breeder.core import FailureKind
from breeder.report.records import (
    BaselineSummary,
    ProgramSummary,
    ProposerSummary,
    RaceSummary,
    RunSummary,
)

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: str) -> Iterator[tuple[str, str, str]]:
    """Language, path and text of the code blocks of a page."""
    for match in BLOCK.finditer((DOCS / page).read_text(encoding="utf-8")):
        yield match[1], match[2], match[3]


def examples() -> dict[str, dict[str, str]]:
    """Folder -> file -> text of the examples in tasks.md."""
    found: dict[str, dict[str, str]] = {}
    for _, path, text in blocks("tasks.md"):
        folder, _, name = path.partition("/")
        found.setdefault(folder, {})[name] = text
    return found


@pytest.mark.parametrize("name", examples())
def test_the_example_tasks_pass_their_check(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for file, text in examples()[name].items():
        (folder / file).write_text(text)
    report = check_folder(str(folder))
    assert report.passed, report.lines()
    # x - x**3 / 6 is farthest from the sine at 3: by 1.5 + sin 3.
    assert report.evaluations["search"].metrics["error"] == pytest.approx(1.6411, abs=1e-4)


def test_the_three_ways_to_run_a_program_have_an_example() -> None:
    assert {folder: len(files) for folder, files in examples().items()} == {
        "sine": 3,
        "sine_c": 3,
        "sine_sh": 3,
    }


def keys(section: type[BaseModel]) -> set[str]:
    return set(section.model_fields)


def named(page: str) -> set[str]:
    """Everything that a page sets in code type."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", code)}


def test_every_key_of_a_task_file_is_explained() -> None:
    sections = [
        value
        for value in vars(task_file).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel
    ]
    assert len(sections) > 10
    wanted = set().union(*map(keys, sections))
    assert wanted <= named("tasks.md")


def test_the_limits_have_the_defaults_that_the_page_states() -> None:
    text = (DOCS / "tasks.md").read_text(encoding="utf-8")
    for name, field in task_file.LimitsSection.model_fields.items():
        assert f"| `{name}` | `{field.default}` |" in text


def test_every_setting_and_every_key_of_show_is_explained() -> None:
    text = (DOCS / "runs.md").read_text(encoding="utf-8")
    (settings,) = [block for language, _, block in blocks("runs.md") if language == "toml"]
    words = named("runs.md") | set(re.findall(r"\w+", settings))
    for section in (RunConfig, BudgetConfig, SearchConfig):
        assert keys(section) <= words
    for record in (RunSummary, ProgramSummary, ProposerSummary, BaselineSummary, RaceSummary):
        assert set(record.__dataclass_fields__) <= words, record
    assert {str(kind) for kind in FailureKind} <= set(re.findall(r"`([a-z-]+)`", text))


def test_every_option_of_run_is_explained(breeder: Breeder) -> None:
    options = set(re.findall(r"--[a-z-]+", breeder("run", "--help").out)) - {"--help"}
    assert options
    text = (DOCS / "runs.md").read_text(encoding="utf-8")
    assert {option for option in options if option not in text} == set()


def test_the_configuration_file_of_the_page_is_valid(tmp_path: Path) -> None:
    (text,) = [text for language, _, text in blocks("runs.md") if language == "toml"]
    (tmp_path / "run.toml").write_text(text)
    config = load_config(tmp_path / "run.toml", {})
    assert config.seed == 1
    assert config.search.islands == 4


def test_the_queries_of_the_page_run_on_a_real_store(finished_once: Path) -> None:
    queries = [text for language, _, text in blocks("store.md") if language == "sql"]
    assert len(queries) == 4
    uri = f"file:{finished_once}/run/run.db?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        rises, failures, line, races = (connection.execute(query).fetchall() for query in queries)
        count = "SELECT count(*) FROM evaluation WHERE failure_kind IS NOT NULL"
        (failed,) = connection.execute(count).fetchone()
    assert sum(row[2] for row in failures) == failed
    assert line[0][1] == "initial"
    assert races == []  # the task is exact
    if rises:
        assert [row[1] for row in line[1:]][-1] == rises[-1][2]
