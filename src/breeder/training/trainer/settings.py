"""What a training run is to do; written into its folder, so that it can go on later."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from breeder.errors import ConfigError

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of a block, which LoRA can adapt."""


class LoraSettings(BaseModel):
    """Low-rank adaptation (Hu et al., 2021, arXiv:2106.09685).

    Attributes:
        r: rank of the change.
        alpha: its weight is alpha / r.
        targets: linear layers of each block that are changed.
        dropout: share of the inputs of the change that are zeroed while training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    r: int = Field(8, gt=0)
    alpha: float = Field(16.0, gt=0)
    targets: tuple[Literal[LINEAR], ...] = Field(LINEAR[:4], min_length=1)  # type: ignore[valid-type]
    dropout: float = Field(0.0, ge=0, lt=1)


class TrainingSettings(BaseModel):
    """How to train.

    Attributes:
        steps: updates of the weights.
        batch: sequences per pass; `accumulate` passes make an update.
        accumulate: see `batch`.
        length: tokens of a sequence.
        rate: highest learning rate of AdamW.
        warm_up: updates until the rate is reached, linearly from 0.
        final_rate: share of the rate at the end of the cosine.
        weight_decay: of matrices; biases and norms have none.
        beta1: of AdamW.
        beta2: of AdamW.
        clip: largest norm of the gradient; 0 for any.
        dtype: of the matrix products. Weights that are trained, and AdamW, stay in float32.
        seed: of initial weights, order of the text and dropout.
        evaluate_every: updates between two held-out losses.
        save_every: updates between two checkpoints.
        kernels: whether checked kernels are used where they are faster.
        lora: train a low-rank change of the weights; None trains all weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(1000, gt=0)
    batch: int = Field(8, gt=0)
    accumulate: int = Field(1, gt=0)
    length: int = Field(256, gt=0)
    rate: float = Field(1e-3, gt=0)
    warm_up: int = Field(50, ge=0)
    final_rate: float = Field(0.1, ge=0, le=1)
    weight_decay: float = Field(0.1, ge=0)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    clip: float = Field(1.0, ge=0)
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0)
    evaluate_every: int = Field(100, gt=0)
    save_every: int = Field(100, gt=0)
    kernels: bool = True
    lora: LoraSettings | None = None

    @classmethod
    def checked(cls, values: dict[str, Any]) -> TrainingSettings:
        """Settings from plain values.

        Raises:
            ConfigError: one is wrong; names it.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            words = first["msg"][:1].lower() + first["msg"][1:]
            raise ConfigError(f"training: {key}: {words} (got {first['input']!r})") from None


def learning_rate(settings: TrainingSettings, step: int) -> float:
    """The rate of update `step`, counted from 0: linear warm-up, then half a cosine.

    Source: Loshchilov and Hutter, 2017, arXiv:1608.03983, without restarts.
    """
    from math import cos, pi

    if step < settings.warm_up:
        return settings.rate * (step + 1) / settings.warm_up
    share = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    low = settings.final_rate
    return settings.rate * (low + (1 - low) * (1 + cos(pi * min(share, 1.0))) / 2)
