import sysconfig

import pytest

from breeder.errors import UserError
from breeder.training.trainer.text import documents


def test_folders_are_read_deeply_in_an_order_of_the_seed(text):
    (text / "deep").mkdir()
    (text / "deep" / "more.txt").write_text("deeper text")
    (text / ".hidden").write_text("hidden text")
    (text / "picture.png").write_bytes(b"\x89PNG\0\xff")
    (text / "empty.txt").write_text(" \n")
    first = documents([text], 10**6, seed=1)
    assert len(first) == 7
    assert "deeper text" in first
    assert first == documents([text], 10**6, seed=1)
    assert first != documents([text], 10**6, seed=2)
    assert sorted(first) == sorted(documents([text], 10**6, seed=2))


def test_reading_stops_at_the_limit(text):
    size = len("".join(documents([text], 10**6, seed=1)))
    assert size // 2 <= len("".join(documents([text], size // 2, seed=1)).encode()) < size


def test_without_paths_the_environment_is_read(tmp_path, monkeypatch):
    packages = tmp_path / "python" / "site-packages"
    packages.mkdir(parents=True)
    (tmp_path / "python" / "library.py").write_text("import library")
    (packages / "package.py").write_text("import package")
    (packages / "data.json").write_text("{}")
    where = {"stdlib": str(tmp_path / "python"), "purelib": str(packages)}
    monkeypatch.setattr(sysconfig, "get_path", where.get)
    assert sorted(documents([], 10**6, seed=0)) == ["import library", "import package"]


@pytest.mark.slow
def test_this_environment_holds_python_sources():
    texts = documents([], 200_000, seed=0)
    assert any("import" in one for one in texts)
    assert texts == documents([], 200_000, seed=0)


def test_what_is_no_text_is_refused(tmp_path):
    with pytest.raises(UserError, match="none does not exist"):
        documents([tmp_path / "none"], 100, seed=0)
    (tmp_path / "data.bin").write_bytes(b"\0\1\2")
    with pytest.raises(UserError, match=r"data\.bin: is no UTF-8 text"):
        documents([tmp_path / "data.bin"], 100, seed=0)
    with pytest.raises(UserError, match="holds no text"):
        documents([tmp_path], 100, seed=0)
