import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breeder.proposers.llm import faults, replies
from breeder.proposers.llm.model import LossKind, ModelError, Prompt
from breeder.proposers.llm.tokens import PromptBound, estimate_prompt


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "12"}, 12.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, None),
        (
            {
                "Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT",
                "Date": "Fri, 31 Dec 1999 23:59:29 GMT",
            },
            30.0,
        ),
        (
            {
                "Retry-After": "Fri, 31 Dec 1999 23:59:29 GMT",
                "Date": "Fri, 31 Dec 1999 23:59:59 GMT",
            },
            0.0,
        ),
    ],
)
def test_how_long_an_endpoint_wants_to_be_left_alone(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert faults.retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("status", "body", "kind", "wait"),
    [
        (402, b"{}", LossKind.RATE_LIMIT, math.inf),
        (429, b'{"error":{"code":"insufficient_quota"}}', LossKind.RATE_LIMIT, math.inf),
        (429, b'{"error":{"message":"x","code":"rate_limit"}}', LossKind.RATE_LIMIT, None),
        (400, b'[{"error":{"message":"API key not valid"}}]', LossKind.AUTHENTICATION, None),
        (400, b"Unknown model: gpt-9", LossKind.UNKNOWN_MODEL, None),
        (404, b'{"detail":"Not Found"}', LossKind.UNKNOWN_MODEL, None),
        (422, b'{"detail":[{"msg":"field required"}]}', LossKind.BAD_REQUEST, None),
        (302, b"", LossKind.MALFORMED, None),
        (504, b"<html>", LossKind.TIMEOUT, None),
        (599, b"\xff\xfe", LossKind.SERVER, None),
    ],
)
def test_a_status_and_its_words_are_a_kind_of_loss(
    status: int, body: bytes, kind: LossKind, wait: float | None
) -> None:
    error = faults.from_status(status, body, {})
    assert (error.kind, error.retry_after) == (kind, wait)
    assert error.detail.startswith(str(status))


def test_a_part_of_a_key_in_an_endpoints_words_is_struck_out() -> None:
    body = b'{"error": {"message": "Incorrect API key provided: sk-proj-ab*******yz."}}'
    assert faults.from_status(401, body, {}).detail == "401: Incorrect API key provided: ***"


def test_placeholders_for_keys_do_not_spoil_programs() -> None:
    assert faults.scrub("EMPTY = None", "EMPTY") == "EMPTY = None"


def told(body: bytes) -> str | None:
    """What a loss says; None for a reply, whose counts then make sense."""
    try:
        reply = replies.read(body, 1)
    except ModelError as error:
        return error.detail
    assert reply.answers
    assert reply.usage.cached_tokens <= reply.usage.prompt_tokens or reply.usage.estimated
    return None


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_reply_or_a_loss(body: bytes) -> None:
    detail = told(body)
    assert detail is None or (detail and "\n" not in detail)
    assert "\n" not in faults.from_status(500, body, {}).detail


KEYS = [
    *("choices", "message", "content", "text", "usage", "error", "code", "finish_reason"),
    *("prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_json_comes_is_a_reply_or_a_loss(document: object) -> None:
    for outer in (document, {"choices": document, "usage": document}, {"error": document}):
        detail = told(json.dumps(outer).encode())
        assert detail is None or detail


@pytest.mark.parametrize(
    "body", [b"<" * 2**20, b"<style " * 2**17, b"<title>" * 2**17, b"model " * 2**18, b"{" * 2**20]
)
def test_a_megabyte_of_nonsense_is_read_at_once(body: bytes) -> None:
    started = time.thread_time()
    with pytest.raises(ModelError):
        replies.read(body, 1)
    faults.from_status(400, body, {})
    assert time.thread_time() - started < 0.5


@given(st.lists(st.tuples(st.integers(1, 4000), st.floats(0.1, 0.99)), min_size=1, max_size=20))
def test_no_prompt_has_more_tokens_than_its_bound_when_it_is_no_denser(
    prompts: list[tuple[int, float]],
) -> None:
    bound = PromptBound()
    first = Prompt(("x" * 100,))
    assert bound.of(first) >= 100, "a token is at least a byte"
    densest = 0.0
    for size, density in prompts:
        prompt = Prompt(("x" * size,))
        if densest and density <= densest:
            assert bound.of(prompt) >= size * density
        bound.learn(prompt, int(size * density) + 32)
        densest = max(densest, int(size * density) / size)
    assert bound.of(first) <= 132
    assert estimate_prompt(first) < bound.of(first)
