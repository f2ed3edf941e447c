import pytest

from breeder.errors import ConfigError

torch = pytest.importorskip("torch", reason="torch is not installed")

from breeder.models import Bytes  # noqa: E402
from breeder.models import tokenizers as ours  # noqa: E402

TEXT = "def f(x):\n    return x ** 2  # Größe, 数, 12345\n"


def test_bytes_go_and_come_back():
    words = Bytes()
    assert words.decode([*words.encode(TEXT), words.end]) == TEXT
    assert max(words.encode(TEXT)) < words.end < words.vocabulary
    assert words.decode([0xC3]) == "\N{REPLACEMENT CHARACTER}"
    assert words.decode(words.encode("a\ud800")) == "a?"


@pytest.fixture
def learnt():
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    return ours.learnt([TEXT] * 3, 300)


def test_a_learnt_vocabulary_goes_and_comes_back(learnt, tmp_path):
    assert 257 < learnt.vocabulary <= 300
    assert learnt.decode(learnt.encode(TEXT)) == TEXT
    assert learnt.decode(learnt.encode("Ω never seen")) == "Ω never seen"
    assert len(learnt.encode(TEXT)) < len(TEXT.encode())
    learnt.save(tmp_path)
    read = ours.read(tmp_path / ours.FILE)
    assert read.end == learnt.end == 0
    assert read.encode(TEXT) == learnt.encode(TEXT)
    assert ours.read(tmp_path / ours.FILE, end=7).end == 7


def test_what_is_no_tokenizer_is_refused(tmp_path):
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    with pytest.raises(ConfigError, match=r"tokenizer\.json is missing"):
        ours.read(tmp_path / ours.FILE)
    (tmp_path / ours.FILE).write_text("{}")
    with pytest.raises(ConfigError, match=r"tokenizer\.json: is no tokenizer"):
        ours.read(tmp_path / ours.FILE)


class Header:
    """The header of a GGUF file."""

    path = "model.gguf"

    def __init__(self, **values):
        self._values = {name.replace("_", ".", 2): value for name, value in values.items()}

    def value(self, key, default=None):
        return self._values.get(key.replace("_", ".", 2), default)


def test_a_vocabulary_of_an_unknown_kind_asks_for_a_file():
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    with pytest.raises(ConfigError, match="of kind llama, None is not supported; give a token"):
        ours.of_gguf(Header(tokenizer_ggml_model="llama"))
