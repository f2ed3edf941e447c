"""What an OpenAI-compatible endpoint sent back, read leniently: odd replies lose, never crash."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from breeder.proposers.llm.faults import from_body
from breeder.proposers.llm.model import Answer, LossKind, ModelError, Reply, Usage
from breeder.proposers.llm.tokens import estimate

ANSWER_CHARACTERS = 2 * 2**20
"""Longer answers are cut here and count as truncated."""

REPLY_BYTES = 32 * 2**20
"""Longer replies are not read to their end; they count as malformed."""

_EXCERPT = 80


def read(body: bytes, prompt_tokens: int) -> Reply:
    """Read the body of a chat completion.

    Args:
        body: as it came.
        prompt_tokens: our estimate, for endpoints that report no usage.

    Raises:
        ModelError: it is not JSON, holds no answer, or tells of an error.
    """
    document = _document(body)
    choices = document.get("choices")
    if document.get("error") and not choices:
        raise from_body(document["error"])
    listed = choices if isinstance(choices, list) else []
    answers = tuple(answer for choice in listed if (answer := _answer(choice)) is not None)
    usage = _usage(document.get("usage"), answers, prompt_tokens)
    if not answers:
        what = "no choices" if not listed else "choices without a message"
        raise ModelError(LossKind.MALFORMED, f"the reply has {what}", usage)
    return Reply(answers, usage)


def _document(body: bytes) -> Mapping[str, Any]:
    text = body.decode("utf-8", "replace")
    try:
        document = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        raise ModelError(LossKind.MALFORMED, _not_json(text)) from None
    if not isinstance(document, dict):
        what = f"the reply is a JSON {type(document).__name__}, not an object"
        raise ModelError(LossKind.MALFORMED, what)
    return document


def _not_json(text: str) -> str:
    start = text[: 4 * _EXCERPT].strip()
    if not start:
        return "the reply is empty"
    if start.startswith("<"):
        title = re.search(r"(?is)<title>([^<]{1,200})</title>", text[:4096])
        about = f" ({' '.join(title[1].split())[:_EXCERPT]})" if title else ""
        return f"an HTML page{about} instead of JSON; does the endpoint's address end with /v1?"
    return f"the reply is not JSON: {' '.join(start.split())[:_EXCERPT]!r}"


def _answer(choice: Any) -> Answer | None:
    if not isinstance(choice, dict):
        return None
    message = choice.get("message")
    if isinstance(message, dict):
        text = _text(message.get("content")) or _text(message.get("refusal"))
    elif isinstance(choice.get("text"), str):
        text = choice["text"]
    else:
        return None
    # Half of a surrogate pair is legal in JSON and in nothing that comes after.
    text = text[:ANSWER_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
    cut = choice.get("finish_reason") == "length" or len(text) >= ANSWER_CHARACTERS
    return Answer(text, truncated=cut)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _usage(reported: Any, answers: tuple[Answer, ...], prompt_tokens: int) -> Usage:
    known = reported if isinstance(reported, dict) else {}
    prompt, answer = _count(known.get("prompt_tokens")), _count(known.get("completion_tokens"))
    details = known.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    if prompt is None or answer is None:
        written = sum(estimate(one.text) for one in answers)
        return Usage(
            prompt if prompt is not None else prompt_tokens,
            cached or 0,
            answer if answer is not None else written,
            estimated=True,
        )
    return Usage(prompt, min(cached or 0, prompt), answer)


def _count(value: Any) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    return value if fits else None
