"""A model behind an OpenAI-compatible endpoint: one request, its answers, or why there are none.

Retries, limits and budgets are not here: `member.Member` puts them round any model.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from breeder.errors import ConfigError, UserError
from breeder.proposers.llm import faults, replies
from breeder.proposers.llm.grammars import beginning_with
from breeder.proposers.llm.model import (
    Answer,
    LossKind,
    ModelError,
    Prompt,
    Reply,
    Sampling,
    Usage,
)
from breeder.proposers.llm.settings import ModelConfig
from breeder.proposers.llm.tokens import estimate_prompt

if TYPE_CHECKING:
    from openai import AsyncOpenAI

GRAMMARS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "gbnf": lambda grammar: {"grammar": grammar},
    "vllm": lambda grammar: {"structured_outputs": {"grammar": grammar}},
    "sglang": lambda grammar: {"ebnf": grammar},
}
"""`ModelConfig.grammar` -> the parameters that pass a grammar on."""
_CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}
_NO_KEY = "none"  # the client insists on one


class EndpointModel:
    """Asks a model with the `openai` client.

    The key is read from its environment variable at each request and kept nowhere. A parameter
    that the endpoint says it does not know is left out from then on.

    Args:
        config: the `[[model]]` entry.

    Raises:
        ConfigError: the environment variable with the key is not set.
        UserError: the `openai` package is not installed.
    """

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self._client: AsyncOpenAI | None = None
        self._refused: set[str] = set()
        if config.key_env and not os.environ.get(config.key_env):
            raise ConfigError(
                f"model {config.name!r}: the environment variable {config.key_env} is not set;"
                f" put the key of {config.endpoint} there"
            )
        try:
            import openai  # noqa: F401 - now, because it takes half a second and blocks
        except ImportError:
            raise UserError(
                f"model {config.name!r}: the openai package is not installed;"
                " pip install 'breeder[llm]'"
            ) from None

    @property
    def name(self) -> str:
        """The configured name."""
        return self.config.name

    @property
    def role(self) -> str:
        """`fast`, `deep` or an empty string."""
        return self.config.role

    @property
    def refused(self) -> frozenset[str]:
        """Parameters that the endpoint does not know."""
        return frozenset(self._refused)

    async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
        """Draw up to `count` answers with one request.

        Fewer answers than asked for may come back: one where the endpoint gives one at a time.

        Raises:
            ModelError: see `LossKind`.
        """
        key = self._key()
        try:
            return await self._sample(prompt, sampling, count, key)
        except ModelError as error:
            detail = faults.scrub(error.detail, key)
            raise ModelError(
                error.kind,
                self._explain(error.kind, detail) if error.fatal else detail,
                error.usage,
                retry_after=error.retry_after,
                fatal=error.fatal,
            ) from None

    async def close(self) -> None:
        """Release connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _sample(self, prompt: Prompt, sampling: Sampling, count: int, key: str) -> Reply:
        while True:
            request = self._request(prompt, sampling, count)
            sent = {name: value for name, value in request.items() if name not in self._refused}
            try:
                body = await self._post(sent, key)
                reply = replies.read(body, estimate_prompt(prompt))
                break
            except ModelError as error:
                given_up = faults.refused_parameter(error, sent)
                if not given_up or given_up in ("model", "messages"):
                    error.usage = self._priced(error.usage)
                    raise
                self._refused.add(given_up)
        answers = tuple(self._finished(answer, prompt, key) for answer in reply.answers[:count])
        return Reply(answers, self._priced(reply.usage))

    def _request(self, prompt: Prompt, sampling: Sampling, count: int) -> dict[str, Any]:
        config = self.config
        messages = [_message("system", prompt.system)] if prompt.system else []
        messages.append(_message("user", prompt.text))
        own = config.sampling()
        most = min(sampling.max_tokens, config.max_tokens)
        # Newer models of OpenAI know the limit of an answer under another name only.
        limit = "max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"
        chosen: dict[str, Any] = {
            "temperature": own.temperature
            if sampling.temperature is None
            else sampling.temperature,
            "top_p": own.top_p if sampling.top_p is None else sampling.top_p,
            limit: most,
            "seed": sampling.seed,
            "stop": list(prompt.stop) or None,
            "n": count if count > 1 and config.n else None,
        }
        request = {name: value for name, value in chosen.items() if value is not None}
        if prompt.grammar and config.grammar != "none":
            given = "" if config.prefill != "none" else prompt.prefill
            request |= GRAMMARS[config.grammar](beginning_with(given, prompt.grammar))
        if prompt.prefill and config.prefill != "none":
            messages.append(_message("assistant", prompt.prefill))
            request |= _CONTINUE if config.prefill == "continue" else {}
        return {"model": config.id, "messages": messages, **request, **config.extra}

    async def _post(self, sent: Mapping[str, Any], key: str) -> bytes:
        """Send a request, read the reply to its end, within the time-out."""
        import openai

        extra = {k: v for k, v in sent.items() if k not in ("model", "messages")}
        client = self._connected()
        try:
            async with (
                asyncio.timeout(self.config.timeout),
                client.chat.completions.with_streaming_response.create(
                    model=sent["model"],
                    messages=sent["messages"],
                    extra_body=extra,
                    extra_headers={"Authorization": f"Bearer {key or _NO_KEY}"},
                ) as response,
            ):
                body = bytearray()
                async for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > replies.REPLY_BYTES:
                        limit = f"a reply of more than {replies.REPLY_BYTES >> 20} MiB"
                        raise ModelError(LossKind.MALFORMED, limit)
                return bytes(body)
        except openai.APIStatusError as error:
            reply = error.response
            raise faults.from_status(reply.status_code, reply.content, reply.headers) from None
        except (TimeoutError, openai.APITimeoutError):
            waited = f"no answer within {self.config.timeout:g} s"
            raise ModelError(LossKind.TIMEOUT, waited) from None
        except (ModelError, UserError):
            raise
        except Exception as error:
            # The transport's own exceptions, whose package differs between versions of the client.
            cause = error.__cause__ or error
            told = " ".join(str(cause).split())[:200] or type(cause).__name__
            raise ModelError(LossKind.CONNECTION, f"{self.config.endpoint}: {told}") from None

    def _connected(self) -> AsyncOpenAI:
        if self._client is None:
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient

            direct = None
            if self.config.loopback:
                # A proxy of the environment, or a redirection, leads away from this machine.
                secure = self.config.endpoint.startswith("https:")
                direct = DefaultAsyncHttpxClient(
                    trust_env=False, follow_redirects=False, verify=secure
                )
            self._client = AsyncOpenAI(
                api_key=_NO_KEY,
                base_url=self.config.endpoint,
                timeout=self.config.timeout,
                max_retries=0,
                http_client=direct,
            )
            # The client takes these from the environment and would tell them to any endpoint.
            self._client.organization = self._client.project = None
        return self._client

    def _key(self) -> str:
        if not self.config.key_env:
            return ""
        key = os.environ.get(self.config.key_env, "").strip()
        if not key:
            raise ModelError(
                LossKind.AUTHENTICATION,
                f"model {self.name!r}: the environment variable {self.config.key_env} is not set",
            )
        if not (key.isascii() and key.isprintable()):
            raise ModelError(
                LossKind.AUTHENTICATION,
                f"model {self.name!r}: {self.config.key_env} holds characters that no key has",
            )
        return key

    def _finished(self, answer: Answer, prompt: Prompt, key: str) -> Answer:
        text = faults.scrub(answer.text, key)
        prefilled = prompt.prefill if self.config.prefill != "none" else ""
        if prefilled and not text.lstrip().startswith(prefilled.strip()):
            text = prefilled + text
        return replace(answer, text=text)

    def _priced(self, usage: Usage) -> Usage:
        prices = self.config.prices
        return usage if prices is None else replace(usage, currency=prices.of(usage))

    def _explain(self, kind: LossKind, detail: str) -> str:
        config = self.config
        if detail.startswith("model "):
            return detail
        where = f"model {config.name!r}: {config.endpoint}"
        if kind is LossKind.UNKNOWN_MODEL:
            remedy = "check the entry's model, and that the endpoint is the address before /chat"
            return f"{where} does not know {config.id!r} ({detail}); {remedy}"
        if config.key_env:
            return f"{where} refused the key in {config.key_env} ({detail}); put a valid one there"
        return f"{where} wants a key ({detail}); name its environment variable in key_env"


def _message(role: str, text: str) -> dict[str, str]:
    # A candidate may have printed half of a surrogate pair, which no request can hold.
    return {"role": role, "content": text.encode("utf-8", "replace").decode("utf-8")}
