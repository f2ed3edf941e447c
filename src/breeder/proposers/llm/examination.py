"""Whether a configured model works: one tiny request, and one more for each switched-on ability.

Servers on this machine are tried for grammars that are not switched on, too: they cost nothing.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from breeder.errors import ConfigError
from breeder.proposers.llm.endpoint import GRAMMARS, EndpointModel
from breeder.proposers.llm.member import GREETING
from breeder.proposers.llm.model import ModelError, Prompt, Reply, Sampling, Usage
from breeder.proposers.llm.settings import ModelConfig

# Nobody answers a greeting like this without being made to.
_CONSTRAINED = replace(GREETING, grammar='root ::= "741"')
_PREFILLED = Prompt(
    ("Count upwards from one, in digits, separated by blanks.",),
    system=GREETING.system,
    prefill="Counting: 1 2 3 4 5",
)
_SAMPLING = Sampling(temperature=0.0, max_tokens=64)
_WANTED = 2
_PATIENCE = 60.0  # seconds; a check that takes longer than this has failed


@dataclass(slots=True)
class Examination:
    """What a model was found to do.

    Attributes:
        name, model, endpoint: of the entry.
        problem: why it does not work; empty if it does.
        answers: that came back from one request for two; one where one at a time is configured.
        grammar, prefill: whether it is honoured; None where it is not switched on.
        offers: the `grammar` that could be switched on; empty if none is known.
        seconds: wall time of the first request.
        usage: of all requests together, as reported or estimated.
        refused: parameters that the endpoint does not know.
        excerpt: beginning of the first answer.
    """

    name: str
    model: str
    endpoint: str
    problem: str = ""
    answers: int = 0
    grammar: bool | None = None
    prefill: bool | None = None
    offers: str = ""
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    refused: tuple[str, ...] = ()
    excerpt: str = ""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"works": not self.problem, **asdict(self)}

    def lines(self) -> list[str]:
        """In words, for a terminal."""
        if self.problem and not self.answers:
            return [f"{self.name}: does not work: {self.problem}"]
        used = self.usage
        counted = "estimated, none reported" if used.estimated else "reported"
        told = [
            f"{self.name}: {'works' if not self.problem else 'does not work as configured'};"
            f" {self.model} at {self.endpoint}",
            f"  answers in one request: {self.answers}; first after {self.seconds:.2f} s:"
            f" {self.excerpt!r}",
            f"  tokens ({counted}): {used.prompt_tokens} prompt, {used.cached_tokens} of them"
            f" cached, {used.answer_tokens} answer; price {used.currency:.6g}",
        ]
        if self.refused:
            told.append(f"  parameters it does not know, left out: {', '.join(self.refused)}")
        for ability, kept in (("grammar", self.grammar), ("prefill", self.prefill)):
            if kept is not None:
                told.append(f"  {ability}: {'yes' if kept else 'no'}")
        if self.offers:
            told.append(f'  grammar: not switched on; works with grammar = "{self.offers}"')
        return told + ([f"  {self.problem}"] if self.problem else [])


async def examine_all(
    configs: Sequence[ModelConfig], clock: Callable[[], float] = time.monotonic
) -> list[Examination]:
    """Try models side by side, each without retries.

    Raises:
        UserError: the `openai` package is not installed.
    """
    return list(await asyncio.gather(*(examine(config, clock) for config in configs)))


async def examine(config: ModelConfig, clock: Callable[[], float] = time.monotonic) -> Examination:
    """Try a model.

    Raises:
        UserError: the `openai` package is not installed.
    """
    found = Examination(config.name, config.id, config.endpoint)
    prefix = f"model {config.name!r}: "
    try:
        hasty = config.model_copy(update={"timeout": min(config.timeout, _PATIENCE)})
        model = EndpointModel(hasty)
    except ConfigError as error:
        found.problem = str(error).removeprefix(prefix)
        return found
    try:
        await _try(model, found, clock)
    except ModelError as error:
        found.problem = error.detail.removeprefix(prefix) if error.fatal else str(error)
    finally:
        found.refused = tuple(sorted(model.refused))
        await model.close()
    return found


async def _try(model: EndpointModel, found: Examination, clock: Callable[[], float]) -> None:
    config = model.config
    started = clock()
    reply = await _ask(model, found, GREETING, _WANTED if config.n else 1)
    found.seconds = clock() - started
    found.answers = len(reply.answers)
    found.excerpt = " ".join(reply.answers[0].text.split())[:40]
    if config.grammar != "none":
        text = await _text(model, found, _CONSTRAINED)
        found.grammar = text.strip() == "741"
    elif config.loopback:
        found.offers = await _offered(config, found)
    if config.prefill != "none":
        text = await _text(model, found, _PREFILLED)
        found.prefill = re.match(r"Counting: 1 2 3 4 5[\s,.]+6", text) is not None
    broken = [
        ability
        for ability, kept in (("grammar", found.grammar), ("prefill", found.prefill))
        if kept is False
    ]
    if broken:
        remedy = " and ".join(f'{ability} = "none"' for ability in broken)
        found.problem = f"the endpoint ignores what is configured; set {remedy} or another kind"


async def _offered(config: ModelConfig, found: Examination) -> str:
    """The way of passing on a grammar that the endpoint honours; empty if it honours none."""
    for kind in GRAMMARS:
        model = EndpointModel(config.model_copy(update={"grammar": kind}))
        try:
            text = await _text(model, found, _CONSTRAINED)
        except ModelError:
            continue
        finally:
            await model.close()
        if text.strip() == "741":
            return kind
    return ""


async def _text(model: EndpointModel, found: Examination, prompt: Prompt) -> str:
    return (await _ask(model, found, prompt, 1)).answers[0].text


async def _ask(model: EndpointModel, found: Examination, prompt: Prompt, count: int) -> Reply:
    reply = await model.sample(prompt, _SAMPLING, count=count)
    found.usage = found.usage + reply.usage
    return reply
