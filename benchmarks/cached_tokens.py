"""CPU time that a local server spends on reading the prompts of a run, by their layout.

    python benchmarks/cached_tokens.py [--model SPEC] [--requests 96] [--samples 4]

The prompts are those of a simulated run (see `prefix_reuse.py`): real archive, draws and prompts,
scripted answers. They are sent in their order to a model on this machine, which keeps what it has
read (llama.cpp's cache of prompt prefixes); one token is asked for, so that reading is what costs.
Every prompt is sent as often as samples are drawn of it, one request after the other. Each layout
gets a process of its own, and loading is not counted. The volatile-first layout holds the same
contents, see `prefix_reuse.volatile_first`. Prompts have room for so few tokens because a small
model on a processor reads about a hundred a second.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from typing import NamedTuple

from breeder.proposers.llm.local.model import open_local
from breeder.proposers.llm.model import Prompt, Sampling
from breeder.proposers.llm.prefix import PrefixMeter
from prefix_reuse import CHILDREN, Simulation, volatile_first
from record import header, table

BAR = 3.0
_ONE_TOKEN = Sampling(temperature=0.0, max_tokens=1)


class Reading(NamedTuple):
    """What reading the prompts of a run took: tokens, those from the cache, CPU seconds."""

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


async def read(spec: str, prompts: Sequence[Prompt]) -> Reading:
    """Send the prompts one after the other to a fresh process."""
    model = open_local(spec, threads=1)
    tokens = cached = 0
    seconds = 0.0
    try:
        await model.warm()
        model.book()
        for prompt in prompts:
            used = (await model.sample(prompt, _ONE_TOKEN)).usage
            tokens += used.prompt_tokens
            cached += used.cached_tokens
            seconds += used.cpu_seconds
    finally:
        await model.close()
    return Reading(tokens, cached, seconds)


async def measure(chosen: argparse.Namespace) -> bool:
    """Print the table; whether the bar is met."""
    count = chosen.requests // chosen.samples
    ours = await prompts_of(chosen.task, count, chosen.room)
    layouts = {"ours": ours, "volatile first": [volatile_first(prompt) for prompt in ours]}
    found, rows = {}, []
    for name, prompts in layouts.items():
        sent = [prompt for prompt in prompts for _ in range(chosen.samples)]
        meter = PrefixMeter()
        for prompt in prompts:
            meter.record(prompt, samples=chosen.samples)
        reading = found[name] = await read(chosen.model, sent)
        rows.append(
            (
                name,
                len(sent),
                f"{reading.tokens / len(sent):.0f}",
                f"{meter.share:.1%}",
                f"{reading.cached / reading.tokens:.1%}",
                f"{reading.cpu_seconds:.1f}",
            )
        )
    ratio = found["volatile first"].cpu_seconds / found["ours"].cpu_seconds
    title = f"Prompts read by {chosen.model}, {chosen.task}, {chosen.samples} sent of each"
    print(header(title))
    columns = ("layout", "requests", "tokens a prompt", "prefix share (endless cache)",
               "tokens from the cache", "CPU s")  # fmt: skip
    print(table(columns, rows))
    print(f"\n{ratio:.2f} times fewer CPU seconds (bar {BAR:g})")
    return ratio >= BAR


def main() -> int:
    """Print the table; 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="local:smollm2-135m")
    parser.add_argument("--requests", type=int, default=96)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--task", default="systems/online_bin_packing")
    parser.add_argument("--room", type=int, default=1000, help="most tokens of a prompt")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return 0 if asyncio.run(measure(parser.parse_args())) else 1


if __name__ == "__main__":
    raise SystemExit(main())
