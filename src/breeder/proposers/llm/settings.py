"""What a `[[model]]` entry says: where a model is, what it costs, how it is asked."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from breeder.proposers.llm.model import Sampling, Usage

_SECRET = re.compile(r"(?i)^(api[-_]?)?(key|token|secret|password|authorization)$")
_MILLION = 1e6


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Prices(_Section):
    """Prices of a million tokens, in a currency of the user's choice.

    Attributes:
        prompt: of a prompt.
        cached: of the part of a prompt that the endpoint had in its cache; as `prompt` if unset.
        answer: of answers.
    """

    prompt: float = Field(ge=0)
    cached: float | None = Field(default=None, ge=0)
    answer: float = Field(ge=0)

    def of(self, usage: Usage) -> float:
        """Price of what was used."""
        cached = self.prompt if self.cached is None else self.cached
        fresh = max(usage.prompt_tokens - usage.cached_tokens, 0)
        price = fresh * self.prompt + usage.cached_tokens * cached
        return (price + usage.answer_tokens * self.answer) / _MILLION

    def bound(self, prompt_tokens: int, answer_tokens: int) -> float:
        """Most that a request can cost, whatever is in the endpoint's cache."""
        dearest = max(self.prompt, self.cached or 0.0)
        return (prompt_tokens * dearest + answer_tokens * self.answer) / _MILLION


class ModelConfig(_Section):
    """One model behind an OpenAI-compatible endpoint.

    Attributes:
        name: what the model is called in flags and reports.
        model: its id at the endpoint; the name if unset.
        endpoint: base address, as the `openai` client wants it (often ends with `/v1`).
        key_env: NAME of the environment variable that holds the key; empty for no key.
        role: `fast` for breadth, `deep` for hard steps, or empty.
        prices: needed for budgets in currency.
        context: tokens that prompt and answers may have together.
        requests_per_minute: no limit if unset.
        concurrency: requests under way at the same time.
        timeout: seconds after which one request is given up, however it dribbles.
        attempts: tries of one request, the first included.
        temperature, top_p: where the caller leaves them open; the endpoint's own if unset.
        max_tokens: most tokens of one answer.
        extra: more keys for the body of each request, as the endpoint wants them.
        grammar: how a GBNF grammar is passed on: `gbnf` (llama.cpp), `vllm`, `sglang`; or none.
        n: several answers may be asked for in one request. Unlearnt by itself where it is untrue.
        prefill: the answer's beginning can be given: `assistant` as a last message (llama.cpp),
            `continue` with the switches that vLLM and SGLang want beside it; or none.
        small: a model under about 3 B parameters: short prompts, short answers, many samples.
        samples: answers to one prompt; as the role and size suggest if unset.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    model: str = Field(default="", max_length=512)
    endpoint: str
    key_env: str = ""
    role: Literal["fast", "deep", ""] = ""
    prices: Prices | None = None
    context: int = Field(default=32768, ge=256)
    requests_per_minute: float | None = Field(default=None, gt=0)
    concurrency: int = Field(default=4, ge=1, le=1024)
    timeout: float = Field(default=120.0, gt=0, le=86400)
    attempts: int = Field(default=3, ge=1, le=20)
    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int = Field(default=4096, ge=1)
    extra: dict[str, Any] = Field(default_factory=dict)
    grammar: Literal["none", "gbnf", "vllm", "sglang"] = "none"
    n: bool = True
    prefill: Literal["none", "assistant", "continue"] = "none"
    small: bool = False
    samples: int | None = Field(default=None, ge=1, le=64)

    @property
    def id(self) -> str:
        """The model's id at the endpoint."""
        return self.model or self.name

    def sampling(self) -> Sampling:
        """How answers are drawn unless a caller wants it otherwise."""
        return Sampling(self.temperature, self.top_p, self.max_tokens)

    @model_validator(mode="before")
    @classmethod
    def _no_key(cls, data: Any) -> Any:
        keys = data if isinstance(data, dict) else {}
        extra = keys.get("extra")
        for name in (*keys, *(extra if isinstance(extra, dict) else ())):
            if _SECRET.match(str(name)):
                raise ValueError(
                    f"{name}: a key is never written down; name the environment variable that"
                    " holds it in key_env"
                )
        return data

    @field_validator("key_env")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        # The value is not shown: it may be the key itself. Keys hold small letters or dashes.
        if name and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            raise ValueError(
                "must be the NAME of an environment variable (capitals, digits, underscores),"
                " not the key"
            )
        return name

    @field_validator("extra")
    @classmethod
    def _is_json(cls, extra: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(extra, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError("must hold what JSON can: no dates, no NaN, no infinity") from None
        return extra

    @field_validator("endpoint")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        try:
            parts = urlsplit(address)
            known = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port  # raises for a port that is none
        except ValueError:
            known = False
        if not known:
            raise ValueError("must be an address like http://127.0.0.1:8080/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            # Shown nowhere either: such addresses hold keys.
            raise ValueError("must hold no user name, password or query; a key goes in key_env")
        return address.rstrip("/")

    @model_validator(mode="after")
    def _has_a_key(self) -> ModelConfig:
        if not self.key_env and self.endpoint.startswith("https:") and not self.loopback:
            raise ValueError(
                "key_env: name the environment variable that holds the key of this endpoint"
            )
        return self

    @property
    def loopback(self) -> bool:
        """Whether the endpoint is on this machine."""
        host = urlsplit(self.endpoint).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"
