"""Sessions of CMA-ES over the numeric constants of a program, its structure unchanged."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import msgspec

from breeder.core import Elite
from breeder.proposers.checks import child_text
from breeder.proposers.constants import Constant, Template, template
from breeder.proposers.edits.change import short
from breeder.proposers.proposer import Draw, Grammar, Outcome, Proposal
from breeder.proposers.search import Covariance, OnePlusOne, Search
from breeder.proposers.trees import encode, parses

_SESSIONS = 8
_REMEMBERED = 2000
_MOST = 40
_RESTARTS = 2
_SIGMA = 0.25
_PATIENCE = 50
_EMPTY_GENERATIONS = 4
_ATTEMPTS = 4
_INVITED = 16
_TRIAL = 2  # generations that an invited program gets although a better parent was drawn


@dataclass(slots=True)
class _Vector:
    """A vector of the running generation: its cost is None until it is known."""

    x: list[float]
    spellings: tuple[bytes, ...]
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """Which vector of which generation of which session a proposal carries."""

    session: str
    serial: int
    generation: int
    index: int


class _Session:
    """CMA-ES over the constants of one structure, from one elite."""

    def __init__(self, elite: Elite, structure: Template, serial: int, rng: Random) -> None:
        self.serial = serial
        self.elite = elite
        self.template = structure
        every = range(len(structure.constants))
        chosen = every if len(every) <= _MOST else sorted(rng.sample(every, _MOST))
        self.chosen = list(chosen)
        self.start = tuple(c.text for _, c in structure.constants)
        self.best = elite.fitness
        self.restarts = 0
        self.generation = 0
        self.waited = 0
        self.vectors: list[_Vector] = []
        self.asked: set[tuple[bytes, ...]] = set()
        self.known: dict[tuple[bytes, ...], float] = {self.start: -elite.fitness}
        self.best_x = [0.0] * len(self.chosen)
        self.search = self._start(rng)
        self.ended = False
        self.invited = False

    def on_trial(self) -> bool:
        """Whether it was begun by invitation and has not had its first generations yet."""
        return self.invited and self.generation <= _TRIAL

    def spelled(self, x: list[float]) -> tuple[bytes, ...]:
        """The spelling of every constant at internal coordinates `x`."""
        spellings = list(self.start)
        for i, at in zip(self.chosen, x, strict=True):
            constant = self.template.constants[i][1]
            spellings[i] = constant.spelled(constant.at(at))
        return tuple(spellings)

    def next(self, rng: Random) -> tuple[int, _Vector] | None:
        """A vector to evaluate; None while outcomes are awaited, and when the session has ended."""
        while not self.ended:
            for _ in range(_EMPTY_GENERATIONS):
                for index, vector in enumerate(self.vectors):
                    if vector.cost is None and vector.spellings not in self.asked:
                        self.asked.add(vector.spellings)
                        return index, vector
                if self._awaits():
                    return None
                self._finish_generation(rng)
            # Nothing but known vectors, generation after generation: the steps are too small.
            self._restart(rng)
        return None

    def _awaits(self) -> bool:
        """Whether outcomes are still to come; after some patience they count as lost."""
        missing = [v for v in self.vectors if v.cost is None]
        self.waited += bool(missing)
        if missing and self.waited <= _PATIENCE:
            return True
        for vector in missing:
            vector.cost = math.inf
        return False

    def tell(self, index: int, fitness: float | None) -> None:
        """Note the fitness of a vector; None for a failure."""
        vector = self.vectors[index]
        cost = math.inf if fitness is None else -fitness
        self.known[vector.spellings] = cost
        for twin in self.vectors:  # rounding may spell several vectors alike
            if twin.spellings == vector.spellings:
                twin.cost = cost
        if fitness is not None and fitness > self.best:
            self.best = fitness
            self.best_x = vector.x

    def _start(self, rng: Random) -> Search:
        steps = [self.template.constants[i][1].least_step for i in self.chosen]
        sigma = _SIGMA * 1.5**self.restarts
        if len(steps) == 1:
            return OnePlusOne(self.best_x, steps, sigma=sigma, rng=rng)
        population = 4 + int(3 * math.log(len(steps)))
        population *= 2**self.restarts
        return Covariance(self.best_x, steps, sigma=sigma, population=population, rng=rng)

    def _finish_generation(self, rng: Random) -> None:
        if self.vectors:
            costs = [v.cost for v in self.vectors if v.cost is not None and math.isfinite(v.cost)]
            if costs:
                worst = max(costs)
                penalty = worst + (worst - min(costs)) + 1e-6 * (1 + abs(worst))
                told = [
                    v.cost if v.cost is not None and math.isfinite(v.cost) else penalty
                    for v in self.vectors
                ]
                self.search.tell([v.x for v in self.vectors], told)
            else:
                self.search.narrow()
        if self.search.ended():
            self._restart(rng)
        self.waited = 0
        self.asked.clear()
        self.generation += 1
        self.vectors = []
        for x in self.search.ask():
            spellings = self.spelled(x)
            self.vectors.append(_Vector(x, spellings, self.known.get(spellings)))

    def _restart(self, rng: Random) -> None:
        self.restarts += 1
        self.ended = self.restarts > _RESTARTS
        if not self.ended:
            self.search = self._start(rng)
            self.vectors = []


class Sessions:
    """CMA-ES over constants, one session per structure (a program modulo its constants).

    A session hands out one vector per proposal and moves on when a generation's outcomes have all
    arrived; failures and outcomes that never arrive count as worse than the worst. Sessions that
    are running are continued before new ones are begun, unless the parent drawn is better than
    what they have reached. A converged session restarts with a larger step and population, twice,
    and the structure is then left alone until a better parent of it is drawn.

    A running session does not survive a stop: what it found is in the archive, from where a new
    session starts; which structures are done does survive.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._done: OrderedDict[str, float] = OrderedDict()
        self._invited: deque[Elite] = deque(maxlen=_INVITED)
        self._serial = 0

    def invite(self, elite: Elite) -> None:
        """Begin with this program at the next proposal, unless its structure is known by then."""
        self._invited.append(elite)

    def invited(self) -> bool:
        """Whether there are programs to begin with."""
        return bool(self._invited)

    def on_trial(self) -> bool:
        """Whether an invited program has not had its first generations yet."""
        return any(session.on_trial() for session in self._sessions.values())

    def propose(self, draw: Draw) -> Proposal | None:
        """Fill the parent's structure, or that of a running session, with other constants."""
        for key, session in self._candidates(draw):
            for _ in range(_ATTEMPTS):
                asked = session.next(draw.rng)
                if asked is None:
                    break
                proposal = self._proposal(key, session, *asked)
                if proposal is not None:
                    return proposal
                session.tell(asked[0], None)
            if session.ended:
                self._close(key)
        return None

    def learn(self, outcome: Outcome) -> None:
        """Pass the fitness on to the session that asked for it."""
        ticket = outcome.proposal.ticket
        if not isinstance(ticket, Ticket):
            return
        session = self._sessions.get(ticket.session)
        if session is None or session.serial != ticket.serial:
            return
        if session.generation == ticket.generation:
            session.tell(ticket.index, outcome.fitness)

    def state(self) -> bytes:
        """The structures that are done and the fitness that each reached."""
        return msgspec.msgpack.encode(dict(self._done))

    def restore(self, state: bytes) -> None:
        """Take up which structures are done; anything unreadable is ignored."""
        if not state:
            return
        try:
            self._done = OrderedDict(msgspec.msgpack.decode(state, type=dict[str, float]))
        except msgspec.MsgspecError:
            self._done = OrderedDict()

    def _candidates(self, draw: Draw) -> list[tuple[str, _Session]]:
        """The sessions to ask, in order; begins one for the parent where that is due."""
        self._welcome(draw.rng)
        parent = draw.parent
        structure = template(parent.program.files, self._grammar)
        key = structure.key
        own = self._sessions.get(key)
        running = [
            (k, s)
            for k, s in self._sessions.items()
            if k != key and (s.best >= parent.fitness or s.on_trial())
        ]
        if own is not None and own.best < parent.fitness:
            own = self._open(parent, structure, draw.rng)
        due = own is None and bool(structure.constants) and self._is_due(key, parent.fitness)
        if due and (not running or draw.rng.random() < 0.2):
            if not is_sound(parent, self._grammar):
                self._done[key] = math.inf
                return running[::-1]
            own = self._open(parent, structure, draw.rng)
        if own is not None:
            self._sessions.move_to_end(key)
            return [(key, own), *running[::-1]]
        return running[::-1]

    def _welcome(self, rng: Random) -> None:
        """Begin a session for each invited program that has constants in a structure of its own."""
        while self._invited:
            elite = self._invited.popleft()
            structure = template(elite.program.files, self._grammar)
            new = structure.key not in self._sessions and self._is_due(structure.key, elite.fitness)
            if new and structure.constants and is_sound(elite, self._grammar):
                self._open(elite, structure, rng).invited = True

    def _is_due(self, key: str, fitness: float) -> bool:
        return fitness > self._done.get(key, -math.inf)

    def _open(self, parent: Elite, structure: Template, rng: Random) -> _Session:
        self._serial += 1
        session = _Session(parent, structure, self._serial, rng)
        self._sessions[structure.key] = session
        while len(self._sessions) > _SESSIONS:
            self._sessions.popitem(last=False)
        return session

    def _close(self, key: str) -> None:
        session = self._sessions.pop(key)
        self._done[key] = session.best
        while len(self._done) > _REMEMBERED:
            self._done.popitem(last=False)

    def _proposal(
        self, key: str, session: _Session, index: int, vector: _Vector
    ) -> Proposal | None:
        files = session.template.filled(vector.spellings)
        if not is_child(session.elite, files, self._grammar):
            return None
        ticket = Ticket(key, session.serial, session.generation, index)
        note = described([c for _, c in session.template.constants], vector.spellings)
        return Proposal(files, (session.elite.program.id,), note, ticket=ticket)


def is_sound(elite: Elite, grammar: Grammar) -> bool:
    """Whether every file parses: where it does not, no other constants would mend it."""
    files = elite.program.files
    return all(parses(encode(t), grammar.languages.get(p, "text")) for p, t in files.items())


def is_child(elite: Elite, files: Mapping[str, str], grammar: Grammar) -> bool:
    """Whether `files` parse and differ from the elite's in evolvable regions only."""
    return all(
        text == elite.program.files[path]
        or child_text(elite.program.files[path], encode(text), path, grammar) is not None
        for path, text in files.items()
    )


def described(constants: Sequence[Constant], spellings: Sequence[bytes]) -> str:
    """One line on which constants changed."""
    changes = [
        f"{c.name + ' ' if c.name else ''}{short(c.text)} -> {short(new)}"
        for c, new in zip(constants, spellings, strict=True)
        if c.text != new
    ]
    shown = ", ".join(changes[:4]) + (", …" if len(changes) > 4 else "")
    return f"tune {len(changes)} of {len(constants)} constants: {shown}"
