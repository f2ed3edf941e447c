import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.proposers.llm.fake_server import (
    Action,
    FakeServer,
    Hang,
    Reset,
    Script,
    Send,
    Slow,
    completion,
    html,
    refusal,
    usage,
)

from breeder.errors import ConfigError
from breeder.proposers.llm.endpoint import EndpointModel
from breeder.proposers.llm.model import LossKind, ModelError, Prompt, Reply, Sampling
from breeder.proposers.llm.replies import ANSWER_CHARACTERS, REPLY_BYTES
from breeder.proposers.llm.settings import ModelConfig, Prices

CANARY = "sk-canary-0123456789abcdef"
PROMPT = Prompt(("static text. ", "the parent"), system="You improve programs.")

Serve = Callable[..., FakeServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[FakeServer] = []

    def start(*script: Action | Script) -> FakeServer:
        one = script[0]
        servers.append(FakeServer(one if callable(one) else list(script)).__enter__())  # type: ignore[arg-type]
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


def config(server: FakeServer, **more: Any) -> ModelConfig:
    return ModelConfig(name="m", endpoint=server.address, **{"timeout": 20.0, **more})


def ask(
    configured: ModelConfig,
    prompt: Prompt = PROMPT,
    sampling: Sampling | None = None,
    count: int = 1,
    times: int = 1,
) -> Reply:
    async def run() -> Reply:
        model = EndpointModel(configured)
        try:
            for _ in range(times - 1):
                await model.sample(prompt, sampling or Sampling(), count=count)
            return await model.sample(prompt, sampling or Sampling(), count=count)
        finally:
            await model.close()
            await model.close()

    return asyncio.run(run())


def loss(configured: ModelConfig, **more: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        ask(configured, **more)
    assert "\n" not in caught.value.detail
    assert len(caught.value.detail) < 500
    return caught.value


def test_answers_come_with_usage_and_price(serve: Serve) -> None:
    server = serve(completion("one", "two", usage=usage(1000, 50, cached=600)))
    prices = Prices(prompt=2.0, cached=0.5, answer=10.0)
    reply = ask(config(server, prices=prices), count=2)
    assert [answer.text for answer in reply.answers] == ["one", "two"]
    got = reply.usage
    assert (got.prompt_tokens, got.cached_tokens, got.answer_tokens) == (1000, 600, 50)
    assert got.currency == pytest.approx((400 * 2 + 600 * 0.5 + 50 * 10) / 1e6)
    assert not got.estimated


def test_the_request_says_what_was_configured(serve: Serve) -> None:
    server = serve(completion("x"))
    own = config(
        server, model="org/big", temperature=0.7, max_tokens=100, extra={"reasoning_effort": "low"}
    )
    ask(own, sampling=Sampling(top_p=0.9, seed=5), prompt=Prompt(("a", "b"), stop=("END",)))
    assert server.requests == [
        {
            "model": "org/big",
            "messages": [{"role": "user", "content": "ab"}],
            "temperature": 0.7,
            "top_p": 0.9,
            "max_tokens": 100,
            "seed": 5,
            "stop": ["END"],
            "reasoning_effort": "low",
        }
    ]
    assert server.headers[0]["authorization"] == "Bearer none"


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("gbnf", {"grammar": "root ::= x"}),
        ("vllm", {"structured_outputs": {"grammar": "root ::= x"}}),
        ("sglang", {"ebnf": "root ::= x"}),
        ("none", {}),
    ],
)
def test_a_grammar_goes_where_the_endpoint_looks_for_it(
    serve: Serve, kind: str, field: dict[str, Any]
) -> None:
    server = serve(completion("x"))
    ask(config(server, grammar=kind), prompt=Prompt(("a",), grammar="root ::= x"))
    body = server.requests[0]
    assert {k: body[k] for k in ("grammar", "structured_outputs", "ebnf") if k in body} == field


