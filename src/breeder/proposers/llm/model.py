"""The contract of a language model: it answers prompts with texts and says what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request used, as the endpoint reported it (estimated where it reports nothing).

    Attributes:
        prompt_tokens: tokens of the prompt, cached ones included.
        cached_tokens: how many of them the endpoint took from its prefix cache.
        answer_tokens: tokens of all answers together.
        currency: price of the request in the currency of the configured prices.
        estimated: whether token counts are our own estimate.
        cpu_seconds: CPU time of a model that runs on this machine.
    """

    prompt_tokens: int = 0
    cached_tokens: int = 0
    answer_tokens: int = 0
    currency: float = 0.0
    estimated: bool = False
    cpu_seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.answer_tokens + other.answer_tokens,
            self.currency + other.currency,
            self.estimated or other.estimated,
            self.cpu_seconds + other.cpu_seconds,
        )


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of every answer that a grammar allows, where that is known before it is written.

    Attributes:
        text: the end, up to and including the answer's last character.
        begins: its first characters; they stand nowhere else in what the grammar allows.
    """

    text: str
    begins: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, laid out so that what changes seldom comes first.

    Attributes:
        parts: texts from the most stable to the most volatile; prompts that share leading parts
            share a prefix in the endpoint's cache.
        system: the system message; the most stable text of all.
        prefill: how the answer must begin (the model goes on from there), for endpoints that can.
        grammar: a GBNF grammar of the answer; used by endpoints that can, ignored by others.
        stop: texts that end an answer.
        tail: how the grammar makes every answer end. Who runs the model itself may stop where it
            begins and put it there, as each token that is only dictated costs as much as any other.
    """

    parts: tuple[str, ...]
    system: str = ""
    prefill: str = ""
    grammar: str = ""
    stop: tuple[str, ...] = ()
    tail: Tail | None = None

    @property
    def text(self) -> str:
        """The user message."""
        return "".join(self.parts)


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are drawn; None leaves a value to the endpoint."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int = 4096
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        text: what the model wrote, `Prompt.prefill` included when it was honoured or put in front.
        truncated: it ended because it reached `max_tokens`.
    """

    text: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from one request: the answers, and what they cost together."""

    answers: tuple[Answer, ...]
    usage: Usage


class LossKind(StrEnum):
    """Why a request gave nothing. Counted and named in every view of a run."""

    BAD_REQUEST = "bad-request"  # 400: prompt too long, parameter not understood
    AUTHENTICATION = "authentication"  # 401, 403: the key is wrong; the run stops
    UNKNOWN_MODEL = "unknown-model"  # 404: no such model; the run stops
    RATE_LIMIT = "rate-limit"  # 429
    SERVER = "server"  # 5xx
    TIMEOUT = "timeout"  # no answer in time
    CONNECTION = "connection"  # refused, reset, cut off
    MALFORMED = "malformed"  # not what the protocol promises: HTML, bad JSON, no choices
    OPEN_CIRCUIT = "open-circuit"  # not asked: too many losses in a row, resting
    BUDGET = "budget"  # not asked: what is left of the tokens or the money does not cover it


class ModelError(Exception):
    """A request gave nothing.

    Attributes:
        kind: why.
        detail: one line in words.
        usage: what the request used all the same.
        retry_after: seconds that the endpoint asked to wait; infinite when it said that waiting
            a little does not help (no money left); None when it said nothing.
        fatal: the configuration is at fault (wrong key or model name), so that the run must stop
            and say so. Not fatal once the model has answered: then its configuration is right.
    """

    def __init__(
        self,
        kind: LossKind,
        detail: str,
        usage: Usage = Usage(),
        *,
        retry_after: float | None = None,
        fatal: bool | None = None,
    ) -> None:
        wrong = kind in (LossKind.AUTHENTICATION, LossKind.UNKNOWN_MODEL)
        self.kind, self.detail, self.usage = kind, detail, usage
        self.retry_after = retry_after
        self.fatal = wrong if fatal is None else fatal
        super().__init__(f"{kind}: {detail}")


class LanguageModel(Protocol):
    """Answers prompts.

    Guarantees:
        * `sample` makes one request (or several where the endpoint gives one answer each) and
          returns between one and `count` answers, or raises `ModelError`; no request hangs longer
          than the configured time-out, and cancelling `sample` ends its requests;
        * an answer is whatever text came back, however strange; judging it is the caller's work;
        * the key appears in nothing that it returns, raises or logs.
    """

    @property
    def name(self) -> str:
        """The configured name, as shown in reports."""
        ...

    @property
    def role(self) -> str:
        """`fast`, `deep` or an empty string."""
        ...

    async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
        """Draw up to `count` answers to one prompt."""
        ...

    async def close(self) -> None:
        """Release connections. Safe to call twice."""
        ...


@runtime_checkable
class Metered(Protocol):
    """A language model whose CPU time is that of this machine, and can be read at any moment."""

    def unbooked(self) -> float:
        """CPU seconds used so far that no `Usage` has told, those of a request under way too."""
        ...

    def book(self) -> float:
        """The same; the caller takes them into its books."""
        ...

    async def warm(self) -> None:
        """Get ready for the first request.

        Raises:
            ModelError: the model cannot be run.
        """
        ...
