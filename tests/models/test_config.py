import pytest
from tests.models.conftest import SIZES

from breeder.errors import ConfigError
from breeder.models import PRESETS, DecoderConfig, preset

FILE = {
    "model_type": "llama", "vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 96, "rms_norm_eps": 1e-5,
    "max_position_embeddings": 128,
}  # fmt: skip


def test_what_is_written_reads_back_the_same(config):
    assert DecoderConfig.from_huggingface(config.to_huggingface(), "config.json") == config


def test_what_a_file_leaves_out_follows_from_the_rest():
    read = DecoderConfig.from_huggingface(FILE, "config.json")
    assert (read.kv_heads, read.head_width, read.theta) == (4, 16, 10000.0)
    assert (read.qkv_bias, read.tied) == (False, False)
    assert DecoderConfig.from_huggingface({**FILE, "rope_theta": 5e5}, "c").theta == 5e5
    assert DecoderConfig.from_huggingface({**FILE, "model_type": "qwen2"}, "c").qkv_bias


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": "mamba"}, "model_type 'mamba' is not supported; known: qwen2, llama"),
        ({"rope_scaling": {"rope_type": "llama3"}}, "rope_scaling: 'llama3' is not supported"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "rope_scaling: 'yarn' is not supported"),
        ({"hidden_act": "gelu"}, "hidden_act: 'gelu' is not supported"),
        ({"attention_bias": True}, "attention_bias: True is not supported"),
        ({"use_sliding_window": True}, "use_sliding_window: True is not supported"),
        ({"num_key_value_heads": 3}, "3 kv_heads do not divide 4 heads"),
        ({"head_dim": 15}, "head_width must be even, not 15"),
        ({"num_hidden_layers": 0}, "layers must be above 0, not 0"),
    ],
)
def test_what_the_decoder_does_not_compute_is_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        DecoderConfig.from_huggingface({**FILE, **change}, "config.json")


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match=r"config\.json: intermediate_size is missing"):
        DecoderConfig.from_huggingface(
            {key: value for key, value in FILE.items() if key != "intermediate_size"}, "config.json"
        )


def test_the_presets_have_the_sizes_that_they_are_named_for():
    assert preset("gpt-30m", 8192).parameters() == pytest.approx(30e6, rel=0.01)
    assert [preset(name, 8192).parameters() for name in PRESETS] == sorted(
        preset(name, 8192).parameters() for name in PRESETS
    )
    with pytest.raises(ConfigError, match="model 'gpt-9' is not known; choose one of gpt-nano"):
        preset("gpt-9", 257)


def test_parameters_are_counted_as_torch_counts_them(config):
    pytest.importorskip("torch", reason="torch is not installed")
    from breeder.models import Decoder

    assert config.parameters() == sum(one.numel() for one in Decoder(config).parameters())
    assert SIZES["vocabulary"] == config.vocabulary
