"""Malformed answers over HTTP, each kind alone and all mixed at 30 %: what of the budget is lost?

Each run evolves the scaffolded task in the sandbox, with the model-free proposers beside a model
behind a server on this machine that sends nonsense. An evaluation is lost when it was not made, or
was spent on a program that no usable answer stands behind.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from record import header, table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.malformed.answers import ANSWERS
from tests.proposers.llm.fake_server import (
    Action,
    FakeServer,
    Hang,
    Reset,
    Send,
    completion,
    html,
    refusal,
    usage,
)

from breeder import scaffold
from breeder.archive.store import Store
from breeder.config import BudgetConfig, RunConfig
from breeder.errors import BreederError
from breeder.proposers.llm.record import read_record
from breeder.proposers.llm.settings import ModelConfig
from breeder.runner import Run
from breeder.task import Task
from breeder.task_formats import load

TIMEOUT = 60.0  # seconds
HANGING = 2.0  # the same where the endpoint hangs, so that it is found out within a short run
HEAD = "def urgency(duration: float, weight: float, due: float, now: float) -> float:"
MARK = "    # usable\n"

SAME = "    slack = due - now - duration\n    return -1.0 * slack\n"
TEXTS = {
    **{kind: text for kind, (text, _) in ANSWERS.items()},
    "unchanged": f"```python\n{HEAD}\n{SAME}```",
}
FAILURES: dict[str, Action] = {
    "reply is no JSON": Send(b'{"choices": [{"mess'),
    "reply is HTML": html(),
    "400": refusal(400, "this model's maximum context length is 4096 tokens"),
    "429": refusal(429, "rate limit reached"),
    "500": refusal(500, "internal error"),
    "503": refusal(503, "overloaded"),
    "reset": Reset(),
    "hang": Hang(),
}
FATAL: dict[str, Action] = {
    "401, wrong key": refusal(401, "Incorrect API key provided"),
    "404, wrong model": refusal(404, "The model does not exist", "model_not_found"),
}


class Found(NamedTuple):
    """What one run came to."""

    reason: str
    evaluations: int
    by_model: int
    lost: int
    refused: Counter[str]
    losses: Counter[str]
    requests: int
    tokens: int


def usable(number: int, count: int) -> Action:
    """A reply whose answers can be used, none twice the same."""
    texts = (
        f"```python\n{HEAD}\n{MARK}    return weight / duration - {number}.{i}1 * due\n```"
        for i in range(count)
    )
    return completion(*texts, usage=usage(500, 60 * count))


def malformed(kind: str, count: int) -> Action:
    """The reply of a kind."""
    if kind in TEXTS:
        return completion(*([TEXTS[kind]] * count), usage=usage(500, 60 * count))
    return {**FAILURES, **FATAL}[kind]


def play(task: Task, folder: Path, kinds: tuple[str, ...], rate: float, budget: int) -> Found:
    """One run against a server that sends these kinds at a rate."""
    rng = random.Random(1)

    def script(body: dict[str, Any], number: int) -> Action:
        count = int(body.get("n", 1))
        if rng.random() >= rate:
            return usable(number, count)
        return malformed(rng.choice(kinds), count)

    with FakeServer(script) as server:
        timeout = HANGING if "hang" in kinds else TIMEOUT
        entry = ModelConfig(name="m", endpoint=server.address, timeout=timeout, role="fast")
        settings = RunConfig(
            seed=1, slots=2, model=(entry,), budget=BudgetConfig(evaluations=budget)
        )
        try:
            reason = asyncio.run(Run(task, settings, folder).start()).reason
        except BreederError as error:
            reason = f"stopped: {error}"
        asked = len(server.requests)
    return look(folder, reason, budget, asked)


def look(folder: Path, reason: str, budget: int, asked: int) -> Found:
    """Read from the store what became of the budget."""
    with Store.open(folder, readonly=True) as store:
        programs = [store.program(row.program_id) for row in store.evaluations()]
        discards, team = store.discards(), read_record(store.state("models"))
    own = [program for program in programs if program.proposer == "model:m"]
    unusable = sum(MARK not in "".join(program.files.values()) for program in own)
    model = team.models[0] if team else None
    return Found(
        reason,
        len(programs),
        len(own),
        budget - len(programs) + unusable,
        Counter({why: n for (who, why), n in discards.items() if who == "model:m"}),
        Counter(model.losses if model else {}),
        asked,
        model.prompt_tokens + model.answer_tokens if model else 0,
    )


def listed(counts: Counter[str]) -> str:
    """Counts in words."""
    return ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "-"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--kinds", help="only these, separated by semicolons, each alone")
    chosen = parser.parse_args()
    budget, known = chosen.evaluations, (*TEXTS, *FAILURES, *FATAL)
    kinds = tuple(chosen.kinds.split(";")) if chosen.kinds else known
    if unknown := set(kinds) - set(known):
        parser.error(f"--kinds: no kind {min(unknown)!r}; known: {', '.join(known)}")
    runs: list[tuple[str, tuple[str, ...], float, int]] = [
        (kind, (kind,), 1.0, budget) for kind in kinds
    ]
    if not chosen.kinds:
        runs.append(("all but the last two, 30 %", (*TEXTS, *FAILURES), 0.3, 3 * budget))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        scaffold.new(Path(temporary) / "task")
        task = load(str(Path(temporary) / "task"))
        for number, (name, kinds, rate, most) in enumerate(runs):
            found = play(task, Path(temporary) / str(number), kinds, rate, most)
            stopped = found.reason.startswith("stopped")
            lost = "stopped at once" if stopped else f"{found.lost} of {most}"
            rows.append(
                (name, found.evaluations, found.by_model, lost, listed(found.refused),
                 listed(found.losses), found.requests, found.tokens)
            )  # fmt: skip
            if stopped:
                print(f"{name}: {found.reason}")
    print(header("Malformed answers over HTTP"))
    columns = ("sent", "evaluations", "by the model", "evaluations lost", "answers refused",
               "requests lost", "requests", "tokens")  # fmt: skip
    print(table(columns, rows))


if __name__ == "__main__":
    main()
