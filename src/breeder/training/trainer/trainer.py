"""The training loop: what one update is, when losses are taken, when the state is saved."""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from breeder.errors import NothingAchievedError, RunError
from breeder.models.pytorch import functional, torch
from breeder.training.acceleration import accelerate
from breeder.training.trainer import checkpoint
from breeder.training.trainer.checkpoint import Position
from breeder.training.trainer.corpus import Corpus, Windows
from breeder.training.trainer.settings import TrainingSettings, learning_rate

METRICS = "metrics.jsonl"
_RECENT = 20  # updates over which speed is averaged
_HELD_OUT_SEQUENCES = 64


@dataclass(frozen=True, slots=True)
class Update:
    """What one update came to; a line of the metrics file.

    Attributes:
        step: number of updates made, this one included.
        loss: mean cross-entropy of its tokens before the update, in nats.
        rate: learning rate.
        gradient_norm: before clipping.
        tokens: read so far.
        seconds: wall time of training so far.
        tokens_per_second: of the last updates.
        seconds_left: estimated wall time to the end.
        held_out_loss: mean cross-entropy of held-out tokens after it, where it was taken.
    """

    step: int
    loss: float
    rate: float
    gradient_norm: float
    tokens: int
    seconds: float
    tokens_per_second: float
    seconds_left: float
    held_out_loss: float | None = None


Watch = Callable[[Update], None]


class Trainer:
    """Trains a model on a corpus, in a folder that holds checkpoint and metrics.

    Args:
        model: token ids (batch, row) in, logits out; its trained parameters require gradients.
        corpus: what it learns, and what is held out.
        settings: how.
        folder: exists; holds `checkpoint.safetensors` where training is to go on.
        watch: is told each update.

    Raises:
        UserError: the text is too short for one sequence.
        RunError: the checkpoint is damaged, or belongs to another model or text.
    """

    def __init__(
        self, model: Any, corpus: Corpus, settings: TrainingSettings, folder: Path, watch: Watch
    ) -> None:
        self._model, self._settings, self._folder, self._watch = model, settings, folder, watch
        self._train = Windows(corpus.train, settings.length, settings.seed, "training")
        self._held_out = Windows(corpus.held_out, settings.length, None, "held-out")
        self._corpus = corpus.digest()
        self._optimiser = optimiser(model, settings)
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self.position = Position(0, 0, 0.0, self._corpus)
        if (folder / checkpoint.FILE).is_file():
            self._restore()
        else:
            torch.manual_seed(settings.seed)

    def run(self, stopped: Callable[[], bool]) -> str:
        """Train until the last step, or until `stopped` says so after a step.

        Returns:
            What kernels did, in lines; empty without them.

        Raises:
            NothingAchievedError: the loss is no longer a number. The last checkpoint stays.
        """
        if not self._settings.kernels:
            self._run(stopped)
            return ""
        # Of everything on this thread, the loss included.
        with accelerate(None, self._optimiser) as kernels:
            self._run(stopped)
            return kernels.report()

    def held_out_loss(self) -> float:
        """Mean cross-entropy of held-out tokens, in nats; the same sequences every time."""
        count = min(self._held_out.count, _HELD_OUT_SEQUENCES)
        size, total = self._settings.batch, 0.0
        self._model.eval()
        with torch.no_grad():
            for start in range(0, count, size):
                inputs, targets = self._held_out.batch(start, min(size, count - start))
                total += self._loss(inputs, targets).item() * len(inputs)
        self._model.train()
        return total / count

    def _run(self, stopped: Callable[[], bool]) -> None:
        settings = self._settings
        self._model.train()
        with (self._folder / METRICS).open("a", encoding="utf-8") as metrics:
            while self.position.step < settings.steps:
                update = self._update()
                metrics.write(json.dumps(asdict(update)) + "\n")
                metrics.flush()
                self._watch(update)
                ends = self.position.step == settings.steps or stopped()
                if ends or self.position.step % settings.save_every == 0:
                    checkpoint.save(self._folder, self._model, self._optimiser, self.position)
                if ends:
                    return

    def _update(self) -> Update:
        settings, begun = self._settings, time.monotonic()
        rate = learning_rate(settings, self.position.step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        loss, norm = self._descend()
        step = self.position.step + 1
        sequences = self.position.sequences + settings.batch * settings.accumulate
        # Held-out losses count as training time, so that the estimate includes those to come.
        last = step % settings.evaluate_every == 0 or step == settings.steps
        held_out = self.held_out_loss() if last else None
        self._recent.append(time.monotonic() - begun)
        each = sum(self._recent) / len(self._recent)
        seconds = self.position.seconds + self._recent[-1]
        self.position = Position(step, sequences, seconds, self._corpus)
        return Update(
            step=step,
            loss=loss,
            rate=rate,
            gradient_norm=norm,
            tokens=sequences * settings.length,
            seconds=seconds,
            tokens_per_second=settings.batch * settings.accumulate * settings.length / each,
            seconds_left=(settings.steps - step) * each,
            held_out_loss=held_out,
        )

    def _descend(self) -> tuple[float, float]:
        """One update of the weights: its loss and the norm of its gradient."""
        settings, total = self._settings, 0.0
        for part in range(settings.accumulate):
            position = self.position.sequences + part * settings.batch
            inputs, targets = self._train.batch(position, settings.batch)
            loss = self._loss(inputs, targets) / settings.accumulate
            loss.backward()
            total += loss.item()
        parameters = list(checkpoint.trained(self._model).values())
        norm = torch.nn.utils.clip_grad_norm_(parameters, settings.clip or math.inf).item()
        if not math.isfinite(total) or not math.isfinite(norm):
            raise NothingAchievedError(
                f"update {self.position.step + 1}: the loss is {total}, the norm of the gradient "
                f"{norm}; start again with a lower --rate or a longer --warm-up"
            )
        self._optimiser.step()
        self._optimiser.zero_grad()
        return total, norm

    def _loss(self, inputs: Any, targets: Any) -> Any:
        narrow = self._settings.dtype == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
            logits = self._model(inputs)
        return functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())

    def _restore(self) -> None:
        self.position = checkpoint.restore(self._folder, self._model, self._optimiser)
        if self.position.corpus != self._corpus:
            raise RunError(f"{self._folder}: its text changed since the checkpoint")
        _forget_after(self._folder / METRICS, self.position.step)


def optimiser(model: Any, settings: TrainingSettings) -> Any:
    """AdamW (Loshchilov and Hutter, 2019, arXiv:1711.05101) in its fused form.

    Weights of two dimensions decay, biases and norms do not.
    """
    parameters = list(checkpoint.trained(model).values())
    groups: list[dict[str, Any]] = [
        {"params": [one for one in parameters if one.ndim >= 2]},
        {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.rate,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=True,
    )


def _forget_after(path: Path, step: int) -> None:
    """Drop the metrics of updates that were made after the checkpoint; they will be made again."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            break  # a line that was cut off by a crash
    path.write_text("".join(kept), encoding="utf-8")
