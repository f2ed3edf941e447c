"""Fetching from a model hub through its own client."""

import importlib.util
from pathlib import Path

import pytest

from breeder.errors import ConfigError
from breeder.proposers.llm.local.folder import hub_folder, resolve
from breeder.proposers.llm.local.hub import choose, pull_from_hub
from breeder.proposers.llm.local.wheels import PullError


class Client:
    """A hub with one repository."""

    def __init__(self, *files: str) -> None:
        self.files = list(files)

    def list_repo_files(self, repository: str) -> list[str]:
        if repository != "owner/name":
            raise RuntimeError(f"no repository\n{repository}")
        return self.files

    def hf_hub_download(self, repository: str, file: str, *, local_dir: str) -> str:
        path = Path(local_dir) / file
        path.parent.mkdir(parents=True)
        path.write_bytes(b"GGUF")
        return str(path)


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREEDER_MODELS", str(tmp_path))


def test_the_file_can_be_used_under_the_repositorys_name() -> None:
    said: list[str] = []
    path = pull_from_hub("owner/name", said.append, client=Client("README.md", "m.gguf"))
    assert path == hub_folder("owner/name") / "m.gguf"
    assert resolve("owner/name") == path
    assert "not pinned" in said[0]


def test_a_file_can_be_named() -> None:
    client = Client("a-q4_k_m.gguf", "b.gguf")
    assert pull_from_hub("owner/name:b.gguf", print, client=client).name == "b.gguf"


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["x.gguf", "x.json"], "x.gguf"),
        (["m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-f16.gguf"], "m-Q4_K_M.gguf"),
        (["m-q8_0.gguf", "m-f16.gguf"], "m-q8_0.gguf"),
    ],
)
def test_the_usual_quantisation_is_chosen(files: list[str], chosen: str) -> None:
    assert choose(files) == chosen


def test_no_file_or_no_telling_which_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"no \.gguf file"):
        choose(["README.md"])
    with pytest.raises(ConfigError, match=r"name one of its files after a colon: a\.gguf, b\.gguf"):
        choose(["b.gguf", "a.gguf"])


def test_a_failure_is_one_line() -> None:
    with pytest.raises(PullError, match="other/name could not be fetched: no repository other"):
        pull_from_hub("other/name", print, client=Client())


def test_a_missing_client_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install huggingface_hub"):
        pull_from_hub("owner/name", print)
