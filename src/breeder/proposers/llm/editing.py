"""Reads the answers of language models for a task: applied to the parent, or why not."""

from __future__ import annotations

import re
from collections.abc import Mapping

from breeder.proposers.llm.briefing import Edit
from breeder.proposers.llm.edits import apply, repair_message
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.fences import line
from breeder.proposers.llm.forms import HELD
from breeder.proposers.llm.model import Answer
from breeder.proposers.llm.verdicts import Applied, Form

_READ = 2_000  # characters from the beginning of an answer that may hold its idea in words
_NOTE = 160
_FUNCTIONS = ("small", "expression", "reduction")  # forms of prompts whose answers are functions
_CODE = re.compile(r"^(?:```|~~~|<<<<|---|\+\+\+|@@|[{<])", re.MULTILINE)
_SENTENCE = re.compile(r"[A-Z][^`{}=;]{15,}[.:]")


class AnswerEditing:
    """Reads answers with the task's grammar, regions and entry functions.

    Args:
        facts: the task.
    """

    def __init__(self, facts: TaskFacts) -> None:
        self._facts = facts

    def edit(self, answer: Answer, files: Mapping[str, str], form: str) -> Edit:
        """Apply an answer to a parent's files. Never raises, whatever the answer is."""
        form = form.removesuffix(HELD)
        made = apply(
            answer.text,
            parent_files=files,
            grammar=self._facts.grammar,
            form=Form.FUNCTION if form in _FUNCTIONS else Form(form),
            entries=self._facts.entry_functions,
            truncated=answer.truncated,
        )
        if isinstance(made, Applied):
            return Edit(dict(made.files), note=stated_idea(answer.text) or made.note)
        return Edit(None, reason=made.reason.value, repair=repair_message(made))


def stated_idea(answer: str) -> str:
    """The sentence before its code in which an answer says what it does; empty without one."""
    head = answer[:_READ]
    code = _CODE.search(head)
    found = _SENTENCE.search(head[: code.start()] if code else "")
    return line(found[0].rstrip(":"), _NOTE) if found else ""
