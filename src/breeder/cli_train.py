"""The commands `breeder train ...`: parse, call, print."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from breeder.errors import ConfigError
from breeder.options import JsonOption, print_json

if TYPE_CHECKING:
    from breeder.models import LoadedModel
    from breeder.training.trainer.run_folder import TrainingRun
    from breeder.training.trainer.trainer import Update

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train small decoders: from scratch, or by LoRA. Needs the extra `torch`.",
)

RunFolder = Annotated[Path, typer.Argument(help="A training run's folder.", metavar="RUN")]
_MEGABYTE = 1_000_000


@app.command()
def start(  # noqa: PLR0913 - one parameter per flag is what a command line is
    out: Annotated[Path, typer.Argument(help="Folder of the run, new.", metavar="RUN")],
    texts: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Text files and folders.  [default: Python sources of this environment]",
            metavar="TEXT",
        ),
    ] = None,
    *,
    model: Annotated[
        str,
        typer.Option(
            help="gpt-nano, gpt-micro or gpt-30m from scratch; a model folder, a GGUF file or a "
            "name of `breeder models list` to fine-tune."
        ),
    ] = "gpt-nano",
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="A tokenizer.json.  [default: the model's own; bytes from scratch]"),
    ] = None,
    vocabulary: Annotated[
        int | None,
        typer.Option(min=257, help="Learn a vocabulary of so many tokens from the text."),
    ] = None,
    megabytes: Annotated[float, typer.Option(min=0.001, help="Text to read at most.")] = 20.0,
    full: Annotated[
        bool, typer.Option("--full", help="Fine-tune all weights instead of by LoRA.")
    ] = False,
    lora_r: Annotated[int | None, typer.Option(help="Rank of LoRA.  [default: 8]")] = None,
    lora_alpha: Annotated[float | None, typer.Option(help="Weight of LoRA.  [default: 16]")] = None,
    lora_targets: Annotated[
        str | None,
        typer.Option(help="Layers that LoRA changes.  [default: q_proj,k_proj,v_proj,o_proj]"),
    ] = None,
    lora_dropout: Annotated[float | None, typer.Option(help="Of LoRA.  [default: 0]")] = None,
    steps: Annotated[int | None, typer.Option(help="Updates.  [default: 1000]")] = None,
    batch: Annotated[int | None, typer.Option(help="Sequences per pass.  [default: 8]")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Passes per update.  [default: 1]")] = None,
    length: Annotated[int | None, typer.Option(help="Tokens a sequence.  [default: 256]")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate.  [default: 0.001]")] = None,
    warm_up: Annotated[int | None, typer.Option(help="Updates of warm-up.  [default: 50]")] = None,
    final_rate: Annotated[
        float | None, typer.Option(help="Share of the rate at the end.  [default: 0.1]")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="[default: 0.1]")] = None,
    clip: Annotated[
        float | None, typer.Option(help="Largest gradient norm, 0 for any.  [default: 1]")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32 or bfloat16.  [default: float32]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of every random choice.  [default: 0]")] = None,
    evaluate_every: Annotated[
        int | None, typer.Option(help="Updates between held-out losses.  [default: 100]")
    ] = None,
    save_every: Annotated[
        int | None, typer.Option(help="Updates between checkpoints.  [default: 100]")
    ] = None,
    kernels: Annotated[
        bool | None, typer.Option(help="Use checked kernels where faster.  [default: kernels]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a small decoder on text.

    Ctrl-C once finishes the update and saves, twice stops now; `breeder train resume` goes on.
    """
    given = {
        "steps": steps, "batch": batch, "accumulate": accumulate, "length": length, "rate": rate,
        "warm_up": warm_up, "final_rate": final_rate, "weight_decay": weight_decay, "clip": clip,
        "dtype": dtype, "seed": seed, "evaluate_every": evaluate_every, "save_every": save_every,
        "kernels": kernels,
    }  # fmt: skip
    adapted = {
        "r": lora_r, "alpha": lora_alpha, "dropout": lora_dropout,
        "targets": None if lora_targets is None else tuple(lora_targets.split(",")),
    }  # fmt: skip
    values = {name: value for name, value in given.items() if value is not None}
    lora = {name: value for name, value in adapted.items() if value is not None}
    _start(
        out, texts or [], model=model, tokenizer=tokenizer, vocabulary=vocabulary,
        megabytes=megabytes, values=values, lora=lora, full=full, as_json=as_json,
    )  # fmt: skip


@app.command()
def resume(run: RunFolder, *, as_json: JsonOption = False) -> None:
    """Go on with a stopped or killed training run, exactly where its checkpoint is."""
    from breeder.training.trainer.run_folder import TrainingRun

    _sit(TrainingRun(run), as_json=as_json)


