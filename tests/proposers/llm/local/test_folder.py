"""Which file a model's name, path or hub name stands for."""

from dataclasses import replace
from pathlib import Path

import pytest

from breeder.errors import ConfigError
from breeder.proposers.llm.local import catalogue, folder
from breeder.proposers.llm.local.catalogue import DEFAULT, MODELS, lookup
from breeder.proposers.llm.local.folder import hub_folder, model_folder, resolve


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BREEDER_MODELS", str(tmp_path))
    return tmp_path


def small(monkeypatch: pytest.MonkeyPatch, name: str = DEFAULT) -> catalogue.Model:
    """Put a model of eight bytes into the catalogue's place."""
    model = replace(MODELS[name], size=8)
    changed = {**MODELS, name: model}
    monkeypatch.setattr(catalogue, "MODELS", changed)
    monkeypatch.setattr(folder, "MODELS", changed)
    return model


def test_every_model_is_pinned_by_version_and_hash() -> None:
    for model in MODELS.values():
        assert len(bytes.fromhex(model.sha256)) == 32
        assert all(len(one.split("==")) == 2 for one in model.packages)
        assert len(set(model.packages)) == len(model.packages)
        assert model.licence
        assert model.packager


def test_the_folder_is_the_environments_or_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BREEDER_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert model_folder() == Path("/somewhere/breeder/models")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert model_folder() == Path.home() / ".cache/breeder/models"
    monkeypatch.setenv("BREEDER_MODELS", "/elsewhere")
    assert model_folder() == Path("/elsewhere")


def test_a_model_that_was_not_pulled_names_the_command(models: Path) -> None:
    with pytest.raises(ConfigError, match="breeder models pull smollm2-135m"):
        resolve("smollm2-135m")
    with pytest.raises(ConfigError, match=f"breeder models pull {DEFAULT}"):
        resolve()


def test_nothing_stands_for_the_default(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(monkeypatch)
    (models / model.file).write_bytes(b"GGUF1234")
    assert resolve() == resolve(DEFAULT) == models / model.file


def test_a_file_of_another_size_is_not_the_model(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(monkeypatch)
    (models / model.file).write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match="not on this machine"):
        resolve(DEFAULT)


def test_any_gguf_file_can_be_named_by_its_path(models: Path) -> None:
    file = models / "own.bin"
    file.write_bytes(b"GGUF and more")
    assert resolve(str(file)) == file


@pytest.mark.parametrize("content", [b"", b"GGU", b"PK\x03\x04 a wheel"])
def test_another_file_is_refused(models: Path, content: bytes) -> None:
    file = models / "own.gguf"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="is not a GGUF file"):
        resolve(str(file))


@pytest.mark.parametrize("spec", ["./missing.gguf", "/no/such/file.gguf", "a/b.gguf"])
def test_a_missing_file_is_named(models: Path, spec: str) -> None:
    with pytest.raises(ConfigError, match=f"{spec} does not exist"):
        resolve(spec)


def test_an_unknown_name_lists_the_known_ones(models: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"'gpt' is not known; choose one of qwen2\.5-coder-0\.5b"
    ):
        resolve("gpt")
    with pytest.raises(ConfigError, match="not known"):
        lookup("")


def test_a_hub_name_stands_for_the_one_file_that_was_pulled(models: Path) -> None:
    with pytest.raises(ConfigError, match="breeder models pull owner/name"):
        resolve("owner/name")
    folder = hub_folder("owner/name")
    folder.mkdir(parents=True)
    (folder / "a.gguf").write_bytes(b"GGUF")
    assert resolve("owner/name") == folder / "a.gguf"
    (folder / "b.gguf").write_bytes(b"GGUF")
    with pytest.raises(ConfigError, match=r"several files \(a.gguf, b.gguf\)"):
        resolve("owner/name")
