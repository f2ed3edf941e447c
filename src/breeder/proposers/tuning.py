"""The tuning proposer: optimises the numeric constants of a program, its structure unchanged."""

from __future__ import annotations

from breeder.core import Elite
from breeder.proposers.constants import template
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal
from breeder.proposers.sessions import Sessions, described, is_child, is_sound
from breeder.proposers.stepping import Step, Stepping

_FADE = 0.95  # of the record of steps, per outcome
_LEAST, _MOST = 0.25, 0.65  # share of proposals that are steps


class TuningProposer:
    """Tunes constants by large steps along one of them, and with CMA-ES along all of them.

    Steps find which constants matter and by what order of magnitude, sessions of CMA-ES refine all
    together. Until every constant was moved both ways most proposals are steps; then their share
    follows how often they have paid lately. It does not depend on how often sessions pay: they gain
    often and little where a step gains seldom and much. What steps have learned and running
    sessions do not survive a stop; what they found is in the archive, and which structures are done
    is kept.
    """

    name = "tuning"

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._sessions = Sessions(grammar)
        self._stepping = Stepping()
        self._paid, self._tries = 1.0, 2.0  # fading counts of steps, with a hopeful start

    async def propose(self, draw: Draw) -> Proposal | None:
        """Fill the parent's structure, or that of a running session, with other constants."""
        if self._sessions.invited():
            return self._sessions.propose(draw) or self._step(draw)
        structure = template(draw.parent.program.files, self._grammar)
        share = min(_MOST, _LEAST + self._paid / self._tries)
        if draw.rng.random() < (_MOST if self._stepping.untried(structure) else share):
            return self._step(draw) or self._sessions.propose(draw)
        return self._sessions.propose(draw) or self._step(draw)

    def learn(self, outcome: Outcome) -> None:
        """Pass the outcome on to the way that made the proposal."""
        ticket = outcome.proposal.ticket
        if isinstance(ticket, Step):
            paid = outcome.fitness is not None and outcome.fitness > outcome.parent_fitness
            self._stepping.learn(ticket, paid=paid)
            self._paid = _FADE * self._paid + paid
            self._tries = _FADE * self._tries + 1.0
        else:
            self._sessions.learn(outcome)

    def invite(self, elite: Elite) -> None:
        """Tune a program of another proposer next, if its structure is new and has constants."""
        self._sessions.invite(elite)

    def state(self) -> bytes:
        """The structures that are done and the fitness that each reached."""
        return self._sessions.state()

    def restore(self, state: bytes) -> None:
        """Take up which structures are done; anything unreadable is ignored."""
        self._sessions.restore(state)

    def _step(self, draw: Draw) -> Proposal | None:
        """Move one constant of the parent."""
        parent = draw.parent
        structure = template(parent.program.files, self._grammar)
        drawn = self._stepping.draw(structure, draw.rng)
        if drawn is None or not is_sound(parent, self._grammar):
            return None
        step, spellings = drawn
        files = structure.filled(spellings)
        if not is_child(parent, files, self._grammar):
            return None
        note = described([constant for _, constant in structure.constants], spellings)
        return Proposal(files, (parent.program.id,), note, ticket=step)
