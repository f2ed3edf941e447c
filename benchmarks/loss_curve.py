"""Loss over 500 steps, same seed, with kernels and without, against the spread of two seeds.

    python benchmarks/loss_curve.py [--folder runs/loss_curve] [--steps 500] [--model gpt-micro]

Needs torch. Three runs of the trainer on the Python sources of the environment, read as bytes:
PyTorch with seed 0 and 1, kernels with seed 0. Runs that were stopped go on; finished ones are
kept. The curves are means over 25 steps; the question is whether kernels move the curve of seed 0
less than another seed does. The text is the same for all three.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean

from breeder.training.trainer import run_folder
from breeder.training.trainer.settings import TrainingSettings
from breeder.training.trainer.text import documents
from breeder.training.trainer.trainer import METRICS, Update
from record import header, table

SMOOTHED = 25
BYTES = 4_000_000


def text(folder: Path) -> Path:
    """A file with the text that all runs read; its tail is held out."""
    path = folder / "text.py.txt"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(documents([], BYTES, seed=0)), encoding="utf-8")
    return path


def curve(folder: Path, settings: TrainingSettings, model: str) -> tuple[list[float], list[float]]:
    """Losses of every step, and the held-out ones, of a run that is made where it is not there."""
    if not (folder / run_folder.FILE).is_file():
        plan = run_folder.Plan(model=model, settings=settings, threads=1)
        source = text(folder.parent)
        run_folder.start(folder, plan, [source], 2 * BYTES, lambda done, count: None)
    run = run_folder.TrainingRun(folder)

    def show(update: Update) -> None:
        if update.step % 50 == 0:
            print(f"{folder.name}: step {update.step}, loss {update.loss:.4f}", flush=True)

    if not run.train(show, lambda: False):
        raise SystemExit(f"{folder}: did not finish")
    lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
    updates = [Update(**json.loads(line)) for line in lines]
    held_out = [one.held_out_loss for one in updates if one.held_out_loss is not None]
    return [one.loss for one in updates], held_out


def smoothed(losses: list[float]) -> list[float]:
    """Means over `SMOOTHED` steps."""
    return [fmean(losses[i : i + SMOOTHED]) for i in range(0, len(losses), SMOOTHED)]


def distance(first: list[float], second: list[float]) -> list[float]:
    """Absolute differences."""
    return [abs(a - b) for a, b in zip(first, second, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Loss with and without kernels.")
    parser.add_argument("--folder", type=Path, default=Path("runs/loss_curve"))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--model", default="gpt-micro")
    options = parser.parse_args()
    values = {
        "steps": options.steps, "batch": 2, "length": 256, "warm_up": 50, "rate": 1e-3,
        "evaluate_every": 100, "save_every": 50,
    }  # fmt: skip
    found = {}
    for name, seed, kernels in (
        ("pytorch-0", 0, False),
        ("pytorch-1", 1, False),
        ("kernels-0", 0, True),
    ):
        settings = TrainingSettings.checked({**values, "seed": seed, "kernels": kernels})
        found[name] = curve(options.folder / name, settings, options.model)
    print(header(f"Loss of {options.model} over {options.steps} steps"))
    curves = {name: smoothed(losses) for name, (losses, _) in found.items()}
    lines = [
        [name, f"{curves[name][0]:.4f}", f"{curves[name][-1]:.4f}", f"{held_out[-1]:.4f}"]
        for name, (_, held_out) in found.items()
    ]
    print(table(["run", "first 25 steps", "last 25 steps", "held out at the end"], lines))
    ours = distance(curves["pytorch-0"], curves["kernels-0"])
    seeds = distance(curves["pytorch-0"], curves["pytorch-1"])
    raw = distance(found["pytorch-0"][0], found["kernels-0"][0])
    print(
        f"\nkernels against PyTorch, same seed: mean {fmean(ours):.2e}, most {max(ours):.2e} "
        f"(single steps: most {max(raw):.2e})\n"
        f"two seeds of PyTorch: mean {fmean(seeds):.2e}, most {max(seeds):.2e}\n"
        f"points where kernels are farther: {sum(a > b for a, b in zip(ours, seeds, strict=True))} "
        f"of {len(ours)}"
    )


if __name__ == "__main__":
    main()