@app.command()
def sample(
    model: Annotated[
        str, typer.Argument(help="A training run, a model folder or a GGUF file.", metavar="MODEL")
    ],
    prompt: Annotated[str, typer.Argument(help="Text to continue.")],
    *,
    tokens: Annotated[int, typer.Option(min=1, help="How many to add at most.")] = 100,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
) -> None:
    """Continue a prompt with what a model learnt."""
    from breeder.models import generate

    loaded = _loaded(model)
    made = []
    begun = loaded.tokenizer.encode(prompt)
    for token in generate(loaded.decoder, begun, tokens, temperature=temperature, seed=seed):
        if token == loaded.tokenizer.end:
            break
        made.append(token)
    typer.echo(prompt + loaded.tokenizer.decode(made))


@app.command()
def merge(
    run: RunFolder,
    out: Annotated[Path, typer.Argument(help="Folder of the model, new.", metavar="OUT")],
) -> None:
    """Write a run's model as a folder of its own, LoRA added to the weights."""
    from breeder.models import save
    from breeder.training.trainer.run_folder import TrainingRun

    if out.exists():
        raise ConfigError(f"{out}: exists; choose another folder")
    save(TrainingRun(run).trained(), out)
    typer.echo(f"wrote {out}")


def _start(  # noqa: PLR0913 - the flags of `start`, grouped
    out: Path,
    texts: list[Path],
    *,
    model: str,
    tokenizer: Path | None,
    vocabulary: int | None,
    megabytes: float,
    values: dict[str, Any],
    lora: dict[str, Any],
    full: bool,
    as_json: bool,
) -> None:
    from breeder.cli_views import console
    from breeder.models import PRESETS
    from breeder.models.pytorch import torch
    from breeder.report.training_view import TrainingView
    from breeder.training.trainer import run_folder
    from breeder.training.trainer.settings import TrainingSettings

    scratch = model in PRESETS
    if lora and (full or scratch):
        raise ConfigError("--lora-... adapts a model that is fine-tuned without --full")
    if vocabulary and (not scratch or tokenizer):
        raise ConfigError("--vocabulary is for a model from scratch without --tokenizer")
    if not scratch and not full:
        values["lora"] = lora
    settings = TrainingSettings.checked(values)
    plan = run_folder.Plan(
        model=model if scratch else str(_path(model)),
        tokenizer="" if tokenizer is None else str(tokenizer.absolute()),
        vocabulary=vocabulary or 0,
        settings=settings,
        threads=torch.get_num_threads(),
    )
    view = TrainingView(console(), settings.steps, quiet=as_json)
    run = run_folder.start(out, plan, texts, round(megabytes * _MEGABYTE), view.read)
    _sit(run, as_json=as_json)


def _sit(run: TrainingRun, *, as_json: bool) -> None:
    from breeder.cli_views import console
    from breeder.report.training_view import TrainingView

    updates: list[Update] = []
    steps = run.plan.settings.steps
    with TrainingView(console(), steps, quiet=as_json) as view, _signal() as stopped:

        def watch(update: Update) -> None:
            updates[:] = [update]
            view.show(update)

        finished = run.train(watch, lambda: bool(stopped))
    if as_json:
        print_json(_facts(run, updates, finished=finished))
    else:
        _tell(run, finished=finished)
    if not finished:
        raise typer.Exit(3)


def _tell(run: TrainingRun, *, finished: bool) -> None:
    from breeder.training.trainer.run_folder import KERNELS

    kernels = run.folder / KERNELS
    if kernels.is_file():
        typer.echo(kernels.read_text(encoding="utf-8").rstrip())
    if finished:
        typer.echo(f"finished; the result is in {run.result}")
        typer.echo(f"try it: breeder train sample {run.folder} 'def '")
    else:
        typer.echo(f"stopped after a checkpoint; go on with: breeder train resume {run.folder}")


def _facts(run: TrainingRun, updates: list[Update], *, finished: bool) -> dict[str, Any]:
    from dataclasses import asdict

    last = asdict(updates[-1]) if updates else None
    status = "finished" if finished else "stopped"
    return {"status": status, "result": str(run.result), "last": last}


@contextmanager
def _signal() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM; the second SIGINT raises KeyboardInterrupt."""
    seen: list[int] = []

    def note(number: int, _: object) -> None:
        if seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen.append(number)

    before = {one: signal.signal(one, note) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _path(model: str) -> Path:
    from breeder.proposers.llm.local.folder import resolve

    path = Path(model).expanduser()
    return path.absolute() if path.is_dir() else resolve(model)


def _loaded(model: str) -> LoadedModel:
    from breeder.models import load
    from breeder.training.trainer.run_folder import FILE, TrainingRun

    path = Path(model).expanduser()
    return TrainingRun(path).trained() if (path / FILE).is_file() else load(_path(model))
