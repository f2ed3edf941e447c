"""Why a request failed, told from the status and the words of the endpoint."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from breeder.proposers.llm.model import LossKind, ModelError

_WORDS = 200
_SHORTEST_SECRET = 8
"""Shorter keys are placeholders (`none`, `EMPTY`); striking them out would spoil program texts."""

_KEY = re.compile(r"(?i)api[ _-]?key|invalid.{0,20}credential|unauthorized|unauthenticated")
_NO_MODEL = re.compile(
    r"(?i)model_not_found|model.{0,120}(not found|does not exist|unknown|not available)"
    r"|(unknown|no such|invalid) model"
)
_NO_MONEY = re.compile(r"(?i)insufficient[ _](quota|balance|funds|credit)|exceeded your .*quota")
_REFUSED = re.compile(
    r"(?i)unsupported|unrecognized|unknown (name|field|parameter|argument)|not (supported|allowed)"
    r"|extra (fields|inputs)|invalid (name|field|parameter)"
)
_TOO_LONG = re.compile(r"(?i)context|too long|too many tokens|length")
_STATUS = {
    400: LossKind.BAD_REQUEST,
    401: LossKind.AUTHENTICATION,
    402: LossKind.RATE_LIMIT,
    403: LossKind.AUTHENTICATION,
    404: LossKind.UNKNOWN_MODEL,
    408: LossKind.TIMEOUT,
    413: LossKind.BAD_REQUEST,
    422: LossKind.BAD_REQUEST,
    425: LossKind.SERVER,
    429: LossKind.RATE_LIMIT,
    504: LossKind.TIMEOUT,
}


def from_status(status: int, body: bytes, headers: Mapping[str, str]) -> ModelError:
    """The loss that a reply with an error's status stands for."""
    words = _words(body)
    kind = _STATUS.get(status)
    if kind is None:
        known = LossKind.BAD_REQUEST if 400 <= status < 500 else LossKind.MALFORMED
        kind = LossKind.SERVER if status >= 500 else known
    if kind is LossKind.BAD_REQUEST and _NO_MODEL.search(words):
        kind = LossKind.UNKNOWN_MODEL
    elif kind is LossKind.BAD_REQUEST and _KEY.search(words):
        kind = LossKind.AUTHENTICATION  # some answer a wrong key with 400
    wait = retry_after(headers)
    if status == 402 or (kind is LossKind.RATE_LIMIT and _NO_MONEY.search(words)):
        wait = math.inf
    return ModelError(kind, f"{status}: {words}" if words else str(status), retry_after=wait)


def from_body(error: Any) -> ModelError:
    """The loss that an error inside a reply of status 200 stands for."""
    told = error.get("code", error.get("status")) if isinstance(error, dict) else None
    status = int(str(told)) if re.fullmatch(r"[45]\d\d", str(told)) else 500
    return from_status(status, json.dumps({"error": error}).encode(), {})


def refused_parameter(error: ModelError, sent: Mapping[str, Any]) -> str:
    """Name of the parameter that a 400 complains about, if it is one that was sent; or ''.

    A prompt that is too long is no such complaint, although its message may name `max_tokens`.
    """
    words = error.detail
    refused = error.kind is LossKind.BAD_REQUEST and _REFUSED.search(words)
    if not refused or _TOO_LONG.search(words):
        return ""
    found = {name: _position(name, words) for name in sent}
    named = [name for name, position in found.items() if position >= 0]
    return min(named, key=lambda name: found[name], default="")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from a `Retry-After` header; None without one.

    A date is compared with the reply's own `Date`: the endpoint's clock may differ from ours.
    """
    lower = {name.lower(): value.strip() for name, value in headers.items()}
    told = lower.get("retry-after", "")
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", told):
        return float(told)
    try:
        moment, now = (parsedate_to_datetime(text) for text in (told, lower.get("date", "")))
        return max(0.0, (moment - now).total_seconds())
    except (ValueError, TypeError):  # no dates, or one of them without a zone
        return None


def scrub(text: str, key: str) -> str:
    """Strike a key out of a text."""
    return text.replace(key, "***") if len(key) >= _SHORTEST_SECRET else text


def _position(name: str, words: str) -> int:
    found = re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", words)
    return found.start() if found else -1


def _words(body: bytes) -> str:
    """What the endpoint says went wrong, in one short line."""
    text = body[:65536].decode("utf-8", "replace")
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        told = re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", " ", text[:4096])
    for _ in range(3):
        if isinstance(told, list) and told:
            told = told[0]
        if isinstance(told, dict):
            told = _message(told)
    line = " ".join(str(told).split())
    # Some endpoints show a part of the key that was wrong.
    line = re.sub(r"\bsk-[\w*.-]+", "***", line)
    return line if len(line) <= _WORDS else line[: _WORDS - 1] + "…"


def _message(told: Mapping[str, Any]) -> Any:
    for name in ("error", "message", "detail", "msg"):
        if told.get(name):
            inner = told[name]
            code = told.get("code")
            named = isinstance(inner, str) and isinstance(code, str) and code not in inner
            return f"{inner} ({code})" if named else inner
    return json.dumps(dict(told))
