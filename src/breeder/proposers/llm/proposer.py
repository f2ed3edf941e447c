"""A language model as a proposer: one arm of the mixture.

Requests run in the background and fill a buffer, so a slow or hanging endpoint never keeps an
evaluation waiting: while nothing is in the buffer the model has nothing to offer, and others do.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import msgspec

from breeder.core import Cost
from breeder.proposers.llm.briefing import Brief, Briefing, Edit, Editing
from breeder.proposers.llm.forms import BATCH, LARGE, LARGE_HELD, SMALL, SMALL_HELD, Forms
from breeder.proposers.llm.member import Member
from breeder.proposers.llm.model import Answer, ModelError, Reply, Sampling, Usage
from breeder.proposers.llm.record import FormRecord, ModelRecord
from breeder.proposers.llm.samples import Sample, SampleBuffer
from breeder.proposers.proposer import Draw, Outcome, Proposal
from breeder.proposers.reward import reward

STAGNANT = 12  # children of a cell's elite in vain, after which deep models get their turn
BUFFERED = 3  # requests' worth of samples that are kept before no more are asked for
FIRST_SAMPLES = 4  # of a model on this machine: the first answers come sooner, and may all be bad
TRIAL = 8  # programs of a model on this machine before the bandit decides
REPAIR_TRIES = 10  # repairs after which it is known whether they are worth their tokens
REPAIR_SHARE = 0.15  # of repairs must succeed from then on
LEAST_USABLE = 0.1  # to which a model's weight falls when none of its answers can be used
_FADE = 0.95
_QUOTED = 6000  # characters of a mistaken answer that are shown to its author


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model is asked.

    Attributes:
        samples: answers to one prompt.
        small: short prompts and short answers.
        grammar: answers can be held to a grammar.
        wait: requests are awaited where they are made, so that a run can be repeated; else they
            run in the background.
        local: the model runs on this machine, and what it computes comes out of the same CPU
            budget as evaluations: nothing is asked for in advance.
    """

    samples: int = 4
    small: bool = False
    grammar: bool = False
    wait: bool = False
    local: bool = False


_FORMS = {
    (False, False): LARGE,
    (False, True): LARGE_HELD,
    (True, False): SMALL,
    (True, True): SMALL_HELD,
}
"""(small, grammar) -> forms to ask for."""

SAMPLES = {"deep": 1, "fast": 4, "": 4}
"""Answers to one prompt by role: deep models are asked for one at a time."""

SMALL_SAMPLES = 8
"""Answers of a small model to one prompt: they share its computation, and many are needed."""


class _State(msgspec.Struct):
    forms: dict[str, list[float]]
    repairs: tuple[int, int]
    samples: list[Sample]
    evaluated: int = 0


@dataclass(slots=True)
class _Repairs:
    """Whether it is worth showing a model its mistakes."""

    tried: int = 0
    mended: int = 0

    def worthwhile(self) -> bool:
        return self.tried < REPAIR_TRIES or self.mended >= REPAIR_SHARE * self.tried


