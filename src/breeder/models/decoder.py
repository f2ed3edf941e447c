"""A decoder of the Llama family, with parameters named as in Hugging Face's model folders."""

from __future__ import annotations

import math
from typing import Any

from breeder.models.cache import Cache
from breeder.models.config import DecoderConfig
from breeder.models.operations import rotate, swiglu
from breeder.models.pytorch import functional, torch

nn: Any = torch.nn
_DEVIATION = 0.02  # of initial weights, as in GPT-2


class Decoder(nn.Module):  # type: ignore[misc]
    """Token ids in, logits of the next token out.

    Args:
        config: its shape. Weights are PyTorch's default until `initialise` or loading.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, eps=config.epsilon)
        self.lm_head = nn.Linear(config.width, config.vocabulary, bias=False)
        if config.tied:
            self.lm_head.weight = self.embed_tokens.weight
        # Not kept in the model's files: they follow from the configuration.
        cos, sin = angles(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Any, cache: Cache | None = None) -> Any:
        """Logits for every token.

        Args:
            tokens: ids, (batch, row).
            cache: what was read before `tokens`; these are added to it. None reads them alone.

        Returns:
            (batch, row, vocabulary), in the type of the weights.
        """
        return self.lm_head(self.hidden(tokens, cache))

    def hidden(self, tokens: Any, cache: Cache | None = None) -> Any:
        """Normalised hidden states (batch, row, width), to which the head is applied."""
        rows = tokens.shape[1]
        if cache is None:
            cos, sin, mask = self.cos[:rows], self.sin[:rows], None
        else:
            positions = cache.positions(rows)
            cos, sin, mask = self.cos[positions], self.sin[positions], cache.mask(rows)
        x = self.embed_tokens(tokens)
        for index, layer in enumerate(self.layers):
            x = layer(x, cos, sin, mask, None if cache is None else (cache, index))
        if cache is not None:
            cache.advance(rows)
        return self.norm(x)

    def initialise(self, seed: int) -> Decoder:
        """Draw all weights as GPT-2 does: normal, deviation 0.02, less where blocks add up.

        Returns:
            The decoder.
        """
        generator = torch.Generator().manual_seed(seed)
        residual = _DEVIATION / math.sqrt(2 * self.config.layers)
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if parameter.ndim == 2:
                    added = name.endswith(("o_proj.weight", "down_proj.weight"))
                    deviation = residual if added else _DEVIATION
                    parameter.normal_(0.0, deviation, generator=generator)
                else:
                    parameter.fill_(0.0 if name.endswith("bias") else 1.0)
        return self


class Block(nn.Module):  # type: ignore[misc]
    """Attention, then a feed-forward part, each on normalised input and added to it."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.width, eps=config.epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.width, eps=config.epsilon)
        self.mlp = FeedForward(config)

    def forward(
        self, x: Any, cos: Any, sin: Any, mask: Any, cached: tuple[Cache, int] | None
    ) -> Any:
        """Hidden states (batch, row, width) in and out."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask, cached)
        return x + self.mlp(self.post_attention_layernorm(x))


class Attention(nn.Module):  # type: ignore[misc]
    """Causal grouped-query attention with rotary position embedding."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.head_width = config.head_width
        self.grouped = config.kv_heads != config.heads
        own, shared = config.heads * config.head_width, config.kv_heads * config.head_width
        self.q_proj = nn.Linear(config.width, own, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.width, shared, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.width, shared, bias=config.qkv_bias)
        self.o_proj = nn.Linear(own, config.width, bias=False)

    def forward(
        self, x: Any, cos: Any, sin: Any, mask: Any, cached: tuple[Cache, int] | None
    ) -> Any:
        """Mix rows of (batch, row, width); `mask` is None for a square, causal one."""
        heads = (*x.shape[:2], -1, self.head_width)
        q = rotate(self.q_proj(x).view(heads), cos, sin).transpose(1, 2)
        k = rotate(self.k_proj(x).view(heads), cos, sin).transpose(1, 2)
        v = self.v_proj(x).view(heads).transpose(1, 2)
        if cached is not None:
            cache, layer = cached
            k, v = cache.extend(layer, k, v)
        mixed = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=self.grouped
        )
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):  # type: ignore[misc]
    """SwiGLU between two linear layers."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.width, config.inner, bias=False)
        self.up_proj = nn.Linear(config.width, config.inner, bias=False)
        self.down_proj = nn.Linear(config.inner, config.width, bias=False)

    def forward(self, x: Any) -> Any:
        """Row by row, (batch, row, width) in and out."""
        return self.down_proj(swiglu(self.gate_proj(x), self.up_proj(x)))


def angles(config: DecoderConfig) -> tuple[Any, Any]:
    """Cosine and sine of position * theta^(-2i/width): (context, head_width/2) each, float32."""
    pairs = torch.arange(0, config.head_width, 2, dtype=torch.float32)
    frequencies = 1.0 / config.theta ** (pairs / config.head_width)
    turned = torch.outer(torch.arange(config.context, dtype=torch.float32), frequencies)
    return turned.cos(), turned.sin()
