"""Operations of training, forward and backward in one pass each, with kernels behind them."""

from breeder.training.fused.decoding import few_rows
from breeder.training.fused.embedding import embedding
from breeder.training.fused.gating import swiglu
from breeder.training.fused.gemv import int4_gemv, int8_gemv
from breeder.training.fused.losses import cross_entropy
from breeder.training.fused.normalisation import layernorm, rmsnorm
from breeder.training.fused.optimiser import AdamW
from breeder.training.fused.probabilities import softmax
from breeder.training.fused.products import linear
from breeder.training.fused.rotary import rope

__all__ = [
    "AdamW",
    "cross_entropy",
    "embedding",
    "few_rows",
    "int4_gemv",
    "int8_gemv",
    "layernorm",
    "linear",
    "rmsnorm",
    "rope",
    "softmax",
    "swiglu",
]
