"""Prompts for small models: one short function, one idea, the answer begun for them.

Models under about 3 B parameters copy what they see in full and cannot write SEARCH/REPLACE edits.
Shown one function without docstring and comments and given one idea that changes per call, with the
answer prefilled up to the signature, they write it anew.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from breeder.proposers.llm.excerpts import FunctionView, evolvable_text
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.fences import fenced, line
from breeder.proposers.llm.model import Prompt

_STOPS = {
    "": ("\n```",),
    # Small models go on after the function with examples of its use. Endpoints take four at most.
    "python": ("\n```", "\nprint(", "\nif __name__", "\n# Example"),
}
_LONGEST = 60
_GOAL = 320


def goal_line(goal: str) -> str:
    """The first sentences of a goal, up to 320 characters."""
    flat = line(goal, 4 * _GOAL)
    if len(flat) <= _GOAL:
        return flat
    end = max(flat.rfind(mark, 0, _GOAL) for mark in (". ", "; ", "? "))
    return flat[: end + 1] if end > 0 else line(flat, _GOAL)


def choose_function(views: Sequence[FunctionView], rng: random.Random) -> FunctionView | None:
    """One of the functions that fit a short prompt; those with more values in scope more often."""
    fitting = [view for view in views if view.lines <= _LONGEST]
    if not fitting:
        return min(views, key=lambda view: view.lines, default=None)
    return rng.choices(fitting, [1.0 + len(view.values) for view in fitting])[0]


def small_prompt(
    facts: TaskFacts,
    files: Mapping[str, str],
    view: FunctionView | None,
    idea: str,
    *,
    context: bool,
) -> Prompt:
    """The short prompt for one function, or for the evolvable block where there is none.

    Parts: goal; the function; the idea. Samples of other ideas share the first two.
    """
    goal = f"{goal_line(facts.goal)}\n\n" if context and facts.goal else ""
    wanted = f"Use this idea: {line(idea, 240)}\n" if idea else "Try a different idea.\n"
    if view is None:
        code, language = evolvable_text(files, facts.grammar), facts.language
        ask = "\nWrite a better version of this block. " + wanted + "Answer with the whole block.\n"
        prefill = f"```{language}\n"
    else:
        code, language = fenced(view.short, view.language), view.language
        ask = f"\nWrite a better version of `{view.name}`. {wanted}Answer with the function only.\n"
        prefill = f"```{language}\n{view.signature}\n"
    system = f"You are an expert {_NAMES.get(language, language)} programmer."
    parts = tuple(part for part in (goal, code, ask) if part)
    return Prompt(parts, system=system, prefill=prefill, stop=_STOPS.get(language, _STOPS[""]))


_NAMES = {"python": "Python", "c": "C", "cpp": "C++", "cuda": "CUDA", "rust": "Rust"}
