"""A model as a member of an ensemble: limits, retries, a breaker, the budget, and its books."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from breeder.proposers.llm.allowance import Allowance
from breeder.proposers.llm.breaker import Breaker, BreakerSettings
from breeder.proposers.llm.limiter import Limiter
from breeder.proposers.llm.model import (
    LanguageModel,
    LossKind,
    Metered,
    ModelError,
    Prompt,
    Reply,
    Sampling,
    Usage,
)
from breeder.proposers.llm.retry import Patience, Timing
from breeder.proposers.llm.settings import ModelConfig, Prices
from breeder.proposers.llm.spending import Bound, Reservation, Spending
from breeder.proposers.llm.tokens import PromptBound, estimate_prompt

FREE = Prices(prompt=0.0, answer=0.0)
"""Prices of a model on the user's own machine."""

GREETING = Prompt(("Say hello.",), system="You answer in a few words.")
"""Whatever a model answers to this, its key and its name are right."""
_GREETED = Sampling(max_tokens=16)

NOT_ASKED = frozenset({LossKind.OPEN_CIRCUIT, LossKind.BUDGET})
"""Refusals of our own: nothing was sent, so nothing was lost."""


@dataclass(frozen=True, slots=True)
class MemberSettings:
    """How a model may be asked; see `ModelConfig` for the meaning of the fields.

    Attributes:
        first: of a model on this machine, the CPU seconds that getting ready and a first request
            are expected to take.
    """

    requests_per_minute: float | None = None
    concurrency: int = 4
    n: bool = True
    max_tokens: int | None = None
    prices: Prices | None = None
    first: float = 0.0
    patience: Patience = field(default_factory=Patience)
    breaker: BreakerSettings = field(default_factory=BreakerSettings)

    @classmethod
    def of(cls, config: ModelConfig) -> MemberSettings:
        """The settings that a `[[model]]` entry gives."""
        return cls(
            requests_per_minute=config.requests_per_minute,
            concurrency=config.concurrency,
            n=config.n,
            max_tokens=config.max_tokens,
            prices=config.prices,
            patience=Patience(attempts=config.attempts),
        )


@dataclass(slots=True)
class Tally:
    """What became of a model's requests.

    Attributes:
        requests: sent, repeated ones included.
        answers: received.
        losses: kind -> number of requests that were sent and gave nothing.
        usage: tokens and currency, of lost requests too as far as known.
        seconds: wall time of requests, added up.
    """

    requests: int = 0
    answers: int = 0
    losses: dict[str, int] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0


