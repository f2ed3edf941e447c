import json

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from breeder.errors import ConfigError  # noqa: E402
from breeder.models import Decoder  # noqa: E402
from breeder.models.files import write_folder  # noqa: E402
from breeder.training.trainer import lora  # noqa: E402
from breeder.training.trainer.checkpoint import trained  # noqa: E402
from breeder.training.trainer.settings import LINEAR, LoraSettings  # noqa: E402

SETTINGS = LoraSettings(r=4, alpha=8.0, targets=("q_proj", "v_proj", "down_proj"))
TOKENS = torch.arange(20).reshape(2, 10)


def changed(decoder, settings=SETTINGS):
    """Adapters whose change is not zero."""
    lora.attach(decoder, settings, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0.0, 0.3, generator=generator)
    return decoder


def test_nothing_changes_before_the_first_update(decoder):
    before = decoder(TOKENS)
    assert torch.equal(lora.attach(decoder, SETTINGS)(TOKENS), before)


def test_only_the_adapters_are_trained(decoder):
    lora.attach(decoder, SETTINGS)
    names = trained(decoder)
    assert len(names) == 2 * 3 * 2
    assert all(".lora_" in name for name in names)
    sizes = {name.rsplit(".", 2)[-2]: tuple(one.shape) for name, one in names.items()}
    assert sizes == {"lora_A": (4, 48), "lora_B": (32, 4)}  # those of down_proj come last


def test_merging_computes_the_same_without_adapters(decoder):
    with_adapters = changed(decoder)(TOKENS)
    merged = lora.merge(decoder)
    assert not any(isinstance(module, lora.LoraLinear) for module in merged.modules())
    assert all(parameter.requires_grad for parameter in merged.parameters())
    torch.testing.assert_close(merged(TOKENS), with_adapters, rtol=1e-4, atol=1e-4)
    fresh = Decoder(decoder.config).initialise(1)
    assert not torch.allclose(fresh(TOKENS), with_adapters, atol=1e-2)


def test_saved_adapters_load_into_another_copy(decoder, tmp_path):
    expected = changed(decoder)(TOKENS)
    lora.save_adapter(decoder, tmp_path / "adapter", SETTINGS, "base")
    other = Decoder(decoder.config).initialise(1)
    assert torch.equal(lora.load_adapter(other, tmp_path / "adapter")(TOKENS), expected)
    config = json.loads((tmp_path / "adapter" / lora.CONFIG).read_text())
    assert config["target_modules"] == list(SETTINGS.targets)


def test_damaged_adapters_are_refused_in_one_line(decoder, tmp_path):
    lora.save_adapter(changed(decoder), tmp_path, SETTINGS, "base")
    config = json.loads((tmp_path / lora.CONFIG).read_text())

    def refused(change, words):
        (tmp_path / lora.CONFIG).write_text(json.dumps({**config, **change}))
        with pytest.raises(ConfigError, match=words):
            lora.load_adapter(Decoder(decoder.config), tmp_path)

    refused({"peft_type": "IA3"}, "only LoRA without biases")
    refused({"use_dora": True}, "use_dora is not supported")
    refused({"r": 0}, r"adapter_config\.json: r: ")
    refused({"target_modules": ["q_proj"]}, "belongs to a model of another shape")
    (tmp_path / lora.WEIGHTS).unlink()
    refused({}, r"adapter_model\.safetensors is missing")


def test_dropout_acts_while_training_only(decoder):
    changed(decoder, LoraSettings(targets=LINEAR, dropout=0.5))
    decoder.train()
    assert not torch.equal(decoder(TOKENS), decoder(TOKENS))
    decoder.eval()
    assert torch.equal(decoder(TOKENS), decoder(TOKENS))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_peft_reads_what_is_written(decoder, tmp_path):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    peft = pytest.importorskip("peft", reason="peft is not installed")
    write_folder(decoder, tmp_path / "base")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    expected = changed(decoder)(TOKENS)
    lora.save_adapter(decoder, tmp_path / "adapter", SETTINGS, str(tmp_path / "base"))
    adapted = peft.PeftModel.from_pretrained(theirs, tmp_path / "adapter")
    torch.testing.assert_close(adapted(TOKENS).logits, expected, rtol=1e-4, atol=1e-4)
    adapted.save_pretrained(tmp_path / "theirs")
    ours = lora.load_adapter(Decoder(decoder.config).initialise(1), tmp_path / "theirs")
    torch.testing.assert_close(ours(TOKENS), expected, rtol=1e-4, atol=1e-4)
