"""A model that follows a script: for tests, rehearsals and demonstrations without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from breeder.proposers.llm.model import Answer, ModelError, Prompt, Reply, Sampling, Usage
from breeder.proposers.llm.tokens import estimate, estimate_prompt

Line = str | Answer | Reply | ModelError | Sequence[str | Answer]
"""What a script may hold for one request: one answer, several, a whole reply, or a loss."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it reached a scripted model."""

    prompt: Prompt
    sampling: Sampling
    count: int


class ScriptedModel:
    """Answers from a script and remembers what it was asked.

    Example:
        >>> import asyncio
        >>> from breeder.proposers.llm.model import LossKind, ModelError, Prompt, Sampling
        >>> from breeder.testing import ScriptedModel
        >>> model = ScriptedModel(["x = 1", ModelError(LossKind.SERVER, "503")])
        >>> asyncio.run(model.sample(Prompt(("improve x",)), Sampling())).answers[0].text
        'x = 1'

    Args:
        script: a list of lines, one for each request, after whose end the last one is repeated;
            or a function of the request.
        name: as shown in reports.
        role: `fast`, `deep` or empty.
        usage: of every request; estimated from the texts if None.
    """

    def __init__(
        self,
        script: Iterable[Line] | Callable[[Asked], Line],
        *,
        name: str = "scripted",
        role: str = "",
        usage: Usage | None = None,
    ) -> None:
        self._name, self._role, self._usage = name, role, usage
        self._function = script if callable(script) else None
        self._lines = [] if callable(script) else list(script)
        if not callable(script) and not self._lines:
            raise ValueError("a script needs at least one line")
        self.asked: list[Asked] = []
        self.closed = 0

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    @property
    def role(self) -> str:
        """`fast`, `deep` or an empty string."""
        return self._role

    async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
        """Answer with the next line of the script.

        One text is given as often as there are answers wanted; of several, as many as are wanted.

        Raises:
            ModelError: the line is one.
        """
        request = Asked(prompt, sampling, count)
        self.asked.append(request)
        line = self._next(request)
        if isinstance(line, ModelError):
            # A fresh one each time: a repeated exception would carry the traces of earlier ones.
            raise ModelError(
                line.kind, line.detail, line.usage, retry_after=line.retry_after, fatal=line.fatal
            )
        if isinstance(line, Reply):
            return line
        texts = [line] * count if isinstance(line, str | Answer) else list(line)[:count]
        answers = tuple(text if isinstance(text, Answer) else Answer(text) for text in texts)
        return Reply(answers, self._usage or _estimated(prompt, answers))

    async def close(self) -> None:
        """Count the call."""
        self.closed += 1

    def _next(self, request: Asked) -> Line:
        if self._function is not None:
            return self._function(request)
        return self._lines[min(len(self.asked), len(self._lines)) - 1]


def _estimated(prompt: Prompt, answers: tuple[Answer, ...]) -> Usage:
    written = sum(estimate(answer.text) for answer in answers)
    return Usage(estimate_prompt(prompt), 0, written, estimated=True)
