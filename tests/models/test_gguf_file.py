"""GGUF files: one that is written here with llama.cpp's own package, and damaged ones."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
gguf = pytest.importorskip("gguf", reason="gguf is not installed")

from breeder.errors import ConfigError  # noqa: E402
from breeder.models.files import published  # noqa: E402
from breeder.models.gguf_file import GgufFile, paired_by_halves  # noqa: E402

NAMES = {
    "embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
    "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
}  # fmt: skip


def neighbours(weights, heads):
    """Rows as llama.cpp's converter orders them for a Llama model: the other way round."""
    halves = weights.reshape(heads, 2, weights.shape[0] // heads // 2, *weights.shape[1:])
    return halves.swapaxes(1, 2).reshape(weights.shape)


def write(path, decoder, kind=None, *, change=lambda writer: None):
    config = decoder.config
    kind = kind or ("qwen2" if config.qkv_bias else "llama")
    writer = gguf.GGUFWriter(path, kind)
    writer.add_block_count(config.layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.width)
    writer.add_feed_forward_length(config.inner)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_rope_freq_base(config.theta)
    writer.add_layer_norm_rms_eps(config.epsilon)
    change(writer)
    for name, parameter in decoder.named_parameters():
        *_, part, kind_of_part = name.split(".")
        block = f"blk.{name.split('.')[1]}." if name.startswith("layers") else ""
        data = parameter.detach().numpy()
        if kind == "llama" and part in ("q_proj", "k_proj"):
            data = neighbours(data, config.heads if part == "q_proj" else config.kv_heads)
        writer.add_tensor(f"{block}{NAMES[part]}.{kind_of_part}", data.copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_model_of_a_file_computes_the_same(decoder, tokens, tmp_path):
    file = GgufFile(write(tmp_path / "model.gguf", decoder))
    read = file.model()
    assert {name for name, _ in read.named_parameters()} == {
        name for name, _ in decoder.named_parameters()
    }
    assert read.config.tied == decoder.config.tied
    torch.testing.assert_close(read(tokens), decoder(tokens))


def test_reordering_rows_undoes_what_the_converter_did():
    weights = torch.arange(24.0).reshape(8, 3)
    assert torch.equal(
        paired_by_halves(torch.from_numpy(neighbours(weights.numpy(), 2)), 2), weights
    )


def test_quantised_weights_are_dequantised(decoder, tmp_path):
    path = tmp_path / "model.gguf"
    write(path, decoder)
    kinds = gguf.GGMLQuantizationType
    weights = dict(decoder.named_parameters())["layers.0.mlp.up_proj.weight"].detach().numpy()
    writer = gguf.GGUFWriter(tmp_path / "part.gguf", "llama")
    writer.add_block_count(1)
    packed = gguf.quants.quantize(weights, kinds.Q8_0)
    writer.add_tensor("blk.0.ffn_up.weight", packed, raw_dtype=kinds.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ((name, read),) = GgufFile(tmp_path / "part.gguf")._tensors(decoder.config)
    assert name == published("layers.0.mlp.up_proj.weight")
    error = (read - torch.from_numpy(weights)).abs().max()
    assert 0 < error <= abs(weights).max() / 127


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN), "scaled rotary embedding"),
        (lambda w: w.add_rope_dimension_count(4), "of a part of a head"),
        (lambda w: w.add_tensor("blk.0.strange.weight", gguf.np.ones(2, "f4")), "is not known"),
    ],
)
def test_what_the_decoder_does_not_compute_is_refused(decoder, tmp_path, change, words):
    if not hasattr(gguf, "np"):
        import numpy

        gguf.np = numpy
    path = write(tmp_path / "model.gguf", decoder, change=change)
    with pytest.raises(ConfigError, match=words):
        GgufFile(path).model()


def test_other_architectures_and_other_files_are_refused(decoder, tmp_path):
    path = write(tmp_path / "model.gguf", decoder, "gemma")
    with pytest.raises(ConfigError, match="architecture 'gemma' is not supported; known: llama"):
        GgufFile(path).config()
    with pytest.raises(ConfigError, match=r"none\.gguf is missing"):
        GgufFile(tmp_path / "none.gguf")
    (tmp_path / "text.gguf").write_text("not of that kind at all, but long enough to be read")
    with pytest.raises(ConfigError, match=r"text\.gguf: is no GGUF file, or damaged"):
        GgufFile(tmp_path / "text.gguf")