class LLMProposer:
    """Asks one language model for better programs.

    One prompt brings several samples. Those beyond the first are kept for later draws, of the same
    parent if there are any, else as children of their own parent. An answer that cannot be used is
    shown to the model once with what is wrong; it costs tokens and never an evaluation.

    Args:
        member: the model with its limits, breaker and budget.
        briefing: writes prompts; shared by all models of a run.
        editing: reads answers.
        manner: how the model is asked.
        start: runs a request in the background.
        think: awaited before a request: lets a deep model reflect where that is due.
    """

    def __init__(
        self,
        member: Member,
        briefing: Briefing,
        editing: Editing,
        manner: Manner,
        *,
        start: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        think: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.member = member
        self.name = f"model:{member.name}"
        self.refusals: Counter[str] = Counter()
        self._briefing, self._editing, self._manner = briefing, editing, manner
        self._start, self._think = start, think
        # Short prompts of different forms begin alike, long ones do not.
        batch = 1 if manner.small else BATCH
        self._forms = Forms(_FORMS[manner.small, manner.grammar], batch=batch)
        self._repairs = _Repairs()
        self._buffer = SampleBuffer()
        self._requests: set[asyncio.Task[None]] = set()
        self._used = Usage()
        self._usable = 1.0  # fading share of answers that became programs
        self._evaluated = 0

    async def propose(self, draw: Draw) -> Proposal | None:
        """A program from the buffer, or None while there is none; sees to it that one comes."""
        wanted = self._wants_more()
        if self._manner.wait and not self._buffer and self.member.available():
            await asyncio.wait([self._begin(draw)])
        sample = self._buffer.take(draw.parent.program.id)
        if not self._manner.wait and (wanted if self._manner.local else self._wants_more()):
            self._begin(draw)
        if sample is None:
            return None
        return Proposal(sample.files, sample.parents, sample.note, ticket=sample)

    def weight(self, draw: Draw) -> float:
        """How much the bandit should favour the model for this draw, before what it has learned.

        Fast models serve most of the time, deep ones when the parent's cell has stagnated, and
        whoever answers nonsense seldom. What is paid for is used up when no more can be paid; of a
        model on this machine always, as it costs an evaluation like any other program now.
        """
        if self._buffer and (self._manner.local or not self.member.solvent()):
            return 1e6
        weight = max(self._usable, LEAST_USABLE)
        if self.member.role != "deep":
            return weight
        return weight * (2.0 if draw.children >= STAGNANT else 0.25)

    def on_trial(self) -> bool:
        """Whether it has shown too little to be judged, and its requests cost CPU time."""
        return self._manner.local and self._evaluated < TRIAL and self.member.available()

    def awaited(self) -> bool:
        """Whether answers are under way that will come: they are computed here, so far all did.

        The CPU time that went into them would be lost if the run ended before. What is left of
        the budget must carry them.
        """
        came = not self.member.tally.losses
        under_way = bool(self._requests) and self.member.allowance.in_reach()
        return self._manner.local and came and under_way

    async def ready(self) -> bool:
        """Wait until there may be something to offer; False when that will not be."""
        if self._buffer:
            return True
        if self._requests:
            await asyncio.wait(self._requests, return_when=asyncio.FIRST_COMPLETED)
            return True
        if not self.member.solvent() or not self.member.resting():
            return False
        await self.member.rest()
        return True

    def spent(self) -> Cost:
        """What its requests used since the last call, whatever came of them."""
        used, self._used = self._used, Usage()
        tokens = used.prompt_tokens + used.answer_tokens
        return Cost(used.cpu_seconds, 0.0, tokens, used.currency)

    def learn(self, outcome: Outcome) -> None:
        """Credit the form, and what the prompt was made with."""
        sample = outcome.proposal.ticket
        if not isinstance(sample, Sample):
            return
        own = replace(outcome, parent_fitness=sample.parent_fitness)
        worth = reward(own)
        self._evaluated += outcome.evaluation is not None
        # A duplicate brought nothing either: a form that has said all it can must give way.
        self._forms.rewarded(sample.form, worth if outcome.evaluation is not None else 0.0)
        self._briefing.learn(sample, own, worth)

    def buffered(self) -> int:
        """Number of programs that wait for an evaluation."""
        return len(self._buffer)

    def record(self) -> ModelRecord:
        """What the model did over all sittings."""
        tally = self.member.tally
        used = tally.usage
        return ModelRecord(
            name=self.member.name,
            role=self.member.role,
            requests=tally.requests,
            answers=tally.answers,
            losses=dict(tally.losses),
            prompt_tokens=used.prompt_tokens,
            cached_tokens=used.cached_tokens,
            answer_tokens=used.answer_tokens,
            estimated=used.estimated,
            currency=used.currency,
            cpu_seconds=used.cpu_seconds,
            wall_seconds=tally.seconds,
            forms={f.name: FormRecord(f.answers, f.applied) for f in self._forms.shares()},
            repairs=self._repairs.tried,
            mended=self._repairs.mended,
            buffered=len(self._buffer),
        )

    def state(self) -> bytes:
        """Forms, repairs, and the samples that are paid for."""
        repairs = (self._repairs.tried, self._repairs.mended)
        held = list(self._buffer.held())
        state = _State(self._forms.state(), repairs, held, self._evaluated)
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        """Take up an earlier state; anything unreadable is ignored."""
        try:
            past = msgspec.msgpack.decode(state, type=_State)
            self._forms.restore(past.forms)
        except (msgspec.MsgspecError, ValueError):
            return
        self._repairs, self._evaluated = _Repairs(*past.repairs), past.evaluated
        self._buffer.add(past.samples)

    def _begin(self, draw: Draw) -> asyncio.Task[None]:
        # Who else draws from the stream must not depend on when answers come.
        task = self._start(self._request(replace(draw, rng=Random(draw.rng.random()))))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)
        return task

    def _wants_more(self) -> bool:
        """Whether another request is due: none is kept waiting by too many samples in stock."""
        coming = len(self._requests) * self._manner.samples
        room = len(self._requests) < self.member.settings.concurrency
        stock = len(self._buffer) + coming
        # The first request after an empty buffer, then as many as the draws keep asking for.
        low = not self._buffer or (stock < self._manner.samples and not self._manner.local)
        full = stock >= BUFFERED * self._manner.samples * self.member.settings.concurrency
        return room and low and not full and self.member.available()

    async def _request(self, draw: Draw) -> None:
        """One prompt, its answers, and a second chance for those that cannot be used."""
        await self._think()
        rng = draw.rng
        possible = self._briefing.forms(draw)
        if not self._forms.any_of(possible):
            return
        form = self._forms.draw(rng, possible)
        brief = self._briefing.brief(draw, form)
        first = self._manner.local and self.member.tally.answers == 0
        count = min(self._manner.samples, FIRST_SAMPLES) if first else self._manner.samples
        reply = await self._sample(brief, rng, count)
        if reply is None:
            return
        edits = [self._edit(answer, draw, brief) for answer in reply.answers]
        self._keep(edits, draw, brief)
        mended = await asyncio.gather(
            *(
                self._repair(answer, edit, draw, brief, rng)
                for answer, edit in zip(reply.answers, edits, strict=True)
                if edit.files is None and edit.repair
            )
        )
        self._keep([edit for edit in mended if edit is not None], draw, brief)

    async def _sample(self, brief: Brief, rng: Random, count: int) -> Reply | None:
        sampling = Sampling(temperature=brief.temperature, seed=rng.randrange(2**31))
        if brief.max_tokens is not None:
            sampling = replace(sampling, max_tokens=brief.max_tokens)
        elif self.member.settings.max_tokens is not None:
            sampling = replace(sampling, max_tokens=self.member.settings.max_tokens)
        self._briefing.sent(brief.prompt, count)
        try:
            reply = await self.member.sample(brief.prompt, sampling, count=count)
        except ModelError as error:
            self._used = self._used + error.usage
            if error.fatal:
                raise
            return None  # counted by the member, by kind
        self._used = self._used + reply.usage
        return reply

    def _edit(self, answer: Answer, draw: Draw, brief: Brief) -> Edit:
        edit = self._editing.edit(answer, draw.parent.program.files, brief.form)
        self._forms.answered(brief.form, applied=edit.files is not None)
        self._usable = _FADE * self._usable + (1.0 - _FADE) * (edit.files is not None)
        if edit.files is None:
            self.refusals[edit.reason] += 1
        return edit

    async def _repair(
        self, answer: Answer, edit: Edit, draw: Draw, brief: Brief, rng: Random
    ) -> Edit | None:
        """Ask once more, with the mistake shown."""
        if self._manner.small or not self._repairs.worthwhile():
            return None
        said = answer.text if len(answer.text) <= _QUOTED else answer.text[:_QUOTED] + "\n…"
        told = f"\n\nYour answer was:\n\n{said}\n\n{edit.repair}\n"
        prompt = replace(brief.prompt, parts=(*brief.prompt.parts, told))
        reply = await self._sample(replace(brief, prompt=prompt), rng, 1)
        if reply is None:
            return None
        self._repairs.tried += 1
        again = self._editing.edit(reply.answers[0], draw.parent.program.files, brief.form)
        self._repairs.mended += again.files is not None
        if again.files is None:
            self.refusals[again.reason] += 1
        return again

    def _keep(self, edits: list[Edit], draw: Draw, brief: Brief) -> None:
        parent = draw.parent
        self._buffer.add(
            Sample(
                files=edit.files,
                parents=tuple(dict.fromkeys((parent.program.id, *brief.shown))),
                parent_fitness=parent.fitness,
                note=f"{edit.note}: {brief.note}" if brief.note else edit.note,
                form=brief.form,
                credit=dict(brief.credit),
            )
            for edit in edits
            if edit.files is not None
        )
