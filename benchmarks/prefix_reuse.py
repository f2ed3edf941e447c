"""Share of prompt text that repeats the beginning of an earlier prompt, on simulated runs.

    python benchmarks/prefix_reuse.py [--prompts 120] [--seeds 3]

Archive, parents, inspirations, prompts and the learned choice between forms of edit are the real
ones. Answers are scripted: in a model's place the model-free proposers edit the parent, four times
per prompt; whether a form applies is drawn by chance, and fitness is a random walk along the
lineage (nothing is evaluated, no model is asked). A share counts bytes of all prompts sent, system
message included, in chunks of 64; an endless cache is assumed. With four samples a prompt counts
four times, and all but the first repeat it in full.

Beside it: the same draws in a layout that begins with what changes most (the parent's metrics,
other programs, the parent) and ends with the task and the answer format, after OpenEvolve's default
template; its system message is the same.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

import breeder
from breeder.archive.archive import Parents
from breeder.archive.islands import IslandArchive
from breeder.core import Elite, Evaluation, Objective, Program
from breeder.proposers.fingerprint import fingerprint
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.failures import FailureLog
from breeder.proposers.llm.formats import FORMS
from breeder.proposers.llm.forms import BATCH, LARGE, Forms
from breeder.proposers.llm.instructions import InstructionBook
from breeder.proposers.llm.model import Prompt
from breeder.proposers.llm.prefix import PrefixMeter
from breeder.proposers.llm.prompt import PromptBuilder, PromptOptions, PromptRequest
from breeder.proposers.llm.reflection import Reflection
from breeder.proposers.mixture import Mixture
from breeder.proposers.proposer import Draw, Outcome
from breeder.proposers.recombination import RecombinationProposer
from breeder.proposers.syntax import SyntaxProposer
from breeder.task import FeatureSection, load_native
from record import header, interval, table

SUITES = Path(breeder.__file__).parent / "suites"
TASKS = (
    "cluster/gpu_scheduling",
    "systems/online_bin_packing",
    "maths/circle_packing",
    "kernels/matmul_tiling",
    "kernels/rmsnorm",
)
BARS = {1: 0.55, 4: 0.85}
CHILDREN = 4
APPLIED = 0.8
CRITIQUE = "Worked:\n- {0}\nFailed:\n- {1}\nTry next:\n- go on from {0}\n"
FEATURES = (FeatureSection(name="size", low=20, high=2000, bins=8, log=True),)


@dataclass(frozen=True, slots=True)
class Shares:
    """Prefix shares of one simulated run, by samples per prompt, and tokens of a prompt."""

    ours: dict[int, float]
    volatile_first: dict[int, float]
    tokens: float


class Simulation:
    """A run without evaluator and model: fitness is drawn, answers are model-free edits.

    Args:
        name: of a task that ships.
        seed: of everything drawn.
        room: most tokens of a prompt.
    """

    def __init__(self, name: str, seed: int, *, room: int = PromptOptions().tokens) -> None:
        task = load_native(SUITES / name)
        self.rng = random.Random(seed)
        self.facts = TaskFacts.of(task, evaluator=(task.folder / "evaluate.py").read_text())
        self.grammar = self.facts.grammar
        self.objective = Objective(task.objectives[0].name)
        self.archive = IslandArchive((self.objective,), FEATURES)
        self.mixture = Mixture([SyntaxProposer(self.grammar), RecombinationProposer(self.grammar)])
        self.builder = PromptBuilder(self.facts, PromptOptions(tokens=room))
        self.book, self.notes, self.failures = InstructionBook(), Reflection(), FailureLog()
        self.forms = Forms(LARGE, batch=BATCH)
        self.best = 0.0
        self.stagnation = 0
        self.archive.place(self._elite(dict(task.files), (), 0.0, 0), 0)

    def draw(self) -> Parents:
        """Parents as the engine draws them."""
        return self.archive.draw(self.rng, inspirations=4)

    def prompt(self, parents: Parents) -> Prompt:
        """Our prompt for these parents."""
        parent = parents.parent
        tried = self.failures.tried(parent.program.id)
        held = {"inspirations", "artifacts", *(["tried"] if tried else [])}
        held |= {"notes"} if self.notes.text else set()
        instruction = self.book.draw(held, self.rng)
        self.book.learn(instruction.id, self.rng.random() ** 4)
        if self.notes.due():
            self.notes.critique(self.facts.goal)
            self.notes.absorb(CRITIQUE.format(f"{self.rng.random():.9f}", self.rng.random()))
        possible = self.builder.forms(parent.program.files)
        drawn = self.forms.draw(self.rng, possible)
        for _ in range(CHILDREN):
            self.forms.answered(drawn, applied=self.rng.random() < APPLIED)
        return self.builder.build(
            PromptRequest(
                parent=parent,
                rng=self.rng,
                inspirations=parents.inspirations,
                form=next(form for form in FORMS if form == drawn),
                instruction=instruction.text,
                failures=self.failures.recent(),
                tried=tried,
                notes=self.notes.text,
                best=self.best,
            )
        )

    async def answer(self, parents: Parents) -> None:
        """One child of these parents, placed and learned from."""
        draw = Draw(parents.parent, parents.inspirations, self.rng, self.best, self.stagnation)
        offer = await self.mixture.propose(draw)
        if offer is None:
            return
        proposal, base = offer.proposal, parents.parent.fitness
        # Most changes harm; the walk still drifts up along the lineage, ever slower.
        fitness = base + self.rng.gauss(-1.0, 1.0) / (1.0 + 0.2 * max(base, 0.0))
        generation = parents.parent.program.generation + 1
        elite = self._elite(dict(proposal.files), proposal.parents, fitness, generation)
        placement = self.archive.place(elite, parents.island)
        gain = max(fitness - self.best, 0.0)
        self.stagnation = 0 if gain else self.stagnation + 1
        self.best = max(self.best, fitness)
        outcome = Outcome(proposal, elite.evaluation, fitness, base, placement, gain)
        self.mixture.learn(offer.proposer, outcome)
        self.failures.learn(outcome)
        self.notes.learn(outcome)

    def _elite(
        self, files: dict[str, str], parents: tuple[str, ...], fitness: float, generation: int
    ) -> Elite:
        found = fingerprint(files, self.grammar)
        program = Program(found.digest[:16], files, parents, size=found.size, generation=generation)
        worst = "".join(f"case {i}: {self.rng.random():.6f}\n" for i in range(12))
        metrics = {self.objective.name: fitness, "seconds": self.rng.random()}
        return Elite(program, Evaluation(metrics, artifacts={"worst cases": worst}), fitness)


def volatile_first(prompt: Prompt) -> Prompt:
    """The same content, in an order that begins with what changes most.

    The titles tell the parts apart: metrics and feedback, other programs, the parent, what a run
    never changes.
    """
    groups: dict[str, list[str]] = {"feedback": [], "others": [], "parent": [], "fixed": []}
    for part in prompt.parts:
        found = (name for title, name in _TITLES if part.startswith(title))
        groups[next(found, "feedback")].append(part)
    parts = tuple(part for group in groups.values() for part in group)
    return Prompt(parts, system=prompt.system)


_TITLES = (
    ("# Task", "fixed"),
    ("## How", "fixed"),
    ("## Files", "fixed"),
    ("# Good", "others"),
    ("### Program", "others"),
    ("## Other", "others"),
    ("# The program to change", "parent"),
)


async def simulate(name: str, seed: int, prompts: int) -> Shares:
    """One run of so many prompts."""
    simulation = Simulation(name, seed)
    meters = {samples: (PrefixMeter(), PrefixMeter()) for samples in BARS}
    length = 0
    for _ in range(prompts):
        parents = simulation.draw()
        prompt = simulation.prompt(parents)
        length += len(prompt.system) + len(prompt.text)
        for samples, (ours, other) in meters.items():
            ours.record(prompt, samples=samples)
            other.record(volatile_first(prompt), samples=samples)
        for _ in range(CHILDREN):
            await simulation.answer(parents)
    return Shares(
        {samples: ours.share for samples, (ours, _) in meters.items()},
        {samples: other.share for samples, (_, other) in meters.items()},
        length / 3.5 / prompts,
    )


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--prompts", type=int, default=120)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    met = True
    for name in TASKS:
        seeds = range(1, options.seeds + 1)
        runs = [asyncio.run(simulate(name, seed, options.prompts)) for seed in seeds]
        row: list[str] = [name, f"{sum(r.tokens for r in runs) / len(runs):.0f}"]
        for samples, bar in BARS.items():
            shares = [run.ours[samples] for run in runs]
            met &= sum(shares) / len(shares) >= bar
            row += [
                interval(shares, ".1%"),
                interval([run.volatile_first[samples] for run in runs], ".1%"),
            ]
        rows.append(row)
    print(header(f"Prefix share, {options.seeds} runs of {options.prompts} prompts each"))
    print(
        table(
            (
                "task",
                "tokens a prompt",
                "1 sample (bar 55 %)",
                "volatile first",
                "4 samples (bar 85 %)",
                "volatile first",
            ),
            rows,
        )
    )
    print(f"\nbars met on every task: {'yes' if met else 'NO'}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
