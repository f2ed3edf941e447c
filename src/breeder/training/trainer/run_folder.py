"""A training run as a folder: what it is to do, its text, its checkpoint, and what came of it.

run.json                 model, settings, threads
train.npy, held_out.npy  token ids
tokenizer.json           unless ids are bytes or the model brings its own
metrics.jsonl            a line per update
checkpoint.safetensors   from which it goes on
model/ or adapter/       the result: a model folder, or adapters as PEFT's
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from breeder.archive.lock import WriterLock
from breeder.errors import ConfigError, RunError
from breeder.models import PRESETS, Bytes, Decoder, LoadedModel, load, preset, save, tokenizers
from breeder.models.loading import tokenizer_of
from breeder.models.pytorch import torch
from breeder.training.trainer import lora
from breeder.training.trainer.checkpoint import FILE as CHECKPOINT
from breeder.training.trainer.corpus import Corpus, tokenised
from breeder.training.trainer.settings import TrainingSettings
from breeder.training.trainer.text import documents
from breeder.training.trainer.trainer import Trainer, Watch

FILE, MODEL, ADAPTER, KERNELS = "run.json", "model", "adapter", "kernels.txt"


class Plan(BaseModel):
    """What a run is to do, as its folder says.

    Attributes:
        model: name of a preset, or the absolute path of a model.
        digest: SHA-256 of the model's files; empty for a preset.
        tokenizer: absolute path of a `tokenizer.json` in place of the model's own, or empty.
        vocabulary: size of a vocabulary that is learnt from the text; 0 for none.
        settings: how to train.
        threads: that torch uses; sums depend on it in their last digit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    digest: str = ""
    tokenizer: str = ""
    vocabulary: int = 0
    settings: TrainingSettings
    threads: int


class TrainingRun:
    """A run's folder, opened.

    Args:
        folder: holds `run.json`.

    Raises:
        RunError: it does not, or that is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / FILE
        if not path.is_file():
            raise RunError(f"{folder}: is no training run; it has no {FILE}")
        try:
            self.plan = Plan.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            key = ".".join(map(str, error.errors()[0]["loc"]))
            raise RunError(f"{path}: {key}: {error.errors()[0]['msg']}") from None

    @property
    def result(self) -> Path:
        """Where the result is written."""
        return self.folder / (ADAPTER if self.plan.settings.lora else MODEL)

    def train(self, watch: Watch, stopped: Callable[[], bool]) -> bool:
        """Go on from the checkpoint, or begin, until the end or `stopped`; write the result.

        Returns:
            Whether the last update was made.

        Raises:
            RunError: another process trains here, or the folder was changed or damaged.
            NothingAchievedError: the loss is no longer a number.
            UserError: a package is missing, or the disk is full.
        """
        lock = WriterLock(self.folder)
        try:
            torch.set_num_threads(self.plan.threads)
            model = self._model()
            corpus = Corpus.open(self.folder)
            trainer = Trainer(model.decoder, corpus, self.plan.settings, self.folder, watch)
            told = trainer.run(stopped)
            if told:
                (self.folder / KERNELS).write_text(told + "\n", encoding="utf-8")
            self._write(model)
            return trainer.position.step == self.plan.settings.steps
        finally:
            lock.release()

    def trained(self) -> LoadedModel:
        """The model that came of the run so far, adapters merged.

        Raises:
            RunError: there is none yet.
        """
        if not self.result.is_dir():
            raise RunError(f"{self.folder}: has no result yet; run: breeder train resume")
        if self.plan.settings.lora is None:
            return load(self.result)
        model = _base(self.plan, self.folder)
        lora.merge(lora.load_adapter(model.decoder, self.result))
        return model

    def _model(self) -> LoadedModel:
        settings = self.plan.settings
        if self.plan.digest != _digest(self.plan.model):
            raise RunError(f"{self.plan.model}: has changed since {self.folder} was started")
        model = _base(self.plan, self.folder)
        if settings.length > model.decoder.config.context:
            raise ConfigError(
                f"--length {settings.length} is more than the model's context "
                f"{model.decoder.config.context}"
            )
        if settings.lora is not None:
            lora.attach(model.decoder, settings.lora, settings.seed)
        return model

    def _write(self, model: LoadedModel) -> None:
        settings = self.plan.settings
        if settings.lora is not None:
            lora.save_adapter(model.decoder, self.result, settings.lora, self.plan.model)
        else:
            save(model, self.result)


def start(
    folder: Path,
    plan: Plan,
    texts: Sequence[Path],
    limit: int,
    told: Callable[[int, int], None],
) -> TrainingRun:
    """Set up a run: read the text, learn a vocabulary where asked for, write the folder.

    Args:
        folder: new or empty.
        plan: what to do; its digest is filled in.
        texts: files and folders; nothing for the Python sources of the environment.
        limit: bytes of text at most.
        told: is called with texts tokenised and texts in all.

    Raises:
        RunError: the folder is in use.
        UserError: no such text, model or tokenizer; or a package is missing.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(f"{folder}: exists and is not empty; choose another folder, or resume it")
    read = documents(texts, limit, plan.settings.seed)
    words = _tokenizer(plan, read)
    corpus = tokenised(read, words, told)
    plan = plan.model_copy(update={"digest": _digest(plan.model)})
    folder.mkdir(parents=True, exist_ok=True)
    corpus.save(folder)
    if plan.model in PRESETS:
        words.save(folder)
    # Last, as it makes the folder a run.
    partial = folder / f"{FILE}.partial"
    partial.write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
    os.replace(partial, folder / FILE)
    return TrainingRun(folder)


def begun(folder: Path) -> bool:
    """Whether a run has a checkpoint."""
    return (folder / CHECKPOINT).is_file()


def _tokenizer(plan: Plan, texts: Sequence[str]) -> tokenizers.Tokenizer:
    if plan.model not in PRESETS:
        return tokenizer_of(Path(plan.model), _given(plan))
    if plan.vocabulary:
        return tokenizers.learnt(texts, plan.vocabulary)
    given = _given(plan)
    return Bytes() if given is None else tokenizers.read(given)


def _given(plan: Plan) -> Path | None:
    return Path(plan.tokenizer) if plan.tokenizer else None


def _base(plan: Plan, folder: Path) -> LoadedModel:
    """The model before training."""
    settings = plan.settings
    if plan.model in PRESETS:
        file = folder / tokenizers.FILE
        words: tokenizers.Tokenizer = tokenizers.read(file) if file.is_file() else Bytes()
        decoder = Decoder(preset(plan.model, words.vocabulary)).initialise(settings.seed)
        return LoadedModel(decoder, words)
    # Frozen weights may be narrow; those that are trained may not.
    narrow = settings.lora is not None and settings.dtype == "bfloat16"
    dtype: Any = torch.bfloat16 if narrow else torch.float32
    return load(Path(plan.model), dtype, _given(plan))


def _digest(model: str) -> str:
    """SHA-256 over names and contents of a model's files; empty for a preset."""
    if model in PRESETS:
        return ""
    path = Path(model)
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    hasher = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as opened:
                inner = hashlib.file_digest(opened, "sha256").hexdigest()
        except FileNotFoundError:
            raise ConfigError(f"model {model} does not exist") from None
        hasher.update(json.dumps([file.name, inner]).encode())
    return hasher.hexdigest()
