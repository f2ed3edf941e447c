"""What a run's store says of its language models: entry `models` of its state, as MessagePack.

A public format like the store itself: maps with the keys below. No key of an endpoint and no text
of a prompt or an answer is in it.
"""

from __future__ import annotations

import msgspec


class FormRecord(msgspec.Struct, frozen=True):
    """How a form of edit fares with a model: answers asked for in it, programs that they became."""

    answers: int
    applied: int


class ModelRecord(msgspec.Struct, frozen=True):
    """What one model did over all sittings of a run.

    Attributes:
        name: as configured; its proposer is called `model:NAME`.
        role: `fast`, `deep` or empty.
        requests: sent, repeated ones included.
        answers: received.
        losses: kind -> requests that gave nothing, see `model.LossKind`.
        prompt_tokens: of all prompts, cached ones included.
        cached_tokens: how many of them the endpoint reports to have taken from its cache.
        answer_tokens: of all answers.
        estimated: some counts are our own estimate.
        currency: price of all of it, in the currency of the configured prices.
        cpu_seconds: CPU time of a model that runs on this machine.
        wall_seconds: of requests, added up.
        forms: form of edit -> how it fares.
        repairs: mistakes that were shown to the model.
        mended: how many of them it mended.
        buffered: programs that wait for an evaluation.
    """

    name: str
    role: str
    requests: int
    answers: int
    losses: dict[str, int]
    prompt_tokens: int
    cached_tokens: int
    answer_tokens: int
    estimated: bool
    currency: float
    cpu_seconds: float
    wall_seconds: float
    forms: dict[str, FormRecord]
    repairs: int
    mended: int
    buffered: int


class TeamRecord(msgspec.Struct, frozen=True):
    """All models of a run.

    Attributes:
        models: in order of configuration.
        prefix_share: share of the prompts sent, 0 to 1, that repeated an earlier prompt's prefix.
        outage: why no model can be asked at the moment, in words; empty otherwise.
    """

    models: tuple[ModelRecord, ...]
    prefix_share: float = 0.0
    outage: str = ""


def read_record(state: bytes) -> TeamRecord | None:
    """Decode the entry; None for a run without models, or where it cannot be read."""
    if not state:
        return None
    try:
        return msgspec.msgpack.decode(state, type=TeamRecord)
    except msgspec.MsgspecError:
        return None
