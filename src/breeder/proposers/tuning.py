"""The tuning proposer: optimises the numeric constants of a program, its structure unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from breeder.core import Elite
from breeder.proposers.constants import Template, template
from breeder.proposers.drifting import Drift, Drifting
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal
from breeder.proposers.reward import reward
from breeder.proposers.sessions import Sessions, described, is_child, is_sound
from breeder.proposers.stepping import Step, Stepping

_FADE = 0.97  # of what is known of a way, per outcome of it
_LEAST, _MOST = 0.05, 0.7  # share of proposals that come from sessions
_PAYS = 0.15  # reward of a step or drift below which sessions get more than the least
_UNTRIED = 0.6  # share of proposals that are steps until every constant was moved both ways


@dataclass(slots=True)
class _Way:
    """A way of moving constants: fading sums of its rewards and tries, with a hopeful start."""

    paid: float = 0.5
    tries: float = 1.0

    def worth(self, rng: Random) -> float:
        return rng.betavariate(0.2 + self.paid, 0.2 + max(0.0, self.tries - self.paid))

    def learn(self, worth: float) -> None:
        self.paid = _FADE * self.paid + worth
        self.tries = _FADE * self.tries + 1.0


class TuningProposer:
    """Tunes constants in three ways.

    Steps along one constant find which constants matter and by what order of magnitude. Drifts move
    several of a parent's constants a little: quick where few evaluations are to be had. Both start
    from the best, so they build on each other; which is used follows how they have paid lately
    (Thompson sampling). Sessions of CMA-ES refine all constants together and learn which directions
    go together. They need many evaluations and begin anew when the best moves on, so most of them
    are left until steps and drifts have stopped paying. What steps and drifts have learned and
    running sessions do not survive a stop; what they found is in the archive, and which structures
    are done is kept.
    """

    name = "tuning"

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._sessions = Sessions(grammar)
        self._stepping = Stepping()
        self._drifting = Drifting()
        self._ways = {"step": _Way(), "drift": _Way(), "session": _Way()}

    async def propose(self, draw: Draw) -> Proposal | None:
        """Fill the parent's structure, or that of a running session, with other constants."""
        makers: dict[str, Callable[[Draw], Proposal | None]] = {
            "step": self._step,
            "drift": self._drift,
            "session": self._sessions.propose,
        }
        for name in self._order(draw):
            proposal = makers[name](draw)
            if proposal is not None:
                return proposal
        return None

    def learn(self, outcome: Outcome) -> None:
        """Pass the outcome on to the way that made the proposal."""
        ticket = outcome.proposal.ticket
        paid = outcome.fitness is not None and outcome.fitness > outcome.parent_fitness
        if isinstance(ticket, Step):
            way = "step"
            self._stepping.learn(ticket, paid=paid)
        elif isinstance(ticket, Drift):
            way = "drift"
            self._drifting.learn(paid=paid)
        else:
            way = "session"
            self._sessions.learn(outcome)
        if outcome.evaluation is not None:
            self._ways[way].learn(reward(outcome))

    def invite(self, elite: Elite) -> None:
        """Tune a program of another proposer next, if its structure is new and has constants."""
        self._sessions.invite(elite)

    def state(self) -> bytes:
        """The structures that are done and the fitness that each reached."""
        return self._sessions.state()

    def restore(self, state: bytes) -> None:
        """Take up which structures are done; anything unreadable is ignored."""
        self._sessions.restore(state)

    def _order(self, draw: Draw) -> list[str]:
        if self._sessions.invited():
            return ["session", "step", "drift"]
        rng, moves = draw.rng, ("step", "drift")
        paid, tries = (sum(getattr(self._ways[m], of) for m in moves) for of in ("paid", "tries"))
        share = _MOST if self._sessions.on_trial() else max(_LEAST, 1.0 - paid / tries / _PAYS)
        if rng.random() < min(_MOST, share):
            return ["session", *moves]
        structure = template(draw.parent.program.files, self._grammar)
        worth = {name: self._ways[name].worth(rng) for name in moves}
        if self._stepping.untried(structure) and rng.random() < _UNTRIED:
            worth["step"] = 1.0
        return [*sorted(moves, key=lambda name: -worth[name]), "session"]

    def _step(self, draw: Draw) -> Proposal | None:
        """Move one constant of the parent."""
        return self._moved(draw, self._stepping.draw)

    def _drift(self, draw: Draw) -> Proposal | None:
        """Move several constants of the parent."""
        return self._moved(draw, self._drifting.draw)

    def _moved(
        self,
        draw: Draw,
        move: Callable[[Template, Random], tuple[Step | Drift, tuple[bytes, ...]] | None],
    ) -> Proposal | None:
        parent = draw.parent
        structure = template(parent.program.files, self._grammar)
        drawn = move(structure, draw.rng)
        if drawn is None or not is_sound(parent, self._grammar):
            return None
        ticket, spellings = drawn
        files = structure.filled(spellings)
        if not is_child(parent, files, self._grammar):
            return None
        note = described([constant for _, constant in structure.constants], spellings)
        return Proposal(files, (parent.program.id,), note, ticket=ticket)
