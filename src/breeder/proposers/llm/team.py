"""The language models of a run and what they share: prompts, spending, background requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

import msgspec

from breeder.core import Cost
from breeder.errors import ConfigError
from breeder.proposers.llm.briefing import Briefing, Editing
from breeder.proposers.llm.endpoint import EndpointModel
from breeder.proposers.llm.ensemble import Ensemble
from breeder.proposers.llm.model import ModelError, Sampling, Usage
from breeder.proposers.llm.proposer import LLMProposer, Manner
from breeder.proposers.llm.record import TeamRecord

_THOUGHT_TOKENS = 1024
_GREETING_SECONDS = 5.0  # a search waits no longer for models to show that they can be asked


class Settled(NamedTuple):
    """What came up since the books were last settled.

    Attributes:
        cost: what requests used, whatever became of them.
        refusals: (proposer, reason) -> answers that could not be used.
    """

    cost: Cost
    refusals: Counter[tuple[str, str]]


class Team:
    """Owns the ensemble, the briefing and every request under way; gives the mixture its arms.

    Args:
        ensemble: the models with their limits and budget.
        briefing: writes prompts.
        editing: reads answers.
        manner: how a model of this name and role is asked.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        briefing: Briefing,
        editing: Editing,
        manner: Callable[[str, str], Manner],
    ) -> None:
        self.ensemble, self.briefing = ensemble, briefing
        self._requests: set[asyncio.Task[None]] = set()
        self._settled = Usage()
        self._settled_cpu = 0.0
        self._error: Exception | None = None
        self.proposers: tuple[LLMProposer, ...] = ()
        for member in ensemble.members.values():
            how = manner(member.name, member.role)
            arm = LLMProposer(member, briefing, editing, how, start=self.start, think=self.reflect)
            self.proposers += (arm,)

    def start(self, request: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a request in the background; it is cancelled by `close`."""
        task = asyncio.get_running_loop().create_task(request)
        self._requests.add(task)
        task.add_done_callback(self._ended)
        return task

    def warm(self) -> None:
        """Let models on this machine get ready in the background, before the first request."""
        for proposer in self.proposers:
            if proposer.member.available():
                self.start(proposer.member.warm())

    async def greet(self) -> None:
        """Ask every endpoint for a word before a search begins. An outage is no reason not to.

        Raises:
            ConfigError: a key or a model's name is wrong.
        """
        members = self.ensemble.members.values()
        asked = [m for m in members if isinstance(m.model, EndpointModel) and m.available()]
        if asked:
            requests = [self.start(member.greet()) for member in asked]
            await asyncio.wait(
                requests, timeout=_GREETING_SECONDS, return_when=asyncio.FIRST_EXCEPTION
            )
        self._refuse_mistakes()

    def settle(self) -> Settled:
        """What came up since the last call, the CPU time of requests under way included.

        Raises:
            ConfigError: a model's configuration is wrong: its key, or its name.
        """
        self._refuse_mistakes()
        for member in self.ensemble.members.values():
            member.allowance.curb()
        spent, before = self.ensemble.spending.spent, self._settled
        self._settled = spent
        # What a model uses that is never answered, as the budget ends before, counts all the same.
        members = self.ensemble.members.values()
        cpu_seconds = spent.cpu_seconds + sum(member.unbooked() for member in members)
        fresh = max(0.0, cpu_seconds - self._settled_cpu)
        self._settled_cpu += fresh
        cost = Cost(
            cpu_seconds=fresh,
            tokens=_tokens(spent) - _tokens(before),
            currency=spent.currency - before.currency,
        )
        refusals: Counter[tuple[str, str]] = Counter()
        for proposer in self.proposers:
            for reason, count in proposer.refusals.items():
                refusals[proposer.name, reason] += count
            proposer.refusals.clear()
        return Settled(cost, refusals)

    def buffered(self) -> int:
        """Programs that are paid for and wait for an evaluation."""
        return sum(proposer.buffered() for proposer in self.proposers)

    async def reflect(self) -> None:
        """Ask a deep model what was learned, when that is due; any other model without a deep one.

        Raises:
            ModelError: a model's configuration is wrong.
        """
        thought = self.briefing.reflect()
        deep = self.ensemble.of_role("deep")
        if thought is None or not deep:
            return
        try:
            reply = await deep[0].sample(thought.prompt, Sampling(max_tokens=_THOUGHT_TOKENS))
        except ModelError as error:
            if error.fatal:
                raise
            return  # counted by the member; later prompts do without
        thought.answered(reply.answers[0].text)

    def outage(self) -> str:
        """Says so when no model can be asked, in words; empty otherwise."""
        if self.ensemble.available() or self.exhausted():
            return ""
        members = self.ensemble.members.values()
        told = [(member.name, member.allowance.shortage()) for member in members]
        why = [f"{name} is not asked: {words}" for name, words in told if words]
        rests = [member.resting() for member in members if member.allowance.covers()]
        if rests and not why:
            why.append(f"no model answers; next try in {min(rests):.0f} s")
        return "; ".join(why)

    def exhausted(self) -> str:
        """Name of the limit because of which no model can be asked any more; or ''."""
        return self.ensemble.exhausted()

    def record(self) -> TeamRecord:
        """What the models did over all sittings."""
        return TeamRecord(
            tuple(proposer.record() for proposer in self.proposers),
            self.briefing.prefix_share(),
            self.outage(),
        )

    def state(self) -> dict[str, bytes]:
        """What must survive a stop; the proposers' own state is the mixture's to keep."""
        return {**self.books(), "briefing": self.briefing.state()}

    def books(self) -> dict[str, bytes]:
        """What was spent, for going on and for views; small enough to keep at every request."""
        return {
            "ensemble": self.ensemble.state(),
            "models": msgspec.msgpack.encode(self.record()),
        }

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Take up what `state` gave. What was spent before comes out of the next `settle`."""
        self.ensemble.restore(states.get("ensemble", b""))
        self.briefing.restore(states.get("briefing", b""))

    async def halt(self) -> None:
        """Cancel the requests under way."""
        requests = list(self._requests)
        for request in requests:
            request.cancel()
        await asyncio.gather(*requests, return_exceptions=True)

    async def close(self) -> None:
        """Cancel what is under way and release the models. Safe to call twice."""
        await self.halt()
        await self.ensemble.close()

    def _refuse_mistakes(self) -> None:
        if self._error is not None:
            raise _plain(self._error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._requests.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = self._error or (error if isinstance(error, Exception) else None)


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.answer_tokens


def _plain(error: Exception) -> Exception:
    """A wrong key or model name as one line; anything else as it is."""
    return ConfigError(error.detail) if isinstance(error, ModelError) else error
