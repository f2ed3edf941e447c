"""The task in the README is real: it is written out and checked, initial program and all."""

import re
from pathlib import Path

from breeder.checking import check
from breeder.task_formats import load

README = Path(__file__).parents[1] / "README.md"


def test_the_task_in_the_readme_runs(tmp_path: Path) -> None:
    blocks = re.findall(
        r"```(?:python|toml)\n(# (\w+\.(?:py|toml)).*?)```", README.read_text(), re.S
    )
    for text, name in blocks:
        (tmp_path / name).write_text(text)
    assert {name for _, name in blocks} == {"initial.py", "evaluate.py", "task.toml"}
    report = check(load(str(tmp_path)), "bubblewrap")
    assert report.passed, list(report.lines())


def test_the_task_in_the_readme_has_at_most_25_lines() -> None:
    blocks = re.findall(
        r"```(?:python|toml)\n# \S+\.(?:py|toml).*?\n(.*?)```", README.read_text(), re.S
    )
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    assert len(lines) <= 25