def test_a_grammar_holds_the_whole_answer_where_its_beginning_cannot_be_given(
    serve: Serve,
) -> None:
    prompt = Prompt(("improve",), prefill="def f():\n", grammar='root ::= "    return 1"')
    begun, whole = serve(completion("")), serve(completion(""))
    ask(config(begun, grammar="gbnf", prefill="assistant"), prompt=prompt)
    ask(config(whole, grammar="gbnf"), prompt=prompt)
    assert begun.requests[0]["grammar"] == prompt.grammar
    grammar = 'root ::= "def f():\\n" begun\nbegun ::= "    return 1"'
    assert whole.requests[0]["grammar"] == grammar


@pytest.mark.parametrize(
    ("answered", "text"),
    [("    return 1", "def f():\n    return 1"), ("def f():\n    return 1", None)],
)
def test_a_prefill_is_part_of_the_answer_once(
    serve: Serve, answered: str, text: str | None
) -> None:
    server = serve(completion(answered))
    prompt = Prompt(("improve",), prefill="def f():\n")
    reply = ask(config(server, prefill="continue"), prompt=prompt)
    assert reply.answers[0].text == (text or answered)
    assert server.requests[0]["messages"][-1] == {"role": "assistant", "content": "def f():\n"}
    assert server.requests[0]["continue_final_message"] is True
    plain = serve(completion(answered))
    assert ask(config(plain), prompt=prompt).answers[0].text == answered
    assert [message["role"] for message in plain.requests[0]["messages"]] == ["user"]


def test_usage_is_estimated_where_none_is_reported(serve: Serve) -> None:
    got = ask(config(serve(completion("x" * 350)))).usage
    assert got.estimated
    assert got.answer_tokens == 100
    assert got.prompt_tokens > 0


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (completion(None), ""),
        (completion(""), ""),
        (completion("just prose"), "just prose"),
        (Send(b'{"choices":[{"message":{"content":[{"type":"text","text":"p"}]}}]}'), "p"),
        (Send(b'{"choices":[{"message":{"content":null,"refusal":"no"}}]}'), "no"),
        (Send(b'{"choices":[{"text":"raw"}]}'), "raw"),
        (Send(b'{"choices":[{"message":{"content":"\\ud83d half"}}],"usage":"?"}'), "? half"),
        (Send(b'{"choices":["?",{"message":{"content":"a\tb"}}]}', kind="text/plain"), "a\tb"),
    ],
)
def test_strange_answers_are_answers(serve: Serve, reply: Send, text: str) -> None:
    assert ask(config(serve(reply))).answers[0].text == text


def test_a_prompt_may_hold_what_a_candidate_printed(serve: Serve) -> None:
    server = serve(completion("x"))
    ask(config(server), prompt=Prompt(("half \ud83d, nothing \0",)))
    assert server.requests[0]["messages"][0]["content"] == "half ?, nothing \0"


def test_a_cut_answer_says_so(serve: Serve) -> None:
    assert ask(config(serve(completion("x", finish="length")))).answers[0].truncated


def test_an_answer_of_a_megabyte_is_whole_and_one_of_ten_is_cut(serve: Serve) -> None:
    server = serve(completion("x" * 2**20), completion("y" * 10 * 2**20))
    whole = ask(config(server)).answers[0]
    assert (len(whole.text), whole.truncated) == (2**20, False)
    cut = ask(config(server)).answers[0]
    assert (len(cut.text), cut.truncated) == (ANSWER_CHARACTERS, True)


def test_an_endless_reply_is_not_read_to_its_end(serve: Serve) -> None:
    got = loss(config(serve(Send(b" " * (REPLY_BYTES + 2)))))
    assert (got.kind, got.detail) == (LossKind.MALFORMED, "a reply of more than 32 MiB")


