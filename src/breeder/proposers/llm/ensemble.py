"""The models of a run, side by side: who can be asked, what they used, what they lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self

import msgspec

from breeder.core import Budget
from breeder.errors import ConfigError
from breeder.proposers.llm.breaker import Circuit
from breeder.proposers.llm.endpoint import EndpointModel
from breeder.proposers.llm.member import Member, MemberSettings, Tally
from breeder.proposers.llm.model import LanguageModel, LossKind, Usage
from breeder.proposers.llm.retry import Timing
from breeder.proposers.llm.settings import ModelConfig
from breeder.proposers.llm.spending import Bound, Spending

Seat = tuple[LanguageModel, MemberSettings]
"""A model and how it may be asked."""


class Health(NamedTuple):
    """How a model does: state of its breaker, losses in a row, seconds it rests."""

    name: str
    circuit: Circuit
    in_a_row: int
    resting: float


class _State(msgspec.Struct):
    spent: Usage
    tallies: dict[str, Tally]
    outstanding: Bound = Bound(0, 0.0)


def open_models(configs: Iterable[ModelConfig]) -> list[Seat]:
    """The models of `[[model]]` entries, ready to be asked. Nothing is sent.

    Raises:
        ConfigError: a key's environment variable is not set.
        UserError: the `openai` package is not installed.
    """
    return [(EndpointModel(config), MemberSettings.of(config)) for config in configs]


class Ensemble:
    """Models by name, sharing one budget. An outage of one leaves the others as they are.

    Args:
        seats: models of different names, and how each may be asked.
        budget: its limits of tokens and currency are hard stops.
        timing: clock, sleep and jitter.

    Raises:
        ConfigError: two models have the same name, or one has no prices under a budget in
            currency.
    """

    def __init__(
        self,
        seats: Sequence[Seat],
        budget: Budget | None = None,
        *,
        timing: Timing | None = None,
    ) -> None:
        budget = budget or Budget()
        self.spending = Spending.of(budget)
        members: dict[str, Member] = {}
        for model, settings in seats:
            if model.name in members:
                raise ConfigError(f"model {model.name!r}: the name is given twice")
            if budget.currency is not None and settings.prices is None:
                raise ConfigError(unpriced(model.name))
            members[model.name] = Member(model, settings, spending=self.spending, timing=timing)
        self.members: Mapping[str, Member] = MappingProxyType(members)

    def available(self) -> tuple[Member, ...]:
        """Members that can be asked now, in order of configuration."""
        return tuple(member for member in self.members.values() if member.available())

    def of_role(self, role: str) -> tuple[Member, ...]:
        """Available members of a role; every available one where none has it."""
        ready = self.available()
        return tuple(member for member in ready if member.role == role) or ready

    def exhausted(self) -> str:
        """Name of the limit because of which no member can be asked any more; or ''.

        A limit counts as used up, too, when what is left of it covered nobody's last request.
        """
        refused = [member.refused for member in self.members.values()]
        return self.spending.reached() or (refused[0] if refused and all(refused) else "")

    def health(self) -> tuple[Health, ...]:
        """How each member does, in order of configuration."""
        return tuple(
            Health(name, member.breaker.circuit, member.breaker.in_a_row, member.resting())
            for name, member in self.members.items()
        )

    def tallies(self) -> Mapping[str, Tally]:
        """What became of each member's requests, over all sittings."""
        return {name: member.tally for name, member in self.members.items()}

    def losses(self) -> Counter[LossKind]:
        """Requests that gave nothing, by kind, of all members."""
        total: Counter[LossKind] = Counter()
        for member in self.members.values():
            for kind, number in member.tally.losses.items():
                total[LossKind(kind)] += number
        return total

    def state(self) -> bytes:
        """What must survive a stop: what was spent, and the tallies."""
        spending = self.spending
        state = _State(spending.spent, dict(self.tallies()), spending.outstanding)
        return msgspec.msgpack.encode(state)

    def restore(self, state: bytes) -> None:
        """Take up a state that `state` gave. Tolerates `b""`.

        What models spent that are no longer configured stays spent. What was reserved when the
        state was given stays reserved for good: those requests were killed with their sitting.
        """
        if not state:
            return
        past = msgspec.msgpack.decode(state, type=_State)
        self.spending.spent = self.spending.spent + past.spent
        self.spending.unknown = past.outstanding
        for name, tally in past.tallies.items():
            if name in self.members:
                self.members[name].tally = tally

    async def close(self) -> None:
        """Release the connections of all members. Safe to call twice."""
        for member in self.members.values():
            await member.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()


def unpriced(name: str) -> str:
    """What to say of a model without prices under a budget in currency."""
    return (
        f"model {name!r}: a budget in currency needs its prices; add"
        " prices = { prompt = ..., answer = ... } per million tokens (0 for a model of your own)"
    )