class Member:
    """Keeps the contract of a `LanguageModel` for a model behind it, and spends for a run.

    Safe for concurrent `sample` calls of one event loop.

    Args:
        model: who is asked; one call of its `sample` is one request.
        settings: how it may be asked.
        spending: the budget of the run.
        timing: clock, sleep and jitter.
    """

    def __init__(
        self,
        model: LanguageModel,
        settings: MemberSettings | None = None,
        *,
        spending: Spending | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.model = model
        self.settings = settings or MemberSettings()
        self.tally = Tally()
        self.breaker = Breaker(self.settings.breaker)
        self.refused = ""  # name of the limit that did not cover the last request
        self._spending = spending or Spending()
        self.allowance = Allowance(model, self._spending, self.settings.first)
        self._timing = timing or Timing()
        self._limiter = Limiter(
            self._timing, self.settings.concurrency, self.settings.requests_per_minute
        )
        self._bound = PromptBound()
        self._together = self.settings.n
        self._answered = False

    @property
    def name(self) -> str:
        """The configured name."""
        return self.model.name

    @property
    def role(self) -> str:
        """`fast`, `deep` or an empty string."""
        return self.model.role

    def available(self) -> bool:
        """Whether a request would be sent: the model is not resting and there is budget."""
        paid = not self._spending.reached() and self.allowance.covers()
        return paid and self.breaker.available(self._timing.now())

    def solvent(self) -> bool:
        """Whether there is budget, as far as is known."""
        return not self.refused and not self._spending.reached()

    def resting(self) -> float:
        """Seconds until a resting model is tried again."""
        return self.breaker.resting(self._timing.now())

    async def rest(self) -> None:
        """Wait until a resting model is tried again."""
        await self._timing.sleep(self.resting())

    async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
        """Draw up to `count` answers; fewer where the budget covers fewer or some were lost.

        Raises:
            ModelError: no answer came after all tries, the model rests, or the budget is used up.
        """
        if count == 1 or self._together:
            return await self._persist(prompt, sampling, count)
        asked = (self._persist(prompt, _varied(sampling, i), 1) for i in range(count))
        results = await asyncio.gather(*asked, return_exceptions=True)
        came = [result for result in results if isinstance(result, Reply)]
        lost = [result for result in results if isinstance(result, BaseException)]
        strange = [error for error in lost if not isinstance(error, ModelError)]
        if strange or not came:
            raise (strange or lost)[0]
        answers = tuple(answer for reply in came for answer in reply.answers)
        return Reply(answers, sum((reply.usage for reply in came), Usage()))

    def unbooked(self) -> float:
        """CPU seconds of a model on this machine that are in no tally yet."""
        return self.model.unbooked() if isinstance(self.model, Metered) else 0.0

    async def greet(self) -> None:
        """Ask once for a word, so that a wrong key or name is known before anything is spent on it.

        Raises:
            ModelError: the configuration is at fault. Other losses are counted, and may pass.
        """
        try:
            await self._attempt(GREETING, _GREETED, 1)
        except ModelError as error:
            if error.fatal:
                raise

    async def warm(self) -> None:
        """Let a model on this machine get ready; others need not.

        Raises:
            ModelError: it cannot be run.
        """
        if isinstance(self.model, Metered):
            await self.model.warm()

    async def close(self) -> None:
        """Release connections."""
        await self.model.close()

    async def _persist(self, prompt: Prompt, sampling: Sampling, count: int) -> Reply:
        """Ask, and ask again after losses that may be over in a moment."""
        tried = 0
        while True:
            tried += 1
            try:
                return await self._attempt(prompt, sampling, count)
            except ModelError as error:
                pause = self.settings.patience.pause(tried, error, self._timing.rng)
                now = self._timing.now()
                if pause is None or not self.breaker.available(now + pause):
                    raise
                if not self.allowance.covers():
                    raise
            await self._timing.sleep(pause)

    async def _attempt(self, prompt: Prompt, sampling: Sampling, count: int) -> Reply:
        async with self._limiter.slot(prompt):
            if not self.breaker.admit(self._timing.now()):
                rest, row = self.resting(), self.breaker.in_a_row
                detail = f"{self.name} rests for {rest:.0f} s after {row} losses in a row"
                raise ModelError(LossKind.OPEN_CIRCUIT, detail)
            asked = False
            try:
                await self._limiter.turn()
                async with await self._reserve(prompt, sampling, count) as held:
                    asked = True
                    return await self._ask(prompt, sampling, held)
            except BaseException as error:
                # Refused by the budget, cancelled, or broken: no word on the model's health.
                if not asked or not isinstance(error, ModelError):
                    self.breaker.abandoned()
                raise

    async def _reserve(self, prompt: Prompt, sampling: Sampling, count: int) -> Reservation:
        most = min(sampling.max_tokens, self.settings.max_tokens or sampling.max_tokens)
        prompt_tokens, prices = self._bound.of(prompt), self.settings.prices

        def bound(answers: int) -> Bound:
            price = prices.bound(prompt_tokens, answers * most) if prices else 0.0
            return Bound(prompt_tokens + answers * most, price)

        try:
            return await self._spending.reserve(bound, count)
        except ModelError as error:
            self.refused = error.detail.partition(":")[0]
            raise

    async def _ask(self, prompt: Prompt, sampling: Sampling, held: Reservation) -> Reply:
        started = self._timing.now()
        self.tally.requests += 1
        try:
            async with self.allowance.bound():
                reply = await self.model.sample(prompt, sampling, count=held.count)
        except ModelError as error:
            read = error.kind is LossKind.TIMEOUT and error.usage == Usage()
            used = self._unanswered(prompt) if read else error.usage
            self._book(held, used, started)
            self.allowance.learn(used.cpu_seconds, answered=False)
            self._lost(error)
            raise
        except asyncio.CancelledError:
            self._book(held, self._unanswered(prompt), started)
            raise
        self._book(held, reply.usage, started)
        self.allowance.learn(reply.usage.cpu_seconds, answered=True)
        self.tally.answers += len(reply.answers)
        self.refused, self._answered = "", True
        self.breaker.succeeded()
        if held.count > 1 and len(reply.answers) == 1:
            self._together = False
        if not reply.usage.estimated:
            self._bound.learn(prompt, reply.usage.prompt_tokens)
        return reply

    def _unanswered(self, prompt: Prompt) -> Usage:
        """What a request used whose reply was not awaited: at least its prompt was read."""
        tokens, prices = estimate_prompt(prompt), self.settings.prices
        price = prices.of(Usage(tokens)) if prices else 0.0
        cpu_seconds = self.model.book() if isinstance(self.model, Metered) else 0.0
        return Usage(tokens, currency=price, estimated=True, cpu_seconds=cpu_seconds)

    def _book(self, held: Reservation, used: Usage, started: float) -> None:
        held.settle(used)
        self.tally.usage = self.tally.usage + used
        self.tally.seconds += self._timing.now() - started

    def _lost(self, error: ModelError) -> None:
        if self._answered:
            # A wrong key or name never answers: this is the endpoint's trouble, and may pass.
            error.fatal = False
        kind = error.kind.value
        self.tally.losses[kind] = self.tally.losses.get(kind, 0) + 1
        asked = error.retry_after or 0.0
        longest = self.settings.patience.longest
        if 0.0 < asked <= longest:
            self._limiter.pause(asked)
        self.breaker.failed(self._timing.now(), rest=asked if asked > longest else 0.0)


def _varied(sampling: Sampling, number: int) -> Sampling:
    """The same sampling for another request: with one seed all answers would be the same."""
    return sampling if sampling.seed is None else replace(sampling, seed=sampling.seed + number)