LOSSES: list[tuple[Action, LossKind, str]] = [
    (Send(b""), LossKind.MALFORMED, "the reply is empty"),
    (Send(b'{"choices": [{"mess'), LossKind.MALFORMED, "not JSON"),
    (Send(b"[" * 100_000), LossKind.MALFORMED, "not JSON"),
    (Send(b"[1]"), LossKind.MALFORMED, "a JSON list, not an object"),
    (Send(b"{}"), LossKind.MALFORMED, "no choices"),
    (Send(b'{"choices": []}'), LossKind.MALFORMED, "no choices"),
    (Send(b'{"choices": [{"message": 3}]}'), LossKind.MALFORMED, "without a message"),
    (html(), LossKind.MALFORMED, "an HTML page (502 Bad Gateway) instead of JSON"),
    (html(503), LossKind.SERVER, "503: 502 Bad Gateway"),
    (refusal(400, "maximum context length is 8192 tokens"), LossKind.BAD_REQUEST, "context"),
    (refusal(413, "too large"), LossKind.BAD_REQUEST, "413"),
    (refusal(418, "teapot"), LossKind.BAD_REQUEST, "418"),
    (refusal(422, "no"), LossKind.BAD_REQUEST, "422"),
    (refusal(408, "slow"), LossKind.TIMEOUT, "408"),
    (refusal(429, "slow down"), LossKind.RATE_LIMIT, "429: slow down"),
    (refusal(500, "oops"), LossKind.SERVER, "500: oops"),
    (refusal(502, "oops"), LossKind.SERVER, "502"),
    (refusal(503, "oops"), LossKind.SERVER, "503"),
    (refusal(529, "overloaded"), LossKind.SERVER, "529"),
    (Send(b'{"error": {"message": "busy", "code": 429}}'), LossKind.RATE_LIMIT, "busy"),
    (Send(b'{"error": "broken"}'), LossKind.SERVER, "broken"),
    (Reset(), LossKind.CONNECTION, "127.0.0.1"),
    (Reset(b'{"choices": ['), LossKind.CONNECTION, "127.0.0.1"),
]


@pytest.mark.parametrize(("action", "kind", "words"), LOSSES)
def test_every_passing_trouble_is_a_named_loss(
    serve: Serve, action: Action, kind: LossKind, words: str
) -> None:
    got = loss(config(serve(action)))
    assert got.kind is kind
    assert words in got.detail
    assert not got.fatal


@pytest.mark.parametrize("action", [Hang(), Slow()])
def test_a_hang_ends_with_the_time_out(serve: Serve, action: Action) -> None:
    got = loss(config(serve(action), timeout=0.05))
    assert (got.kind, got.detail) == (LossKind.TIMEOUT, "no answer within 0.05 s")


def test_an_address_where_nothing_listens_is_a_lost_connection(serve: Serve) -> None:
    with FakeServer([Hang()]) as gone:
        own = config(gone)
    assert loss(own).kind is LossKind.CONNECTION


def test_cancelling_ends_the_request(serve: Serve) -> None:
    server = serve(Hang())

    async def run() -> None:
        model = EndpointModel(config(server))
        asking = asyncio.create_task(model.sample(PROMPT, Sampling()))
        while not server.requests:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await model.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("action", "kind", "words"),
    [
        (refusal(401, "Incorrect API key: sk-cana***cdef"), LossKind.AUTHENTICATION, "KEY_OF_M"),
        (refusal(403, "forbidden"), LossKind.AUTHENTICATION, "put a valid one there"),
        (refusal(400, "API key not valid."), LossKind.AUTHENTICATION, "KEY_OF_M"),
        (refusal(404, "The model `m` does not exist"), LossKind.UNKNOWN_MODEL, "know 'm'"),
        (refusal(400, "x", "model_not_found"), LossKind.UNKNOWN_MODEL, "check the entry's model"),
        (html(404, "Not Found"), LossKind.UNKNOWN_MODEL, "404: Not Found"),
    ],
)
def test_a_wrong_key_or_name_is_fatal_and_names_the_remedy(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    action: Action,
    kind: LossKind,
    words: str,
) -> None:
    monkeypatch.setenv("KEY_OF_M", CANARY)
    server = serve(action)
    got = loss(config(server, key_env="KEY_OF_M"))
    assert (got.kind, got.fatal) == (kind, True)
    assert words in got.detail
    assert f"model 'm': {server.address}" in got.detail
    assert "sk-cana" not in got.detail


