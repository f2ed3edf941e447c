import json

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
safetensors = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")

from breeder.errors import ConfigError  # noqa: E402
from breeder.models import files  # noqa: E402


def parts(folder):
    return safetensors.load_file(folder / files.WEIGHTS)


def test_a_written_folder_reads_back_the_same(decoder, tokens, tmp_path):
    files.write_folder(decoder, tmp_path / "deep" / "model", {"eos_token_id": 3})
    read = files.read_folder(tmp_path / "deep" / "model")
    assert read.config == decoder.config
    assert torch.equal(read(tokens), decoder(tokens))
    assert files.read_json(tmp_path / "deep" / "model" / files.CONFIG)["eos_token_id"] == 3


def test_weights_take_the_type_that_is_asked_for(decoder, tmp_path):
    files.write_folder(decoder.to(torch.bfloat16), tmp_path)
    assert files.read_json(tmp_path / files.CONFIG)["dtype"] == "bfloat16"
    kinds = {one.dtype for one in files.read_folder(tmp_path, torch.bfloat16).parameters()}
    assert kinds == {torch.bfloat16}
    assert {one.dtype for one in files.read_folder(tmp_path).parameters()} == {torch.float32}


def test_weights_in_several_files_are_put_together(decoder, tokens, tmp_path):
    files.write_folder(decoder, tmp_path)
    tensors = parts(tmp_path)
    (tmp_path / files.WEIGHTS).unlink()
    names = sorted(tensors)
    where = {name: f"part-{number % 2}.safetensors" for number, name in enumerate(names)}
    for file in set(where.values()):
        chosen = {name: tensors[name] for name in names if where[name] == file}
        safetensors.save_file(chosen, tmp_path / file)
    (tmp_path / files.INDEX).write_text(json.dumps({"weight_map": where}))
    assert torch.equal(files.read_folder(tmp_path)(tokens), decoder(tokens))
    (tmp_path / "part-1.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"part-1\.safetensors is missing"):
        files.read_folder(tmp_path)


def refused(folder, words):
    with pytest.raises(ConfigError, match=words) as caught:
        files.read_folder(folder)
    assert "\n" not in str(caught.value)


def test_damaged_folders_are_refused_in_one_line(decoder, tmp_path):
    refused(tmp_path, r"config\.json is missing")
    (tmp_path / files.CONFIG).write_text("{")
    refused(tmp_path, r"config\.json: is no JSON")
    (tmp_path / files.CONFIG).write_text("[]")
    refused(tmp_path, r"config\.json: must hold an object")
    files.write_folder(decoder, tmp_path)
    tensors = parts(tmp_path)
    name = "model.layers.1.mlp.up_proj.weight"
    safetensors.save_file({**tensors, "model.extra": torch.ones(1)}, tmp_path / files.WEIGHTS)
    refused(tmp_path, r"tensor model\.extra is not known")
    safetensors.save_file({**tensors, name: torch.ones(2)}, tmp_path / files.WEIGHTS)
    refused(tmp_path, rf"tensor {name} has the shape \[2\], not \[48, 32\]")
    del tensors[name]
    safetensors.save_file(tensors, tmp_path / files.WEIGHTS)
    refused(tmp_path, f"tensor {name} is missing")
    (tmp_path / files.WEIGHTS).write_bytes(b"nothing of the kind")
    refused(tmp_path, r"model\.safetensors: is damaged")
    (tmp_path / files.WEIGHTS).unlink()
    refused(tmp_path, r"holds no \.safetensors file")
    (tmp_path / files.INDEX).write_text("{}")
    refused(tmp_path, "weight_map is missing")
