"""From text to token ids and back: bytes, or a byte-level BPE vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from breeder.errors import ConfigError
from breeder.extras import required
from breeder.models.gguf_file import GgufFile

FILE = "tokenizer.json"
END = "<|endoftext|>"
_PURPOSE = "a vocabulary"
_CONTROL = 3  # the type of special tokens in a GGUF file
_USER = 4  # of tokens that were added by hand

_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)  # where Qwen2 cuts text before merging


class Tokenizer(Protocol):
    """What training and sampling ask of a tokenizer."""

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""

    @property
    def end(self) -> int | None:
        """The id that ends a document; None where there is none."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special ones around it."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids; bytes that are no UTF-8 become U+FFFD."""

    def save(self, folder: Path) -> None:
        """Write what `loading.tokenizer_of` needs to make it again."""


class Bytes:
    """The bytes of UTF-8, and one id that ends a document."""

    vocabulary = 257
    end = 256

    def encode(self, text: str) -> list[int]:
        """One id per byte."""
        return list(text.encode("utf-8", errors="replace"))

    def decode(self, tokens: Sequence[int]) -> str:
        """The text; the end is left out."""
        return bytes(one for one in tokens if one < self.end).decode("utf-8", errors="replace")

    def save(self, folder: Path) -> None:
        """Nothing is needed: a vocabulary of 257 says it."""


class Vocabulary:
    """A vocabulary of the `tokenizers` package.

    Args:
        inner: a `tokenizers.Tokenizer`.
        end: id that ends a document.
    """

    def __init__(self, inner: Any, end: int | None) -> None:
        self._inner = inner
        self.end = end

    @property
    def vocabulary(self) -> int:
        """Number of token ids."""
        return int(self._inner.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without special ones around it."""
        return list(self._inner.encode(text, add_special_tokens=False).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text; special tokens are left out."""
        return str(self._inner.decode(list(tokens), skip_special_tokens=True))

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`."""
        self._inner.save(str(folder / FILE))


def read(path: Path, end: int | None = None) -> Vocabulary:
    """Read a `tokenizer.json`.

    Args:
        path: the file.
        end: id that ends a document; that of `<|endoftext|>` where None and there is one.

    Raises:
        ConfigError: it is missing or something else.
        UserError: the `tokenizers` package is not installed.
    """
    package = required("tokenizers", purpose=_PURPOSE)
    if not path.is_file():
        raise ConfigError(f"{path} is missing")
    try:
        inner = package.Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises bare Exception
        raise ConfigError(f"{path}: is no tokenizer: {error}") from None
    return Vocabulary(inner, inner.token_to_id(END) if end is None else end)


def learnt(texts: Iterable[str], size: int) -> Vocabulary:
    """Learn a byte-level BPE vocabulary.

    Args:
        texts: what it is to be good for.
        size: of the vocabulary, at least 257.

    Raises:
        UserError: the `tokenizers` package is not installed.
    """
    package = required("tokenizers", purpose=_PURPOSE)
    inner = package.Tokenizer(package.models.BPE())
    inner.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = package.decoders.ByteLevel()
    trainer = package.trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END],
        initial_alphabet=package.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return Vocabulary(inner, inner.token_to_id(END))


def of_gguf(file: GgufFile) -> Vocabulary:
    """The vocabulary inside a GGUF file.

    Raises:
        ConfigError: it is of a kind that is not supported; a `tokenizer.json` may be given instead.
        UserError: the `tokenizers` package is not installed.
    """
    package = required("tokenizers", purpose=_PURPOSE)
    kind, cut = file.value("tokenizer.ggml.model"), file.value("tokenizer.ggml.pre")
    cutter = _cutters(package).get(str(cut))
    if kind != "gpt2" or cutter is None:
        raise ConfigError(
            f"{file.path}: a vocabulary of kind {kind}, {cut} is not supported; "
            f"give a {FILE} with --tokenizer"
        )
    tokens, types = file.value("tokenizer.ggml.tokens"), file.value("tokenizer.ggml.token_type")
    merges = [tuple(one.split(" ", 1)) for one in file.value("tokenizer.ggml.merges")]
    ids = {token: number for number, token in enumerate(tokens)}
    inner = package.Tokenizer(package.models.BPE(ids, merges))
    if cut == "qwen2":
        inner.normalizer = package.normalizers.NFC()
    inner.pre_tokenizer = cutter
    inner.decoder = package.decoders.ByteLevel()
    added = [
        package.AddedToken(token, special=kind == _CONTROL, normalized=False)
        for token, kind in zip(tokens, types, strict=True)
        if kind in (_CONTROL, _USER)
    ]
    inner.add_tokens(added)
    return Vocabulary(inner, file.value("tokenizer.ggml.eos_token_id"))


def _cutters(package: Any) -> dict[str, Any]:
    """How text is cut before merging, by the name that llama.cpp gives it."""
    pre = package.pre_tokenizers
    gpt2 = pre.ByteLevel(add_prefix_space=False)
    return {
        "gpt-2": gpt2,
        "smollm": pre.Sequence([pre.Digits(individual_digits=True), gpt2]),
        "qwen2": pre.Sequence(
            [
                pre.Split(package.Regex(_WORDS), behavior="isolated"),
                pre.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ),
    }