def test_a_missing_key_is_told_before_anything_is_sent(serve: Serve) -> None:
    server = serve(completion("x"))
    with pytest.raises(ConfigError, match="model 'm': the environment variable NO_SUCH_KEY is not"):
        EndpointModel(config(server, key_env="NO_SUCH_KEY"))
    assert server.requests == []


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_one_line(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("KEY_OF_M", key)
    got = loss(config(serve(completion("x")), key_env="KEY_OF_M"))
    assert got.fatal
    assert key not in got.detail


def test_the_key_is_in_the_header_and_nowhere_else(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KEY_OF_M", CANARY)
    caplog.set_level(logging.DEBUG)
    server = serve(completion(f"your key is {CANARY}"), refusal(500, f"bad key {CANARY}"), Reset())
    own = config(server, key_env="KEY_OF_M")
    model = EndpointModel(own)
    assert "***" in ask(own).answers[0].text
    losses = [loss(own), loss(own)]
    seen = [repr(model), repr(vars(model)), own.model_dump_json(), caplog.text]
    seen += [repr(error) + str(error) for error in losses] + [json.dumps(server.requests)]
    seen += [ask(config(serve(completion(CANARY)), key_env="KEY_OF_M")).answers[0].text]
    assert caplog.text
    assert not [text for text in seen if CANARY in text]
    assert [headers["authorization"] for headers in server.headers] == [f"Bearer {CANARY}"] * 3


def test_a_changed_key_is_used_at_the_next_request(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(completion("x"))
    monkeypatch.setenv("KEY_OF_M", "first-key")
    own = config(server, key_env="KEY_OF_M")
    ask(own)
    monkeypatch.setenv("KEY_OF_M", "second-key")
    ask(own)
    assert [h["authorization"][7:] for h in server.headers] == ["first-key", "second-key"]


def test_keys_of_other_services_stay_at_home(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, CANARY)
    server = serve(completion("x"))
    ask(config(server))
    assert CANARY not in json.dumps(server.headers)


def test_a_proxy_is_not_asked_for_this_machine(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert ask(config(serve(completion("x")))).answers[0].text == "x"


def test_parameters_that_are_not_understood_are_left_out_from_then_on(serve: Serve) -> None:
    def strict(body: dict[str, Any], number: int) -> Action:
        if "max_tokens" in body:
            words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            return refusal(400, words, "unsupported_parameter")
        if "temperature" in body:
            words = "Unsupported value: 'temperature' does not support 0.5 with this model."
            return refusal(400, words, "unsupported_value")
        return completion("x")

    server = serve(strict)
    ask(config(server, temperature=0.5, max_tokens=64), times=2)
    assert [sorted(set(body) - {"messages", "model"}) for body in server.requests] == [
        ["max_tokens", "temperature"],
        ["max_completion_tokens", "temperature"],
        ["max_completion_tokens"],
        ["max_completion_tokens"],
    ]


def test_a_prompt_that_is_too_long_gives_up_no_parameter(serve: Serve) -> None:
    words = "maximum context length exceeded: max_tokens of 4096 is not supported here"
    server = serve(refusal(400, words, "context_length_exceeded"))
    assert loss(config(server)).kind is LossKind.BAD_REQUEST
    assert len(server.requests) == 1


def test_the_time_to_wait_comes_with_the_loss(serve: Serve) -> None:
    assert loss(config(serve(refusal(429, "x", headers={"Retry-After": "7"})))).retry_after == 7.0
    broke = loss(config(serve(refusal(429, "You exceeded your current quota"))))
    assert broke.retry_after == float("inf")
