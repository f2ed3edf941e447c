"""CPU time that a local server spends on reading the prompts of a run, by their layout.

    python benchmarks/cached_tokens.py [--model SPEC] [--answers 96] [--samples 4]

The prompts are those of a simulated run (see `prefix_reuse.py`): real archive, draws and prompts,
scripted answers. They are sent in their order to a model on this machine, which keeps what it has
read (llama.cpp's cache of prompt prefixes); one token is asked for, so that reading is what costs.
All samples of a prompt are asked for together, as a run does; with `--apart` one request after the
other, as it does where an endpoint gives one answer at a time. Each layout gets a process of its
own; they take turns, and loading is not counted. The volatile-first layout holds the same contents,
see `prefix_reuse.volatile_first`. Prompts have room for so few tokens because a small model on a
processor reads about a hundred a second.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from breeder.proposers.llm.local.model import LocalModel, open_local
from breeder.proposers.llm.model import Prompt, Sampling
from breeder.proposers.llm.prefix import PrefixMeter
from prefix_reuse import CHILDREN, Simulation, volatile_first
from record import bootstrap, header, table

BAR = 3.0
_ONE_TOKEN = Sampling(temperature=0.0, max_tokens=1)


Layouts = Mapping[str, Sequence[Prompt]]
"""Name of a layout -> the same prompts in it."""


class Reading(NamedTuple):
    """What a prompt took, sent so often: tokens, those from the cache, CPU seconds."""

    tokens: int
    cached: int
    cpu_seconds: float


async def prompts_of(task: str, count: int, room: int) -> list[Prompt]:
    """The prompts of a simulated run, in order."""
    simulation = Simulation(task, seed=1, room=room)
    made = []
    for _ in range(count):
        parents = simulation.draw()
        made.append(simulation.prompt(parents))
        for _ in range(CHILDREN):
            await simulation.answer(parents)
    return made


async def read(model: LocalModel, prompt: Prompt, samples: int, *, apart: bool) -> Reading:
    """Ask for so many answers of one token: in one request, as a run does, or one at a time."""
    tokens = cached = 0
    seconds = 0.0
    for count in [1] * samples if apart else [samples]:
        used = (await model.sample(prompt, _ONE_TOKEN, count=count)).usage
        # Answers that are drawn together share one reading of their prompt.
        tokens += used.prompt_tokens * count
        cached += used.cached_tokens + used.prompt_tokens * (count - 1)
        seconds += used.cpu_seconds
    return Reading(tokens, cached, seconds)


async def read_all(layouts: Layouts, chosen: argparse.Namespace) -> dict[str, list[Reading]]:
    """What reading each prompt took in each layout.

    Each layout has a process of its own, with nothing in its cache. They take turns, prompt by
    prompt, so that a load that comes and goes meets both alike.
    """
    models = {name: open_local(chosen.model, threads=1) for name in layouts}
    found: dict[str, list[Reading]] = {name: [] for name in layouts}
    try:
        for model in models.values():
            await model.warm()
            model.book()
        count = len(next(iter(layouts.values())))
        for number in range(count):
            for name, prompts in layouts.items():
                how = (prompts[number], chosen.samples)
                found[name].append(await read(models[name], *how, apart=chosen.apart))
            print(f"{number + 1} of {count} prompts", end="\r", file=sys.stderr, flush=True)
    finally:
        for model in models.values():
            await model.close()
    return found


def ratio_of(ours: Sequence[Reading], other: Sequence[Reading]) -> tuple[float, float, float]:
    """CPU seconds of the other layout over ours, and its interval over the prompts."""

    def ratio(chosen: Sequence[float]) -> float:
        mine, theirs = (sum(all_[int(i)].cpu_seconds for i in chosen) for all_ in (ours, other))
        return theirs / max(mine, 1e-9)

    return bootstrap(list(range(len(ours))), ratio)


async def measure(chosen: argparse.Namespace) -> bool:
    """Print the table; whether the bar is met."""
    ours = await prompts_of(chosen.task, chosen.answers // chosen.samples, chosen.room)
    layouts = {"ours": ours, "volatile first": [volatile_first(prompt) for prompt in ours]}
    found, rows = await read_all(layouts, chosen), []
    for name, readings in found.items():
        meter = PrefixMeter()
        for prompt in layouts[name]:
            meter.record(prompt, samples=chosen.samples)
        tokens, cached = (sum(getattr(r, part) for r in readings) for part in ("tokens", "cached"))
        sent = len(readings) * chosen.samples
        share, reused = f"{meter.share:.1%}", f"{cached / tokens:.1%}"
        seconds = sum(reading.cpu_seconds for reading in readings)
        rows.append((name, sent, f"{tokens / sent:.0f}", share, reused, f"{seconds:.1f}"))
    ratio, low, high = ratio_of(found["ours"], found["volatile first"])
    print(
        header(f"Prompts read by {chosen.model}, {chosen.task}, {chosen.samples} answers to each")
    )
    columns = ("layout", "answers", "tokens a prompt", "prefix share (endless cache)",
               "tokens from the cache", "CPU s")  # fmt: skip
    print(table(columns, rows))
    print(f"\n{ratio:.2f} [{low:.2f}, {high:.2f}] times fewer CPU seconds (bar {BAR:g})")
    return ratio >= BAR


def main() -> int:
    """Print the table; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="local:smollm2-135m")
    parser.add_argument("--answers", type=int, default=96, help="to all prompts together")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--apart", action="store_true", help="a request for each sample")
    parser.add_argument("--task", default="systems/online_bin_packing")
    parser.add_argument("--room", type=int, default=1000, help="most tokens of a prompt")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return 0 if asyncio.run(measure(parser.parse_args())) else 1


if __name__ == "__main__":
    raise SystemExit(main())
