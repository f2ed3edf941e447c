"""A tiny model, a tiny text, and runs over both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from breeder.models.config import PRESETS, DecoderConfig

TINY = {
    "width": 32, "layers": 2, "heads": 2, "kv_heads": 2, "head_width": 16, "inner": 48,
    "context": 64,
}  # fmt: skip
LINES = [f"def add_{n}(x):\n    return x + {n}\n\n\n" for n in range(60)]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A folder with two hundred lines of text in several files."""
    folder = tmp_path / "text"
    folder.mkdir()
    for number in range(6):
        lines = "".join(LINES[number * 10 : number * 10 + 10])
        (folder / f"part_{number}.py").write_text(lines)
    return folder


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a preset that trains in milliseconds."""
    monkeypatch.setitem(PRESETS, "gpt-nano", TINY)  # type: ignore[arg-type]
    return "gpt-nano"


@pytest.fixture
def settings() -> dict[str, Any]:
    """Six short steps, without kernels."""
    return {
        "steps": 6, "batch": 2, "length": 16, "warm_up": 2, "rate": 3e-3, "evaluate_every": 3,
        "save_every": 2, "kernels": False,
    }  # fmt: skip


@pytest.fixture
def decoder() -> Any:
    """A small decoder of bytes, (2 blocks, grouped attention, biases)."""
    pytest.importorskip("torch", reason="torch is not installed")
    from breeder.models import Bytes, Decoder

    config = DecoderConfig(
        vocabulary=Bytes.vocabulary, width=32, layers=2, heads=4, kv_heads=2, head_width=8,
        inner=48, context=64, qkv_bias=True, tied=True,
    )  # fmt: skip
    return Decoder(config).initialise(1)
