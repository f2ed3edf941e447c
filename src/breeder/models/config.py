"""The shape of a decoder, and how model folders of Hugging Face spell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypedDict

from breeder.errors import ConfigError

ARCHITECTURES = {"qwen2": "Qwen2ForCausalLM", "llama": "LlamaForCausalLM"}
"""Model types that the decoder computes, and the class that Hugging Face computes them with."""

_KEYS = {
    "vocab_size": "vocabulary",
    "hidden_size": "width",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "intermediate_size": "inner",
    "rms_norm_eps": "epsilon",
    "max_position_embeddings": "context",
}
_UNSUPPORTED = ("use_sliding_window", "attention_bias", "mlp_bias", "quantization_config")
_THETA = 10000.0  # what Hugging Face takes where a file gives none


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig:
    """A decoder of the Llama family.

    Attributes:
        vocabulary: number of tokens.
        width: elements of a token's hidden state.
        layers: number of blocks.
        heads: heads of queries.
        kv_heads: heads of keys and values; divides `heads` (grouped-query attention).
        head_width: elements of a head; even, as rotary embedding turns pairs.
        inner: width between the two halves of a feed-forward block.
        context: longest sequence, in tokens.
        epsilon: of RMS normalisation.
        theta: base of the rotary embedding's wavelengths.
        qkv_bias: whether queries, keys and values have a bias (Qwen2) or not (Llama).
        tied: whether embedding and head share their weights.

    Raises:
        ConfigError: sizes that do not fit each other.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    inner: int
    context: int
    epsilon: float = 1e-6
    theta: float = _THETA
    qkv_bias: bool = False
    tied: bool = True

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, bool) and not value > 0:
                raise ConfigError(f"model: {name} must be above 0, not {value}")
        if self.heads % self.kv_heads:
            raise ConfigError(f"model: {self.kv_heads} kv_heads do not divide {self.heads} heads")
        if self.head_width % 2:
            raise ConfigError(f"model: head_width must be even, not {self.head_width}")

    def parameters(self) -> int:
        """Number of parameters; a tied head counts once."""
        rows = (self.heads + 2 * self.kv_heads) * self.head_width
        attention = self.width * (rows + self.heads * self.head_width)
        bias = rows if self.qkv_bias else 0
        block = attention + bias + 3 * self.width * self.inner + 2 * self.width
        embeddings = self.vocabulary * self.width * (1 if self.tied else 2)
        return embeddings + self.layers * block + self.width

    def to_huggingface(self) -> dict[str, Any]:
        """The content of `config.json`."""
        kind = "qwen2" if self.qkv_bias else "llama"
        return {
            "architectures": [ARCHITECTURES[kind]],
            "model_type": kind,
            **{theirs: getattr(self, ours) for theirs, ours in _KEYS.items()},
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_width,
            "rope_theta": self.theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": self.theta},
            "tie_word_embeddings": self.tied,
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
        }

    @classmethod
    def from_huggingface(cls, data: Mapping[str, Any], file: str) -> DecoderConfig:
        """Read the content of a `config.json`.

        Args:
            data: the parsed file.
            file: its name, for messages.

        Raises:
            ConfigError: another architecture, or something that this decoder does not compute.
        """
        kind = data.get("model_type")
        if kind not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise ConfigError(f"{file}: model_type {kind!r} is not supported; known: {known}")
        missing = [key for key in _KEYS if key not in data]
        if missing:
            raise ConfigError(f"{file}: {missing[0]} is missing")
        _refuse(data, file)
        sizes = {ours: data[theirs] for theirs, ours in _KEYS.items()}
        heads = data["num_attention_heads"]
        rope = data.get("rope_parameters") or {}
        return cls(
            **sizes,
            kv_heads=data.get("num_key_value_heads") or heads,
            head_width=data.get("head_dim") or data["hidden_size"] // heads,
            theta=float(rope.get("rope_theta") or data.get("rope_theta") or _THETA),
            qkv_bias=kind == "qwen2",
            tied=bool(data.get("tie_word_embeddings", False)),
        )


def _refuse(data: Mapping[str, Any], file: str) -> None:
    scaling = data.get("rope_scaling") or data.get("rope_parameters") or {}
    rope = scaling.get("rope_type") or scaling.get("type") or "default"
    activation = data.get("hidden_act", "silu")
    found = {
        "rope_scaling": "" if rope == "default" else rope,
        "hidden_act": "" if activation == "silu" else activation,
        **{key: data.get(key) for key in _UNSUPPORTED},
    }
    for key, value in found.items():
        if value:
            raise ConfigError(f"{file}: {key}: {value!r} is not supported")


def preset(name: str, vocabulary: int) -> DecoderConfig:
    """A decoder to train from scratch.

    Args:
        name: a key of `PRESETS`.
        vocabulary: of the tokenizer.

    Raises:
        ConfigError: there is no such preset.
    """
    sizes = PRESETS.get(name)
    if sizes is None:
        raise ConfigError(f"model {name!r} is not known; choose one of {', '.join(PRESETS)}")
    return DecoderConfig(vocabulary=vocabulary, **sizes)


class _Sizes(TypedDict):
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    inner: int
    context: int


PRESETS: Mapping[str, _Sizes] = {
    "gpt-nano": {"width": 128, "layers": 4, "heads": 4, "kv_heads": 4, "head_width": 32,
                 "inner": 352, "context": 256},
    "gpt-micro": {"width": 256, "layers": 6, "heads": 8, "kv_heads": 8, "head_width": 32,
                  "inner": 704, "context": 512},
    "gpt-30m": {"width": 512, "layers": 8, "heads": 8, "kv_heads": 8, "head_width": 64,
                "inner": 1408, "context": 1024},
}  # fmt: skip
"""Sizes of small decoders: 0.8, 5 and 30 million parameters (gpt-30m with 8192 tokens)."""
