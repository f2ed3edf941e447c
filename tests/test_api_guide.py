"""The examples in docs/api.md run as they stand."""

import importlib.util
import re
from pathlib import Path

import pytest

from breeder import scaffold

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_examples_run(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    scaffold.new(Path("my-task"))
    path = tmp_path / f"example_{number}.py"
    path.write_text(BLOCKS[number])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.result.status == "finished"
    assert Path(module.result.path, "run.db").is_file()
    if number == 0:
        assert module.page.is_file()
        assert (module.folder / "reproduce.py").is_file()
        assert "True" in capsys.readouterr().out or not module.result.improved
    if number == 2:
        rows = {row.name: row for row in module.result.summary().proposers}
        assert rows["model:scripted"].evaluations == 1


def test_there_are_examples() -> None:
    assert len(BLOCKS) == 3
