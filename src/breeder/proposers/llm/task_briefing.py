"""The briefing of a task: prompts, ideas, instructions, what failed and what was learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from breeder.proposers.llm.briefing import Brief
from breeder.proposers.llm.excerpts import FunctionView, evolvable_text, functions
from breeder.proposers.llm.expressions import Place, choose, focused, rewritable
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.failures import FailureLog
from breeder.proposers.llm.formats import FORMS
from breeder.proposers.llm.forms import HELD
from breeder.proposers.llm.grammars import body_grammar, edit_grammar
from breeder.proposers.llm.ideas import IdeaLibrary
from breeder.proposers.llm.instructions import InstructionBook
from breeder.proposers.llm.model import Prompt
from breeder.proposers.llm.prefix import PrefixMeter
from breeder.proposers.llm.prompt import (
    DEFAULT_INSTRUCTION,
    PromptBuilder,
    PromptOptions,
    PromptRequest,
)
from breeder.proposers.llm.reductions import Site, reducible, unrolled
from breeder.proposers.llm.reflection import Reflection
from breeder.proposers.llm.samples import Sample
from breeder.proposers.llm.small import choose_function
from breeder.proposers.llm.tokens import estimate
from breeder.proposers.proposer import Draw, Outcome

SMALL_PROMPT = 2_000
"""Most tokens of a small model's prompt: reading them takes it longer than answering."""

SMALL_TOKENS = 400
"""Most tokens of a small model's answer: a longer one has lost its thread."""

_LONGER = 2.0  # times the function that it is asked for, and
_SPARE = 64  # tokens more, before a shorter answer has

_HELD = ("small", "diff")  # forms whose answers have a grammar

_SMALL_FRAME = 300  # tokens of goal, idea, question and chat template

EXPRESSION_TOKENS = 240
EXPRESSION_TEMPERATURE = 1.1
"""Bolder than elsewhere: the grammar keeps what is drawn sound, and samples of a prompt differ."""


@dataclass(frozen=True, slots=True)
class BriefingOptions:
    """What prompts hold.

    Attributes:
        tokens: room for a prompt, in estimated tokens.
        small_tokens: the same for a small model; functions that do not fit are not offered to it.
        context: goal and feedback of the task; off for ablations.
        meta_prompts: instructions that evolve; off: one plain instruction.
        reflection: critiques are asked for and shown.
    """

    tokens: int = 12_000
    small_tokens: int = SMALL_PROMPT
    context: bool = True
    meta_prompts: bool = True
    reflection: bool = True


class Question:
    """A question to a deep model whose answer improves later prompts."""

    def __init__(self, prompt: Prompt, answered: Callable[[str], object]) -> None:
        self.prompt = prompt
        self._answered = answered

    def answered(self, text: str) -> None:
        """Take the answer; a useless one is dropped."""
        self._answered(text)


class _State(msgspec.Struct):
    builder: bytes = b""
    ideas: bytes = b""
    book: bytes = b""
    failures: bytes = b""
    reflection: bytes = b""
    meter: bytes = b""


