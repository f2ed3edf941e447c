"""What kernels gain on whole training steps of four kinds of model, random weights.

    python benchmarks/accelerate_models.py [--models gpt,qwen2,vit,vjepa2] [--seconds 60]

Needs torch and transformers. Each model trains in two processes of its own, with and without
kernels, which take their steps in turn and in random order (`breeder accelerate`); against PyTorch
as found, and with its free flags on both sides. The gradients of the first step must agree.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from breeder.acceleration.analysis import AGREEMENT, Gain, Outcome, Plan, analyse
from record import header, table

FOLDER = Path("runs/accelerate-models")

LOOP = """
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
    while True:
        loss = loss_of(model)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
"""
DECODER = """
    import torch, transformers

    config = transformers.AutoConfig.for_model(
        "KIND", vocab_size=8192, hidden_size=256, intermediate_size=688, num_hidden_layers=4,
        num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=512)
    model = transformers.AutoModelForCausalLM.from_config(config)
    model.train()

    def loss_of(model):
        tokens = torch.randint(8192, (4, 256))
        return model(input_ids=tokens, labels=tokens, use_cache=False).loss
"""
MODELS = {
    "gpt": """
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads = heads
            self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
            self.mix, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.wide = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x):
            parts = self.mix(self.before(x)).unflatten(-1, (3, self.heads, -1)).unbind(-3)
            q, k, v = (one.transpose(1, 2) for one in parts)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).flatten(2))
            return x + self.wide(self.after(x))

    class GPT(nn.Module):
        def __init__(self, vocabulary=8192, width=256, heads=8, layers=4, length=256):
            super().__init__()
            self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

        def forward(self, tokens):
            x = self.tokens(tokens) + self.places(torch.arange(tokens.shape[1]))
            return self.head(self.norm(self.blocks(x)))

    model = GPT()

    def loss_of(model):
        tokens = torch.randint(8192, (4, 256))
        return F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
""",
    "qwen2": DECODER.replace("KIND", "qwen2"),
    "llama": DECODER.replace("KIND", "llama"),
    "vit": """
    import torch, transformers

    config = transformers.ViTConfig(
        hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=8,
        image_size=112, patch_size=8, num_labels=100)
    model = transformers.ViTForImageClassification(config)
    model.train()

    def loss_of(model):
        return model(torch.randn(4, 3, 112, 112), labels=torch.randint(100, (4,))).loss
""",
    "vjepa2": """
    import torch, transformers

    config = transformers.VJEPA2Config(
        hidden_size=192, num_hidden_layers=4, num_attention_heads=6, crop_size=64, patch_size=16,
        frames_per_clip=8, pred_hidden_size=96, pred_num_attention_heads=6,
        pred_num_hidden_layers=2, pred_num_mask_tokens=2)
    model = transformers.VJEPA2Model(config)
    model.train()

    def loss_of(model):
        out = model(pixel_values_videos=torch.randn(4, 8, 3, 64, 64))
        predicted = out.predictor_output.last_hidden_state
        return out.last_hidden_state.square().mean() + predicted.square().mean()
""",
}


def measured(name: str, seconds: float) -> Outcome:
    """One model's script, written and analysed."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "train.py"
    script.write_text(textwrap.dedent(MODELS[name]) + textwrap.dedent(LOOP))
    return analyse(Plan((str(script),), folder, seconds=seconds), lambda line: print(line))


def main() -> None:
    parser = argparse.ArgumentParser(description="Kernels in whole models.")
    parser.add_argument("--models", default=",".join(MODELS), help="which, comma-separated")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each comparison")
    options = parser.parse_args()
    names = options.models.split(",")
    unknown = sorted(set(names) - set(MODELS))
    if unknown:
        raise SystemExit(f"--models: {', '.join(unknown)}: not one of {', '.join(MODELS)}")
    rows = []
    for name in names:
        outcome = measured(name, options.seconds)
        agrees = "" if outcome.distance <= AGREEMENT else " (too far)"
        gains = (outcome.flag_gain, outcome.kernel_gain, outcome.strongest_gain)
        rows.append([name, *map(_ratio, gains), f"{outcome.distance:.1e}{agrees}"])
    print(header("Training steps with kernels, fp32"))
    columns = ["model", "flags alone", "kernels, as found", "kernels, with flags", "gradients"]
    print(table(columns, rows))


def _ratio(one: Gain) -> str:
    return f"{one.ratio:.3f}x [{one.low:.3f}, {one.high:.3f}]"


if __name__ == "__main__":
    main()
