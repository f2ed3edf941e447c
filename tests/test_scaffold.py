from pathlib import Path

import pytest

from breeder import scaffold
from breeder.errors import UserError
from breeder.task_formats import load


def test_the_folder_loads_under_its_own_name(tmp_path: Path) -> None:
    scaffold.new(tmp_path / "my task!")
    task = load(tmp_path / "my task!")
    assert task.name == "my-task"
    assert task.file.held_out is not None
    assert len(task.regions("initial.py")) == 1
    written = sorted(path.name for path in task.folder.iterdir())
    assert written == ["README.md", "evaluate.py", "initial.py", "task.toml"]
    assert all("TASK_NAME" not in path.read_text() for path in task.folder.iterdir())


def test_an_empty_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    scaffold.new(tmp_path / "empty")
    assert load(tmp_path / "empty").name == "empty"


def test_a_folder_with_content_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty; choose a new path"):
        scaffold.new(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        scaffold.new(tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written"):
        scaffold.new(tmp_path / "file" / "below")


def test_a_name_without_letters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no letter or digit"):
        scaffold.new(tmp_path / "...!")
