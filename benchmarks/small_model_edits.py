"""What edits of a small local model are worth, on three kinds of task.

Per task and form of edit: of all answers drawn, how many apply (can be read and placed, and parse)
and how many are new (neither the start nor a program that was there before: those cost no
evaluation in a run either). Of the new programs, which are evaluated, how many run, behave
otherwise than the start, and score better. CPU seconds of the model's process for an answer, and
for a new program, all answers included. Prompts and readers are those of a run; every prompt starts
from the initial program. With `learned` the form of each prompt is drawn by what has paid so far.
Programs run in the sandbox only.

The last rows are means over the tasks, each task counting the same.

`rolling` has one right result: there, to behave otherwise is to be at least 15 % faster or slower.

What was drawn is kept in `--folder` after every request, so that a run that was cut off goes on. A
request that is lost is counted, its CPU time too; after three in a row a task is given up.

    python benchmarks/small_model_edits.py [--model SPEC] [--programs N] [--forms learned,small]
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from breeder.core import Elite, Evaluation, Placement, Program
from breeder.executors.executor import Job
from breeder.executors.local import LocalExecutor
from breeder.proposers.fingerprint import fingerprint
from breeder.proposers.llm.briefing import Brief
from breeder.proposers.llm.editing import AnswerEditing
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.forms import SMALL_HELD, Forms
from breeder.proposers.llm.local.model import LocalModel, open_local
from breeder.proposers.llm.model import ModelError, Sampling
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
MOST_ANSWERS = 6  # answers drawn for each program wanted, before a form is given up
MOST_LOST = 3  # requests in a row, likewise
BARS = {"applied": 0.98, "runs": 0.70, "changed": 0.40, "better": 0.20}
MOST_SECONDS = 3.0  # CPU seconds an answer


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
    lost: int = 0
    cpu_seconds: float = 0.0
    refused: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str) -> None:
        """Count an answer that no program came of."""
        self.refused[reason] = self.refused.get(reason, 0) + 1

    def shares(self) -> dict[str, float]:
        """The shares that have bars: of answers, and of new programs."""
        new, answers = max(1, self.new), max(1, self.answers)
        of = {"applied": answers, "runs": new, "changed": new, "better": new}
        return {name: getattr(self, name) / whole for name, whole in of.items()}

    @property
    def seconds(self) -> float:
        """CPU seconds an answer."""
        return self.cpu_seconds / max(1, self.answers)

    def row(self) -> list[str]:
        """Shares with their intervals, and cost."""
        counted = Counter(self.refused).most_common()
        words = ", ".join(f"{count} {reason}" for reason, count in counted)
        return [
            share(self.applied, self.answers),
            share(self.new, self.answers),
            *(share(count, self.new) for count in (self.runs, self.changed, self.better)),
            f"{self.tokens / max(1, self.answers):.0f}",
            f"{self.seconds:.2f}",
            f"{self.cpu_seconds / max(1, self.new):.2f}",
            f"{self.lost}",
            words,
        ]


class State(msgspec.Struct):
    """Where a trial stands: counts, what was seen and learned, the random stream, the answers."""

    tally: Tally = msgspec.field(default_factory=Tally)
    seen: list[str] = msgspec.field(default_factory=list)
    forms: dict[str, list[float]] = msgspec.field(default_factory=dict)
    briefing: bytes = b""
    stream: list[int] = msgspec.field(default_factory=list)
    log: list[dict[str, str]] = msgspec.field(default_factory=list)


class Trial:
    """One task, its start, and what was made of it."""

    def __init__(self, task: Task, model: LocalModel, form: str, place: Path) -> None:
        self._task, self._model, self._form, self._place = task, model, form, place
        evaluator = (task.folder / task.file.evaluator).read_text(encoding="utf-8")
        facts = TaskFacts.of(task, evaluator=evaluator)
        self._briefing, self._editing = TaskBriefing(facts), AnswerEditing(facts)
        self._grammar = facts.grammar
        self._forms, self._rng = Forms(SMALL_HELD), random.Random(1)
        self._state = State()
        self._executor = LocalExecutor(task)
        if place.is_file():
            self._state = msgspec.json.decode(place.read_bytes(), type=State)
            self._forms.restore(self._state.forms)
            self._briefing.restore(self._state.briefing)
            version, *words = self._state.stream
            self._rng.setstate((version, tuple(words), None))

    def _done(self, programs: int) -> bool:
        tally = self._state.tally
        return tally.new >= programs or tally.answers >= MOST_ANSWERS * programs

    async def run(self, programs: int) -> Tally:
        """Draw answers until so many programs were evaluated."""
        if self._done(programs):
            return self._state.tally
        await self._executor.start()
        try:
            start = await self._executor.evaluate(Job(Program("start", dict(self._task.files))))
            parent = Elite(
                Program("start", dict(self._task.files)), start, self._task.fitness(start.metrics)
            )
            lost = 0
            while not self._done(programs) and lost < MOST_LOST:
                draw = Draw(parent, (), self._rng, parent.fitness)
                form = self._form
                if form == LEARNED:
                    form = self._forms.draw(draw.rng, self._briefing.forms(draw))
                lost = 0 if await self._ask(self._briefing.brief(draw, form), parent) else lost + 1
                self._save()
        finally:
            await self._executor.close()
        return self._state.tally

    def _save(self) -> None:
        version, words, _ = self._rng.getstate()
        self._state.stream = [version, *words]
        self._state.forms, self._state.briefing = self._forms.state(), self._briefing.state()
        self._place.parent.mkdir(parents=True, exist_ok=True)
        partial = self._place.with_suffix(".partial")
        partial.write_bytes(msgspec.json.encode(self._state))
        partial.replace(self._place)

    async def _ask(self, brief: Brief, parent: Elite) -> bool:
        """One request and what came of its answers; False when it was lost."""
        tally = self._state.tally
        sampling = Sampling(
            temperature=brief.temperature,
            max_tokens=brief.max_tokens or 400,
            seed=self._rng.randrange(2**31),
        )
        try:
            reply = await self._model.sample(brief.prompt, sampling, count=SMALL_SAMPLES)
        except ModelError as error:
            if error.fatal:
                raise
            print(f"<!-- {self._task.name}, {brief.form}: lost: {error} -->", flush=True)
            tally.lost += 1
            tally.cpu_seconds += error.usage.cpu_seconds
            return False
        tally.cpu_seconds += reply.usage.cpu_seconds
        tally.tokens += reply.usage.answer_tokens
        for answer in reply.answers:
            tally.answers += 1
            edit = self._editing.edit(answer, parent.program.files, brief.form)
            entry = {"form": brief.form, "answer": answer.text, "reason": edit.reason}
            self._state.log.append(entry)
            self._forms.answered(brief.form, applied=edit.files is not None)
            if edit.files is None:
                tally.refuse(edit.reason)
                tally.applied += edit.reason == Reason.UNCHANGED
            else:
                tally.applied += 1
                entry["found"] = await self._try(edit.files, brief, parent)
        return True

    async def _try(self, files: dict[str, str], brief: Brief, parent: Elite) -> str:
        """Evaluate a program that is new; what was found, in words."""
        tally = self._state.tally
        digest = fingerprint(files, self._grammar).digest
        if digest in self._state.seen:
            tally.refuse("duplicate")
            self._forms.rewarded(brief.form, 0.0)
            return "duplicate"
        self._state.seen.append(digest)
        tally.new += 1
        job = Job(Program("child", files, parents=("start",)))
        found = await self._executor.evaluate(job)
        changed, better = self._judge(parent.evaluation, found)
        tally.runs += found.failure is None
        tally.changed += changed
        tally.better += better
        self._learn(brief, files, found, parent, float(better))
        return str(found.failure or dict(found.metrics))

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

    def _judge(self, start: Evaluation, found: Evaluation) -> tuple[bool, bool]:
        """Whether a program behaves otherwise than the start, and whether it scores better."""
        if found.failure is not None:
            return False, False
        gain = self._task.fitness(found.metrics) - self._task.fitness(start.metrics)
        if "behaviour" in found.metrics:
            return found.metrics["behaviour"] != start.metrics["behaviour"], gain > 1e-9
        least = NOTICED * abs(self._task.fitness(start.metrics))
        return abs(gain) > least, gain > least


def mean_row(form: str, tallies: Sequence[Tally]) -> tuple[list[str], bool]:
    """The mean over the tasks, and whether it meets the bars."""
    shares = [tally.shares() for tally in tallies]
    means = {name: sum(one[name] for one in shares) / len(shares) for name in BARS}
    seconds = sum(tally.seconds for tally in tallies) / len(tallies)
    met = all(means[name] >= bar for name, bar in BARS.items()) and seconds <= MOST_SECONDS
    applied, *rest = (f"{means[name]:.1%}" for name in BARS)
    row = [f"**{form}**", "mean", applied, "", *rest, "", f"{seconds:.2f}", "", "", ""]
    return row, met


async def measure(chosen: argparse.Namespace) -> bool:
    """Print the table; whether every form meets the bars."""
    model = open_local(chosen.model, threads=1)
    rows: list[list[str]] = []
    all_met = True
    try:
        for form in chosen.forms.split(","):
            tallies = []
            for kind in chosen.tasks.split(","):
                place = chosen.folder / f"{form}-{kind}.json"
                tally = await Trial(load(TASKS / kind), model, form, place).run(chosen.programs)
                tallies.append(tally)
                rows.append([form, kind, *tally.row()])
                print(f"<!-- {' | '.join(rows[-1])} -->", flush=True)
            row, met = mean_row(form, tallies)
            rows.append(row)
            all_met = all_met and met
    finally:
        await model.close()
    columns = ["form", "task", "apply", "new", "run", "change", "better", "tokens an answer"]
    columns += ["CPU s an answer", "CPU s a program", "requests lost", "not evaluated"]
    print(table(columns, rows))
    bars = ", ".join(f"{name} {bar:.0%}" for name, bar in BARS.items())
    print(f"\nbars ({bars}, {MOST_SECONDS:g} CPU s an answer): {'met' if all_met else 'NOT met'}")
    return all_met


def main() -> int:
    """Print the table; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description="Measure the edits of a small local model.")
    parser.add_argument("--model", default="local", help="local, local:NAME or local:PATH")
    parser.add_argument("--programs", type=int, default=50, help="new programs a task and form")
    parser.add_argument("--forms", default=LEARNED)
    parser.add_argument("--tasks", default=",".join(KINDS))
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/benchmark-small-model"), help="what was drawn"
    )
    chosen = parser.parse_args()
    print(header(f"Edits of a small model ({chosen.model})"))
    return 0 if asyncio.run(measure(chosen)) else 1


if __name__ == "__main__":
    raise SystemExit(main())
