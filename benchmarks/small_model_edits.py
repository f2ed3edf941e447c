"""What edits of a small local model are worth, on three kinds of task.

Per task and form of edit: of all answers drawn, how many apply (can be read and placed, and parse)
and how many are new (neither the start nor a program that was there before: those cost no
evaluation in a run either). Of the new programs, which are evaluated, how many run, behave
otherwise than the start, and score better. CPU seconds of the model's process for an answer, and
for a new program, all answers included. Prompts and readers are those of a run; every prompt starts
from the initial program. With `learned` the form of each prompt is drawn by what has paid so far.
Programs run in the sandbox only.

`rolling` has one right result: there, to behave otherwise is to be at least 15 % faster or slower.

    python benchmarks/small_model_edits.py [--model SPEC] [--programs N] [--forms learned,small]
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from breeder.core import Elite, Evaluation, Placement, Program
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.proposers.fingerprint import fingerprint
from breeder.proposers.llm.briefing import Brief
from breeder.proposers.llm.editing import AnswerEditing
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.forms import SMALL_HELD, Forms
from breeder.proposers.llm.local.model import LocalModel, open_local
from breeder.proposers.llm.model import Sampling
from breeder.proposers.llm.proposer import SMALL_SAMPLES
from breeder.proposers.llm.samples import Sample
from breeder.proposers.llm.task_briefing import TaskBriefing
from breeder.proposers.llm.verdicts import Reason
from breeder.proposers.proposer import Draw, Outcome, Proposal
from breeder.task import Task
from breeder.task_formats import load
from record import header, share, table

TASKS = Path(__file__).with_name("data") / "small_models"
KINDS = ("scheduling", "bin_packing", "rolling")
LEARNED = "learned"  # the form is drawn by what has paid on this task, as in a run
NOTICED = 0.15  # relative change of a measured speed that counts
Log = list[dict[str, object]]
MOST_ANSWERS = 6  # answers drawn for each program wanted, before a form is given up


COUNTED = ("answers", "applied", "new", "runs", "changed", "better", "tokens", "cpu_seconds")


@dataclass
class Tally:
    """Counts of one form on one task."""

    answers: int = 0
    applied: int = 0
    new: int = 0
    runs: int = 0
    changed: int = 0
    better: int = 0
    tokens: int = 0
    cpu_seconds: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Take in the counts of another task."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.refused += other.refused

    def row(self) -> list[str]:
        """Shares with their intervals, and cost."""
        cost = self.cpu_seconds / max(1, self.new)
        words = ", ".join(f"{count} {reason}" for reason, count in self.refused.most_common())
        return [
            share(self.applied, self.answers),
            share(self.new, self.answers),
            *(share(count, self.new) for count in (self.runs, self.changed, self.better)),
            f"{self.tokens / max(1, self.answers):.0f}",
            f"{self.cpu_seconds / max(1, self.answers):.2f}",
            f"{cost:.2f}",
            words,
        ]


class Trial:
    """One task, its start, and what was made of it."""

    def __init__(self, task: Task, model: LocalModel, log: Log) -> None:
        self._task, self._model, self._log = task, model, log
        evaluator = (task.folder / task.file.evaluator).read_text(encoding="utf-8")
        facts = TaskFacts.of(task, evaluator=evaluator)
        self._briefing, self._editing = TaskBriefing(facts), AnswerEditing(facts)
        self._grammar = facts.grammar
        self._forms = Forms(SMALL_HELD)
        self._seen: set[str] = set()
        self._executor = LocalExecutor(task)
        self._learning = False

    async def run(self, form: str, programs: int) -> Tally:
        """Draw answers until so many programs were evaluated."""
        tally, rng = Tally(), Random(1)
        self._learning = form == LEARNED
        await self._executor.start()
        try:
            start = await self._executor.evaluate(Job(Program("start", dict(self._task.files))))
            parent = Elite(
                Program("start", dict(self._task.files)), start, self._task.fitness(start.metrics)
            )
            while tally.new < programs and tally.answers < MOST_ANSWERS * programs:
                draw = Draw(parent, (), rng, parent.fitness)
                brief = self._briefing.brief(draw, self._form(form, draw))
                await self._prompt(brief, parent, tally)
        finally:
            await self._executor.close()
        return tally

    def _form(self, wanted: str, draw: Draw) -> str:
        if wanted != LEARNED:
            return wanted
        return self._forms.draw(draw.rng, self._briefing.forms(draw))

    async def _prompt(self, brief: Brief, parent: Elite, tally: Tally) -> None:
        sampling = Sampling(temperature=brief.temperature, max_tokens=brief.max_tokens or 400)
        reply = await self._model.sample(brief.prompt, sampling, count=SMALL_SAMPLES)
        tally.cpu_seconds += reply.usage.cpu_seconds
        tally.tokens += reply.usage.answer_tokens
        for answer in reply.answers:
            tally.answers += 1
            edit = self._editing.edit(answer, parent.program.files, brief.form)
            entry: dict[str, object] = {"task": self._task.name, "form": brief.form}
            self._log.append(entry | {"answer": answer.text, "reason": edit.reason})
            self._forms.answered(brief.form, applied=edit.files is not None)
            if edit.files is None:
                tally.refused[edit.reason] += 1
                tally.applied += edit.reason == Reason.UNCHANGED
                continue
            tally.applied += 1
            digest = fingerprint(edit.files, self._grammar).digest
            if digest in self._seen:
                tally.refused["duplicate"] += 1
                if self._learning:
                    self._forms.rewarded(brief.form, 0.0)
                continue
            self._seen.add(digest)
            tally.new += 1
            found = await self._evaluate(edit.files)
            self._log[-1]["found"] = str(found.failure or dict(found.metrics))
            changed, better = self._judge(parent.evaluation, found)
            tally.runs += found.failure is None
            tally.changed += changed
            tally.better += better
            if self._learning:
                self._learn(brief, edit.files, found, parent, float(better))

    def _learn(
        self, brief: Brief, files: dict[str, str], found: Evaluation, parent: Elite, reward: float
    ) -> None:
        """What a run learns from a program."""
        self._forms.rewarded(brief.form, reward)
        sample = Sample(files, ("start",), parent.fitness, credit=dict(brief.credit))
        fitness = None if found.failure else self._task.fitness(found.metrics)
        outcome = Outcome(
            Proposal(files, ("start",)), found, fitness, parent.fitness, Placement.REJECTED
        )
        self._briefing.learn(sample, outcome, reward)

    async def _evaluate(self, files: dict[str, str]) -> Evaluation:
        return await self._executor.evaluate(Job(Program("child", files, parents=("start",))))

    def _judge(self, start: Evaluation, found: Evaluation) -> tuple[bool, bool]:
        """Whether a program behaves otherwise than the start, and whether it scores better."""
        if found.failure is not None:
            return False, False
        gain = self._task.fitness(found.metrics) - self._task.fitness(start.metrics)
        if "behaviour" in found.metrics:
            return found.metrics["behaviour"] != start.metrics["behaviour"], gain > 1e-9
        least = NOTICED * abs(self._task.fitness(start.metrics))
        return abs(gain) > least, gain > least


async def measure(chosen: argparse.Namespace) -> None:
    model = open_local(chosen.model, threads=1)
    log: Log = []
    rows: list[list[str]] = []
    try:
        for form in chosen.forms.split(","):
            whole = Tally()
            for kind in chosen.tasks.split(","):
                tally = await Trial(load(TASKS / kind), model, log).run(form, chosen.programs)
                whole.add(tally)
                rows.append([form, kind, *tally.row()])
                print(f"<!-- {' | '.join(rows[-1])} -->", flush=True)
                if chosen.answers is not None:
                    chosen.answers.write_text(json.dumps(log, indent=1), encoding="utf-8")
            rows.append([f"**{form}**", "all", *whole.row()])
    finally:
        await model.close()
    columns = ["form", "task", "apply", "new", "run", "change", "better", "tokens an answer"]
    print(table([*columns, "CPU s an answer", "CPU s a program", "not evaluated"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the edits of a small local model.")
    parser.add_argument("--model", default="local", help="local, local:NAME or local:PATH")
    parser.add_argument("--programs", type=int, default=30, help="new programs a task and form")
    parser.add_argument("--forms", default=LEARNED)
    parser.add_argument("--tasks", default=",".join(KINDS))
    parser.add_argument("--answers", type=Path, help="write every answer there, as JSON")
    chosen = parser.parse_args()
    print(header(f"Edits of a small model ({chosen.model})"))
    asyncio.run(measure(chosen))


if __name__ == "__main__":
    main()
