"""Prompts: what a language model is shown of a task, a parent and what was learned so far.

Laid out for prefix caches (see `layout`): what never changes, then elites that change seldom, the
answer format (several alternate), notes, the parent, its metrics and feedback, what to avoid,
inspirations, and the instruction last.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from breeder.core import Elite
from breeder.proposers.llm.excerpts import FunctionView, evolvable_text, functions, whole_text
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.fences import clean, line
from breeder.proposers.llm.formats import Form, answer_format
from breeder.proposers.llm.layout import Section, fit
from breeder.proposers.llm.model import Prompt
from breeder.proposers.llm.rendering import (
    SYSTEM,
    artifacts_text,
    elite_text,
    label,
    listing,
    metrics_text,
    support_text,
    task_text,
)
from breeder.proposers.llm.showcase import Showcase
from breeder.proposers.llm.small import choose_function, small_prompt
from breeder.proposers.llm.tokens import estimate
from breeder.regions import MarkerError

Size = Literal["large", "small"]
"""The full prompt, or the short one for models under about 3 B parameters."""

DEFAULT_INSTRUCTION = "Improve the program. Prefer one well-founded idea to many small changes."


@dataclass(frozen=True, slots=True)
class PromptOptions:
    """How prompts are made.

    Attributes:
        tokens: room for a prompt, in estimated tokens: the model's context less its answers.
        elites: how many good programs every prompt shows before the parent; 0 for none.
        renewal: prompts between renewals of that set.
        inspirations: most other elites shown in full after the parent.
        artifacts: most characters of feedback from the parent's evaluation.
        context: show the task's goal, its rules and feedback; off for ablations.
    """

    tokens: int = 12_000
    elites: int = 4
    renewal: int = 32
    inspirations: int = 1
    artifacts: int = 2_000
    context: bool = True


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """What one prompt is made from.

    Attributes:
        parent: the program to change.
        rng: the only source of randomness (which function a prompt is about).
        inspirations: other elites, most promising first.
        form: how the answer shall state the change; the small size always asks for a function.
        size: the full prompt or the short one.
        function: name of the function to rewrite; chosen by `rng` if empty.
        instruction: what to try, see `instructions`.
        idea: one line on what to try, see `ideas`.
        failures: recent failures, see `failures.FailureLog.recent`.
        tried: what was tried from this parent without gain, see `FailureLog.tried`.
        notes: lessons from earlier attempts, see `reflection`.
        best: the best fitness so far (`Draw.best`).
    """

    parent: Elite
    rng: random.Random
    inspirations: Sequence[Elite] = ()
    form: Form = "diff"
    size: Size = "large"
    function: str = ""
    instruction: str = ""
    idea: str = ""
    failures: Sequence[str] = ()
    tried: Sequence[str] = ()
    notes: str = ""
    best: float = math.inf


class PromptBuilder:
    """Makes prompts for one task. Deterministic; does no I/O and reads no environment.

    Args:
        facts: the task.
        options: sizes and what to show.
    """

    def __init__(self, facts: TaskFacts, options: PromptOptions = PromptOptions()) -> None:
        self.facts = facts
        self.options = options
        self._showcase = Showcase(options.elites, every=options.renewal)
        self._task = task_text(facts, context=options.context)
        self._support = support_text(facts) if options.context else ""

    def build(self, request: PromptRequest) -> Prompt:
        """The prompt for a request.

        Not longer than `PromptOptions.tokens`, by estimate, unless the task, the answer format and
        the parent are longer by themselves.
        """
        self._showcase.offer((request.parent, *request.inspirations), best=request.best)
        if request.size == "small":
            return self._small(request)
        return self._large(request)

    def forms(self, files: Mapping[str, str]) -> tuple[Form, ...]:
        """The forms that can be asked for with this program."""
        found: list[Form] = ["diff"]
        if functions(files, self.facts.grammar):
            found.append("function")
        if self._blocks(files) == 1:
            found.append("block")
        if len(files) == 1:
            found.append("file")
        return tuple(found)

    def state(self) -> bytes:
        """What must survive a stop."""
        return self._showcase.state()

    def restore(self, state: bytes) -> None:
        """Take up a state of an earlier process; tolerates `b""`."""
        self._showcase.restore(state)

    def _blocks(self, files: Mapping[str, str]) -> int:
        try:
            return sum(len(self.facts.grammar.regions(text)) for text in files.values())
        except MarkerError:
            return 0

    def _small(self, request: PromptRequest) -> Prompt:
        files = dict(request.parent.program.files)
        view = self._function(request, files)
        context = self.options.context
        return small_prompt(self.facts, files, view, request.idea, context=context)

    def _function(self, request: PromptRequest, files: Mapping[str, str]) -> FunctionView | None:
        views = functions(files, self.facts.grammar)
        named = [view for view in views if view.name == request.function]
        return named[0] if named else choose_function(views, request.rng)

    def _large(self, request: PromptRequest) -> Prompt:
        form = request.form if request.form in self.forms(request.parent.program.files) else "diff"
        shown = self._showcase.next()
        system, good = SYSTEM, self._elites(shown)
        sections = [
            Section(self._task),
            Section(self._support, worth=2.5),
            *good,
            # Forms alternate more often than elites are renewed, and share what stands before.
            Section(answer_format(form, self.facts.language) + "\n"),
            Section(_notes(request.notes), worth=5.0),
            Section(self._parent(request.parent, form)),
            Section(metrics_text(self.facts, request.parent.evaluation) + "\n\n"),
            self._feedback(request.parent),
            Section(_avoid(request), worth=4.0),
            *self._inspirations(request, shown),
            Section(self._ask(request, form)),
        ]
        texts = fit(sections, self.options.tokens - estimate(system))
        self._showcase.left_out(e for e, text in zip(shown, texts[2:], strict=False) if not text)
        return Prompt(tuple(text for text in texts if text), system=system)

    def _elites(self, shown: Sequence[Elite]) -> list[Section]:
        """The good programs. The champion, which stands last, is the last to give way."""
        if not shown:
            return []
        title = "# Good programs so far, the best one last (their evolvable parts)\n\n"
        sections = []
        for place, elite in enumerate(shown):
            text = (title if place == 0 else "") + elite_text(self.facts, elite)
            last = place == len(shown) - 1
            sections.append(Section(text, worth=4.5 if last else 3.0 + 0.01 * (9 - place)))
        return sections

    def _parent(self, parent: Elite, form: Form) -> str:
        files = parent.program.files
        if form == "file":
            code = whole_text(files, self.facts.grammar.languages)
        else:
            code = evolvable_text(files, self.facts.grammar)
        return f"# The program to change: {label(parent)}\n\n{code}\nIt scores "

    def _feedback(self, parent: Elite) -> Section:
        artifacts = parent.evaluation.artifacts if self.options.context else {}
        room = self.options.artifacts
        texts = [artifacts_text(artifacts, share) for share in (room, room // 2, room // 4)]
        return Section(texts[0], worth=2.0, shorter=tuple(texts[1:]))

    def _inspirations(self, request: PromptRequest, shown: Sequence[Elite]) -> list[Section]:
        """Other programs: by name where the prompt shows them already, in full otherwise."""
        above = {elite.program.id for elite in shown}
        others = [e for e in request.inspirations if e.program.id != request.parent.program.id]
        known = [label(e) for e in others if e.program.id in above]
        new = [e for e in others if e.program.id not in above][: self.options.inspirations]
        texts = [elite_text(self.facts, e) for e in new]
        again = Section(f"Look again at {', '.join(known)} above.\n\n", worth=3.5)
        sections = [again] if known else []
        for place, text in enumerate(texts):
            title = "## Other programs, for inspiration\n\n" if place == 0 else ""
            sections.append(Section(title + text, worth=1.0 + 0.01 * (9 - place)))
        return sections

    def _ask(self, request: PromptRequest, form: Form) -> str:
        instruction = clean(request.instruction).strip() or DEFAULT_INSTRUCTION
        idea = f"Idea to consider: {line(request.idea, 240)}\n" if request.idea else ""
        wanted = "Answer with SEARCH/REPLACE blocks."
        if form == "function":
            view = self._function(request, request.parent.program.files)
            name = view.name if view else ""
            wanted = f"Answer with the complete function `{name}`."
        elif form != "diff":
            wanted = f"Answer with the complete {form}."
        which = label(request.parent)
        return (
            f"# Now\n\n{instruction}\n{idea}\nChange {which} so that it scores better. {wanted}\n"
        )


def _notes(notes: str) -> str:
    text = clean(notes).strip()
    return f"# Lessons from earlier attempts\n\n{text}\n\n" if text else ""


def _avoid(request: PromptRequest) -> str:
    tried = listing("Already tried from this program, without gain", request.tried)
    return tried + listing("Recent failures; avoid their causes", request.failures)
