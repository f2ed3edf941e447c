import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from breeder.errors import ConfigError  # noqa: E402
from breeder.models import Bytes, Decoder, LoadedModel, load, preset, save  # noqa: E402
from breeder.models import tokenizers as words  # noqa: E402
from breeder.models.loading import tokenizer_of  # noqa: E402


def test_a_model_of_bytes_is_saved_and_loaded(tmp_path):
    decoder = Decoder(preset("gpt-nano", Bytes.vocabulary)).initialise(1)
    save(LoadedModel(decoder, Bytes()), tmp_path)
    model = load(tmp_path)
    assert isinstance(model.tokenizer, Bytes)
    rows = torch.tensor([model.tokenizer.encode("hello")])
    assert torch.equal(model.decoder(rows), decoder(rows))


def test_a_vocabulary_is_saved_with_its_end(tmp_path):
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    vocabulary = words.learnt(["some text"], 300)
    decoder = Decoder(preset("gpt-nano", vocabulary.vocabulary))
    save(LoadedModel(decoder, vocabulary), tmp_path)
    assert tokenizer_of(tmp_path).end == 0
    (tmp_path / "other").mkdir()
    words.learnt(["other"], 270).save(tmp_path / "other")
    assert load(tmp_path, tokenizer=tmp_path / "other" / words.FILE).tokenizer.vocabulary < 264


def test_what_does_not_fit_is_refused(tmp_path):
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    with pytest.raises(ConfigError, match="none does not exist"):
        load(tmp_path / "none")
    vocabulary = words.learnt(["some text"], 300)
    save(LoadedModel(Decoder(preset("gpt-nano", 258)), vocabulary), tmp_path)
    with pytest.raises(ConfigError, match=r"the tokenizer has \d+ tokens, the model 258"):
        load(tmp_path)
    (tmp_path / words.FILE).unlink()
    with pytest.raises(ConfigError, match=r"has no tokenizer\.json; give one with --tokenizer"):
        load(tmp_path)
