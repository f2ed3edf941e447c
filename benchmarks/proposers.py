"""Cost and yield of the proposers that need no model, on three small programs.

Per proposer and language: CPU milliseconds per proposal (median over batches), share of draws that
gave one, share that parses, share whose tree a former proposal had, share whose tree is the
parent's. Nothing is executed; tuning is answered with a made-up fitness.
"""

from __future__ import annotations

import asyncio
import random
import runpy
import time
from collections.abc import Callable
from pathlib import Path

from breeder.core import Elite, Evaluation, Placement, Program
from breeder.proposers.fingerprint import fingerprint
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposer
from breeder.proposers.recombination import RecombinationProposer
from breeder.proposers.syntax import SyntaxProposer
from breeder.proposers.tuning import TuningProposer
from record import header, interval, table

PROGRAMS = Path(__file__).parents[1] / "tests" / "proposers" / "programs.py"
FILES: dict[str, str] = runpy.run_path(str(PROGRAMS))["FILES"]
DRAWS = 1000
BATCH = 50
MAKERS: dict[str, Callable[[Grammar], Proposer]] = {
    "syntax": SyntaxProposer,
    "tuning": TuningProposer,
    "recombination": RecombinationProposer,
}


async def elites(text: str, grammar: Grammar, count: int) -> list[Elite]:
    """The start and programs bred from it by tree edits."""
    rng = random.Random(1)
    found = [Elite(Program("start", {"program": text}), Evaluation(), 0.0)]
    proposer = SyntaxProposer(grammar)
    while len(found) < count:
        made = await proposer.propose(Draw(rng.choice(found), (), rng, 0.0))
        if made is not None:
            program = Program(f"p{len(found)}", made.files)
            found.append(Elite(program, Evaluation(), 0.0))
    return found


async def measure(name: str, language: str) -> list[object]:
    """One row of the table."""
    grammar = Grammar({"program": language})
    proposer = MAKERS[name](grammar)
    population = await elites(FILES[language], grammar, 24)
    rng = random.Random(2)
    seen: set[str] = set()
    offered = sound = again = same = 0
    spent = [0.0] * (DRAWS // BATCH)
    for number in range(DRAWS):
        parent, *others = rng.sample(population, 4)
        begin = time.process_time()
        made = await proposer.propose(Draw(parent, tuple(others), rng, 0.0))
        spent[number // BATCH] += (time.process_time() - begin) * 1e3 / BATCH
        if made is None:
            continue
        offered += 1
        found = fingerprint(made.files, grammar)
        sound += found.parses
        again += found.digest in seen
        same += found.digest == fingerprint(parent.program.files, grammar).digest
        seen.add(found.digest)
        fitness = -float(int(found.digest[:4], 16))
        proposer.learn(Outcome(made, Evaluation(), fitness, 0.0, Placement.REJECTED))
    shares = [f"{part / max(1, offered):.3f}" for part in (sound, again, same)]
    return [name, language, interval(spent[1:], middle=True), f"{offered / DRAWS:.3f}", *shares]


def cost_of_fingerprint(language: str) -> list[float]:
    """CPU milliseconds of a fingerprint with its parse: every text is new."""
    grammar = Grammar({"program": language})
    marker = FILES[language].index("EVOLVE-BLOCK-END")
    line = FILES[language].rindex("\n", 0, marker)
    values = []
    for number in range(200):
        text = FILES[language][:line] + " " * (number + 1) + FILES[language][line:]
        begin = time.process_time()
        fingerprint({"program": text}, grammar)
        values.append((time.process_time() - begin) * 1e3)
    return values


def main() -> None:
    print(header("Proposers that need no model"))
    rows = [asyncio.run(measure(name, language)) for name in MAKERS for language in FILES]
    columns = ["proposer", "language", "CPU ms per draw (median)", "offered"]
    print(table([*columns, "parses", "duplicate", "unchanged"], rows))
    print()
    costs = [
        [language, interval(cost_of_fingerprint(language), ".3f", middle=True)]
        for language in FILES
    ]
    print(table(["language", "fingerprint with parse, CPU ms (median)"], costs))


if __name__ == "__main__":
    main()
