"""Answers that are of no use, and losses of every kind: what an endpoint or a model may send."""

from __future__ import annotations

from breeder.proposers.llm.model import LossKind, ModelError
from breeder.proposers.llm.scripted_model import Line

PROSE = "I would look at the data first. Then one could think about a better rule for it. "

ANSWERS: dict[str, tuple[str, str]] = {
    # what is sent -> the text, and the reason it is refused for
    "empty": ("", "empty"),
    "prose": (PROSE * 3, "prose"),
    "truncated": ("```python\ndef f():\n    return max(\n        41,\n        (3 +", "truncated"),
    "mismatched diff": (
        "<<<<<<< SEARCH\n    total = a + b\n=======\n    total = a * b\n>>>>>>> REPLACE\n",
        "not-found",
    ),
    "wrong language": (
        "```rust\nfn f() -> i64 {\n    let mut x: i64 = 41;\n    x += 1;\n    x\n}\n```",
        "wrong-language",
    ),
    "1 MB of prose": (PROSE * 12_500, "prose"),
    "bad JSON": ('{"code": "def f():\\n    return 41', "truncated"),
    "HTML": ("<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>", "wrong-language"),
    "unchanged": ("```python\ndef f():\n    return 0\n```", "unchanged"),
}
"""Texts that came back as answers."""

LOSSES: dict[str, tuple[LossKind, str]] = {
    "400": (LossKind.BAD_REQUEST, "400: this model's maximum context length is 4096 tokens"),
    "429": (LossKind.RATE_LIMIT, "429: too many requests"),
    "500": (LossKind.SERVER, "500: internal error"),
    "503": (LossKind.SERVER, "503: overloaded"),
    "reset": (LossKind.CONNECTION, "connection reset by peer"),
    "time-out": (LossKind.TIMEOUT, "no answer within 120 s"),
    "body is no JSON": (LossKind.MALFORMED, "the reply is not JSON"),
    "body is HTML": (LossKind.MALFORMED, "an HTML page instead of JSON"),
}
"""Requests that gave nothing."""

FATAL: dict[str, tuple[LossKind, str]] = {
    "wrong key": (
        LossKind.AUTHENTICATION,
        "model 'm': the endpoint refused the key in THE_KEY; put a valid one there",
    ),
    "wrong model name": (
        LossKind.UNKNOWN_MODEL,
        "model 'm': the endpoint does not know 'm'; check the entry's model",
    ),
}
"""Mistakes of the configuration, which end a run at once."""


def line(kind: str) -> Line:
    """What a scripted model does for a kind of `ANSWERS`, `LOSSES` or `FATAL`."""
    if kind in ANSWERS:
        return ANSWERS[kind][0]
    loss, detail = {**LOSSES, **FATAL}[kind]
    return ModelError(loss, detail)
