from pathlib import Path

import pytest

from breeder import scaffold
from breeder.errors import TaskError
from breeder.task import load_native


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scaffold.new(tmp_path / "task")
    return tmp_path / "task"


def replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_fitness_is_higher_when_a_minimised_metric_is_lower(folder: Path) -> None:
    task = load_native(folder)
    assert task.fitness({"lateness": 1.0}) > task.fitness({"lateness": 2.0})
    with pytest.raises(KeyError):
        task.fitness({"other": 1.0})


def test_the_digest_follows_every_file_that_bears_on_a_score(folder: Path) -> None:
    digests = {load_native(folder).digest()}
    assert load_native(folder).digest() in digests
    replace(folder / "initial.py", "-1.0", "-2.0")
    digests.add(load_native(folder).digest())
    replace(folder / "evaluate.py", "JOBS = 30", "JOBS = 31")
    digests.add(load_native(folder).digest())
    (folder / "neighbour.py").write_text("x = 1\n")
    digests.add(load_native(folder).digest())
    replace(folder / "task.toml", "minutes = 2", "minutes = 3")
    digests.add(load_native(folder).digest())
    assert len(digests) == 5


def test_the_digest_ignores_notes(folder: Path) -> None:
    before = load_native(folder).digest()
    (folder / "README.md").write_text("changed")
    assert load_native(folder).digest() == before


@pytest.mark.parametrize(
    ("file", "old", "new", "line"),
    [
        (
            "task.toml",
            'files = ["initial.py"]',
            'files = ["absent.py"]',
            "task.toml: program.files: 'absent.py' does not exist",
        ),
        (
            "task.toml",
            'files = ["initial.py"]',
            'files = ["../initial.py"]',
            "task.toml: program.files: '../initial.py' is outside the task folder",
        ),
        (
            "task.toml",
            "[program]",
            'evaluator = "x"\n[program]',
            "task.toml: task.evaluator: unknown key",
        ),
        (
            "initial.py",
            "# EVOLVE-BLOCK-END",
            "#",
            "initial.py: EVOLVE-BLOCK-START is never closed by EVOLVE-BLOCK-END; put the markers",
        ),
        (
            "initial.py",
            "# EVOLVE-BLOCK-START",
            "#",
            "EVOLVE-BLOCK-END without a EVOLVE-BLOCK-START",
        ),
    ],
)
def test_mistakes_are_one_line(folder: Path, file: str, old: str, new: str, line: str) -> None:
    replace(folder / file, old, new)
    with pytest.raises(TaskError) as caught:
        load_native(folder)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_evaluator_is_told(folder: Path) -> None:
    (folder / "evaluate.py").unlink()
    with pytest.raises(TaskError, match=r"evaluator: 'evaluate\.py' does not exist; write it"):
        load_native(folder)


def test_a_file_that_is_not_utf8_is_told(folder: Path) -> None:
    (folder / "initial.py").write_bytes(b"# EVOLVE-BLOCK-START\n\xff\n# EVOLVE-BLOCK-END\n")
    with pytest.raises(TaskError, match=r"initial\.py: is not UTF-8 \(byte 21\)"):
        load_native(folder)
    (folder / "task.toml").write_bytes(b"\xff")
    with pytest.raises(TaskError, match=r"task\.toml: is not UTF-8"):
        load_native(folder)
