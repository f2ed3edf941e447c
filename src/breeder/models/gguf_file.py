"""GGUF files, the format of llama.cpp: weights are dequantised, names and layouts translated."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from breeder.errors import ConfigError
from breeder.extras import required
from breeder.models.config import DecoderConfig
from breeder.models.decoder import Decoder
from breeder.models.files import filled
from breeder.models.pytorch import torch

_ARCHITECTURES = ("llama", "qwen2")
_PURPOSE = "reading a GGUF file"
_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
_OUTSIDE = re.compile(r"(\w+)\.(weight|bias)")


@functools.cache
def _opened(path: Path, changed: int) -> Any:
    """The package's reader; kept, as reading a large vocabulary takes seconds."""
    return required("gguf", purpose=_PURPOSE).GGUFReader(path)


class GgufFile:
    """An opened GGUF file.

    Args:
        path: the file. It is mapped into memory, not read.

    Raises:
        ConfigError: it is missing or no GGUF file.
        UserError: the `gguf` package is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._gguf = required("gguf", purpose=_PURPOSE)
        try:
            self._reader = _opened(path, path.stat().st_mtime_ns)
        except FileNotFoundError:
            raise ConfigError(f"{path} is missing") from None
        except (ValueError, IndexError, KeyError) as error:  # what the reader raises on damage
            raise ConfigError(f"{path}: is no GGUF file, or damaged: {error}") from None

    def value(self, key: str, default: Any = None) -> Any:
        """What the file's header says under a key."""
        field = self._reader.get_field(key)
        return default if field is None else field.contents()

    def config(self) -> DecoderConfig:
        """The model's shape.

        Raises:
            ConfigError: another architecture, or something that the decoder does not compute.
        """
        kind = self.value("general.architecture")
        if kind not in _ARCHITECTURES:
            known = ", ".join(_ARCHITECTURES)
            raise ConfigError(
                f"{self.path}: architecture {kind!r} is not supported; known: {known}"
            )
        names = {tensor.name for tensor in self._reader.tensors}
        scaling = self.value(f"{kind}.rope.scaling.type", "none")
        if scaling != "none" or "rope_freqs.weight" in names:
            raise ConfigError(f"{self.path}: scaled rotary embedding is not supported")
        heads, width = (
            self._size(kind, "attention.head_count"),
            self._size(kind, "embedding_length"),
        )
        head_width = self.value(f"{kind}.attention.key_length", width // heads)
        if self.value(f"{kind}.rope.dimension_count", head_width) != head_width:
            raise ConfigError(f"{self.path}: rotary embedding of a part of a head is not supported")
        vocabulary = next(
            (int(one.shape[1]) for one in self._reader.tensors if one.name == "token_embd.weight"),
            0,
        )
        return DecoderConfig(
            vocabulary=vocabulary,
            width=width,
            layers=self._size(kind, "block_count"),
            heads=heads,
            kv_heads=self.value(f"{kind}.attention.head_count_kv", heads),
            head_width=head_width,
            inner=self._size(kind, "feed_forward_length"),
            context=self._size(kind, "context_length"),
            epsilon=float(self.value(f"{kind}.attention.layer_norm_rms_epsilon", 1e-5)),
            theta=float(self.value(f"{kind}.rope.freq_base", 10000.0)),
            qkv_bias="blk.0.attn_q.bias" in names,
            tied="output.weight" not in names,
        )

    def model(self, dtype: Any = None) -> Decoder:
        """Build the decoder, its weights dequantised.

        Args:
            dtype: of the weights; float32 if None.

        Raises:
            ConfigError: see `config`; or a tensor is missing, unknown or of an unknown type.
        """
        config = self.config()
        return filled(Decoder(config), self._tensors(config), str(self.path), dtype)

    def _size(self, kind: str, name: str) -> int:
        value = self.value(f"{kind}.{name}")
        if not isinstance(value, int):
            raise ConfigError(f"{self.path}: {kind}.{name} is missing")
        return value

    def _tensors(self, config: DecoderConfig) -> Iterator[tuple[str, Any]]:
        turned = self.value("general.architecture") == "llama"
        heads = {"attn_q": config.heads, "attn_k": config.kv_heads}
        for tensor in self._reader.tensors:
            name, part = self._name(tensor.name)
            try:
                data = self._gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            except (NotImplementedError, ValueError) as error:
                raise ConfigError(f"{self.path}: tensor {tensor.name}: {error}") from None
            weights = torch.from_numpy(data.copy() if data.base is not None else data)
            if turned and part in heads:
                weights = paired_by_halves(weights, heads[part])
            yield name, weights

    def _name(self, name: str) -> tuple[str, str]:
        """The published name of a tensor, and the part of a model that it belongs to."""
        block, outside = _BLOCK.fullmatch(name), _OUTSIDE.fullmatch(name)
        if block is not None and block[2] in _NAMES:
            return f"model.layers.{block[1]}.{_NAMES[block[2]]}.{block[3]}", block[2]
        if outside is not None and outside[1] in _NAMES:
            return f"{_NAMES[outside[1]]}.{outside[2]}", outside[1]
        raise ConfigError(f"{self.path}: tensor {name} is not known to this architecture")


def paired_by_halves(weights: Any, heads: int) -> Any:
    """Rows of a query or key projection in the order of this package's rotary embedding.

    llama.cpp turns neighbouring elements of a head of a Llama model, this package elements that are
    half a head apart; its converter reorders the rows, and this puts them back.

    Args:
        weights: (heads * head_width, ...).
        heads: how many of them.
    """
    width = weights.shape[0] // heads
    split = weights.reshape(heads, width // 2, 2, *weights.shape[1:])
    return split.transpose(1, 2).reshape(weights.shape)
