"""A small random decoder, once without and once with everything optional."""

from __future__ import annotations

from typing import Any

import pytest

from breeder.models.config import DecoderConfig

SIZES: dict[str, Any] = {
    "vocabulary": 320,
    "width": 32,
    "layers": 2,
    "heads": 4,
    "kv_heads": 2,
    "head_width": 8,
    "inner": 48,
    "context": 64,
}
LLAMA = DecoderConfig(**SIZES, tied=True)
QWEN2 = DecoderConfig(**SIZES, tied=False, qkv_bias=True, theta=1e6, epsilon=1e-5)


@pytest.fixture(params=[LLAMA, QWEN2], ids=["llama", "qwen2"])
def config(request: pytest.FixtureRequest) -> DecoderConfig:
    return request.param


@pytest.fixture
def decoder(config: DecoderConfig) -> Any:
    """Random weights, biases and norms among them."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from breeder.models import Decoder

    made = Decoder(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)
    return made.eval()


@pytest.fixture
def tokens(config: DecoderConfig) -> Any:
    """Ids, (2, 21)."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    return torch.randint(0, config.vocabulary, (2, 21), generator=torch.Generator().manual_seed(2))