class TaskBriefing:
    """Writes the prompts of all models of a run. Ideas, instructions and notes are shared.

    Args:
        facts: the task.
        options: what prompts hold.
    """

    def __init__(self, facts: TaskFacts, options: BriefingOptions | None = None) -> None:
        self._facts = facts
        self._options = options or BriefingOptions()
        chosen = self._options
        self._builder = PromptBuilder(
            facts, PromptOptions(tokens=chosen.tokens, context=chosen.context)
        )
        self._ideas = IdeaLibrary(f"{facts.name} {facts.goal}", facts.language)
        self._book = InstructionBook(every=60 if chosen.meta_prompts else 0)
        self._failures = FailureLog()
        self._reflection = Reflection(batch=40 if chosen.reflection else 0)
        self._meter = PrefixMeter()

    def forms(self, draw: Draw) -> tuple[str, ...]:
        """Forms of edit that the drawn parent can be asked for."""
        files = dict(draw.parent.program.files)
        free = self._ideas.derives and self._places(files)
        views = functions(files, self._facts.grammar)
        # Where there is no function the prompt holds the whole block.
        block = evolvable_text(files, self._facts.grammar)
        fits = bool(self._fitting(views)) if views else self._fits(block)
        folds = bool(self._sites(files))
        offered = (("expression", bool(free)), ("reduction", folds), ("small", fits))
        short = [name for name, there in offered if there]
        found = (*short, *self._builder.forms(files))
        return (*found, *(f"{form}{HELD}" for form in _HELD if form in found))

    def brief(self, draw: Draw, form: str) -> Brief:
        """A prompt for a better program than the parent."""
        if form == "expression":
            return self._expression(draw) or self._small(draw, "small")
        if form == "reduction":
            return self._reduction(draw) or self._small(draw, "small")
        small = form.removesuffix(HELD) == "small"
        return self._small(draw, form) if small else self._large(draw, form)

    def sent(self, prompt: Prompt, samples: int) -> None:
        """Take note of a prompt that is sent for so many answers."""
        self._meter.record(prompt, samples=samples)

    def prefix_share(self) -> float:
        """Share of the prompts sent so far that repeated the beginning of earlier ones."""
        return self._meter.share

    def learn(self, sample: Sample, outcome: Outcome, reward: float) -> None:
        """Credit idea and instruction; remember what failed and what came of it."""
        self._failures.learn(outcome)
        self._reflection.learn(outcome)
        if outcome.evaluation is None:
            return
        keys, instruction = sample.credit.get("idea", ()), sample.credit.get("instruction", "")
        self._ideas.learn(keys, reward)
        self._book.learn(instruction, reward)

    def reflect(self) -> Question | None:
        """A critique, or new instructions, when they are due."""
        goal = self._facts.goal if self._options.context else ""
        if self._reflection.due():
            return Question(self._reflection.critique(goal), self._reflection.absorb)
        if self._book.due():
            return Question(self._book.revision(goal), self._book.revise)
        return None

    def state(self) -> bytes:
        """What must survive a stop."""
        return msgspec.msgpack.encode(
            _State(
                self._builder.state(),
                self._ideas.state(),
                self._book.state(),
                self._failures.state(),
                self._reflection.state(),
                self._meter.state(),
            )
        )

    def restore(self, state: bytes) -> None:
        """Take up what `state` gave. Tolerates `b""` and what cannot be read."""
        if not state:
            return
        try:
            past = msgspec.msgpack.decode(state, type=_State)
            self._builder.restore(past.builder)
            self._ideas.restore(past.ideas)
            self._book.restore(past.book)
            self._failures.restore(past.failures)
            self._reflection.restore(past.reflection)
            self._meter.restore(past.meter)
        except (msgspec.MsgspecError, ValueError):
            return  # what was learned is lost; what was spent is kept elsewhere

    def _fits(self, code: str) -> bool:
        """Whether a small model's prompt has room for this code, which its prefill may repeat."""
        return 2 * estimate(code) + _SMALL_FRAME <= self._options.small_tokens

    def _fitting(self, views: Sequence[FunctionView]) -> list[FunctionView]:
        return [view for view in views if self._fits(view.short)]

    def _places(self, files: Mapping[str, str]) -> list[Place]:
        found = rewritable(files, self._facts.grammar)
        return [place for place in found if self._fits(place.view.short)]

    def _sites(self, files: Mapping[str, str]) -> list[Site]:
        found = reducible(files, self._facts.grammar)
        return [site for site in found if self._fits(site.view.short)]

    def _small(self, draw: Draw, form: str) -> Brief:
        files = dict(draw.parent.program.files)
        view = choose_function(self._fitting(functions(files, self._facts.grammar)), draw.rng)
        idea = self._ideas.draw(view, draw.rng)
        prompt = self._short(draw, view, idea.text)
        credit = {"idea": list(idea.keys)}
        if form.endswith(HELD) and view is not None:
            rules = body_grammar(files, self._facts.grammar, function=view.name)
            prompt = replace(prompt, grammar=rules)
        most = SMALL_TOKENS
        if view is not None:
            most = min(most, int(_LONGER * estimate(view.short)) + _SPARE)
        return Brief(prompt, form, credit, note=idea.text, max_tokens=most)

    def _expression(self, draw: Draw) -> Brief | None:
        """A prompt for one expression; None where the parent has none to offer."""
        files = dict(draw.parent.program.files)
        place = choose(self._places(files), draw.rng)
        if place is None:
            return None
        idea, way = self._ideas.draw(place.view, draw.rng), self._ideas.direction(draw.rng)
        prompt = self._short(draw, place.view, idea.text)
        prompt = focused(prompt, place.spot, idea.text, negated=way == "-")
        credit = {"idea": [*idea.keys, way]}
        return Brief(
            prompt,
            "expression",
            credit,
            note=idea.text,
            temperature=EXPRESSION_TEMPERATURE,
            max_tokens=EXPRESSION_TOKENS,
        )

    def _reduction(self, draw: Draw) -> Brief | None:
        """A prompt for what a loop computes; None where the parent has no such loop."""
        sites = self._sites(dict(draw.parent.program.files))
        if not sites:
            return None
        site = draw.rng.choice(sites)
        prompt = self._short(draw, site.view, site.loop.idea)
        return Brief(
            unrolled(prompt, site.loop, named=draw.rng.random() < 0.5),
            "reduction",
            note=site.loop.idea,
            temperature=EXPRESSION_TEMPERATURE,
            max_tokens=EXPRESSION_TOKENS,
        )

    def _short(self, draw: Draw, view: FunctionView | None, idea: str) -> Prompt:
        """The short prompt for one function."""
        request = PromptRequest(
            parent=draw.parent,
            rng=draw.rng,
            size="small",
            function=view.name if view is not None else "",
            idea=idea,
            best=draw.best,
        )
        return self._builder.build(request)

    def _large(self, draw: Draw, form: str) -> Brief:
        instruction, credit = DEFAULT_INSTRUCTION, {}
        if self._options.meta_prompts:
            drawn = self._book.draw(self._available(draw), draw.rng)
            instruction, credit = drawn.text, {"instruction": drawn.id}
        request = PromptRequest(
            parent=draw.parent,
            rng=draw.rng,
            inspirations=draw.inspirations,
            form=next((one for one in FORMS if one == form.removesuffix(HELD)), "diff"),
            instruction=instruction,
            failures=self._failures.recent(),
            tried=self._failures.tried(draw.parent.program.id),
            notes=self._reflection.text,
            best=draw.best,
        )
        others = (one.program.id for one in draw.inspirations)
        shown = tuple(one for one in others if one != draw.parent.program.id)
        prompt = self._builder.build(request)
        if form.endswith(HELD):
            rules = edit_grammar(draw.parent.program.files, self._facts.grammar)
            prompt = replace(prompt, grammar=rules)
        return Brief(prompt, form, credit, shown=shown)

    def _available(self, draw: Draw) -> tuple[str, ...]:
        """What the prompt will hold, in the words of the instructions' needs."""
        parts = {
            "inspirations": bool(draw.inspirations),
            "artifacts": bool(draw.parent.evaluation.artifacts) and self._options.context,
            "failures": bool(self._failures.recent()),
            "tried": bool(self._failures.tried(draw.parent.program.id)),
            "notes": bool(self._reflection.text),
        }
        return tuple(name for name, there in parts.items() if there)
