"""A local model: laid-out prompts, prefilled answers, losses by name, a process that is ended."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from breeder.assembly import open_seats
from breeder.config import RunConfig
from breeder.errors import ConfigError, UserError
from breeder.model_specs import with_models
from breeder.proposers.llm.local import server as server_module
from breeder.proposers.llm.local.model import LocalModel, absolute, first_cost, is_local, open_local
from breeder.proposers.llm.local.runtime import Settings
from breeder.proposers.llm.local.server import ModelServer, free_cores
from breeder.proposers.llm.model import LossKind, ModelError, Prompt, Reply, Sampling, Tail

FAKE = str(Path(__file__).with_name("fake_runtime.py"))


def model(*way: str, stalled: float = 60.0, parallel: int = 8) -> tuple[LocalModel, ModelServer]:
    settings = Settings("", "", parallel=parallel)
    server = ModelServer(
        Path("no.gguf"), settings, command=(sys.executable, "-I", "-S", FAKE, *way)
    )
    return LocalModel(server, stalled=stalled), server


def use(
    work: Callable[[LocalModel, ModelServer], Awaitable[Any]], *way: str, stalled: float = 60.0
) -> Any:
    """Run `work` with a model and end the model afterwards."""

    async def run() -> Any:
        local, server = model(*way, stalled=stalled)
        try:
            return await work(local, server)
        finally:
            await local.close()
            await local.close()
            assert server.pid is None

    return asyncio.run(run())


def loss(*parts: str, way: tuple[str, ...] = (), stalled: float = 60.0) -> ModelError:
    """The loss that a prompt ends in."""

    async def work(local: LocalModel, server: ModelServer) -> ModelError:
        with pytest.raises(ModelError) as caught:
            await local.sample(Prompt(parts), Sampling())
        return caught.value

    found: ModelError = use(work, *way, stalled=stalled)
    return found


def test_answers_begin_with_the_prefill_and_share_one_prompt() -> None:
    async def work(local: LocalModel, server: ModelServer) -> Reply:
        return await local.sample(Prompt(("write",), prefill="def f():\n"), Sampling(), count=3)

    reply = use(work)
    assert [answer.text for answer in reply.answers] == [
        f"def f():\n{word}" for word in ("one", "two", "three")
    ]
    assert [answer.truncated for answer in reply.answers] == [False, True, False]
    usage = replace(reply.usage, cpu_seconds=0.0)
    assert (usage.prompt_tokens, usage.cached_tokens, usage.answer_tokens) == (100, 60, 9)
    assert reply.usage.cpu_seconds > 0
    assert not usage.estimated


def test_the_request_carries_template_grammar_stops_and_sampling() -> None:
    async def work(local: LocalModel, server: ModelServer) -> Any:
        prompt = Prompt(
            ("ECHO ", "me"), system="Be brief.", prefill="def", grammar="root ::= x", stop=("#",)
        )
        sampling = Sampling(temperature=0.25, top_p=0.5, max_tokens=7, seed=11)
        reply = await local.sample(prompt, sampling, count=2)
        return json.loads(reply.answers[0].text.removeprefix("def"))

    body = use(work)
    assert body["prompt"] == "<system>Be brief.<user>ECHO me<assistant>def"
    assert (body["grammar"], body["stop"], body["n_cmpl"]) == ("root ::= x", ["#"], 2)
    assert (body["temperature"], body["top_p"]) == (0.25, 0.5)
    assert (body["n_predict"], body["seed"], body["cache_prompt"]) == (7, 11, True)


def test_a_program_cannot_end_the_users_turn() -> None:
    async def work(local: LocalModel, server: ModelServer) -> Any:
        reply = await local.sample(Prompt(("ECHO x = '<|im_end|>'",)), Sampling())
        return json.loads(reply.answers[0].text)["prompt"]

    assert use(work) == "<user>ECHO x = '< |im_end|>'<assistant>"


def test_no_more_answers_than_run_side_by_side() -> None:
    async def work() -> int:
        local, _ = model(parallel=2)
        try:
            return len((await local.sample(Prompt(("x",)), Sampling(), count=9)).answers)
        finally:
            await local.close()

    assert asyncio.run(work()) == 2


def test_a_crash_is_a_loss_and_the_next_request_starts_the_model_again() -> None:
    async def work(local: LocalModel, server: ModelServer) -> tuple[ModelError, int, Reply]:
        with pytest.raises(ModelError) as caught:
            await local.sample(Prompt(("CRASH",)), Sampling())
        reply = await local.sample(Prompt(("again",)), Sampling(), count=2)
        return caught.value, server.pid or 0, reply

    error, pid, reply = use(work)
    assert error.kind is LossKind.CONNECTION
    assert not error.fatal
    assert "GGML_ASSERT failed" in error.detail
    assert pid
    assert len(reply.answers) == 2


def test_a_model_that_computes_nothing_is_ended() -> None:
    error = loss("HANG", stalled=0.5)
    assert error.kind is LossKind.TIMEOUT
    assert "computed nothing" in error.detail
    assert not error.fatal


def test_a_model_that_computes_without_end_is_ended() -> None:
    async def work() -> ModelError:
        _, server = model()
        local = LocalModel(server, most=0.3)
        try:
            with pytest.raises(ModelError) as caught:
                await local.sample(Prompt(("SPIN",)), Sampling())
            return caught.value
        finally:
            await local.close()

    error = asyncio.run(work())
    assert error.kind is LossKind.TIMEOUT
    assert "CPU seconds" in error.detail
    assert error.usage.cpu_seconds > 0.3


def test_an_end_that_is_known_is_not_asked_of_the_model() -> None:
    prompt = Prompt(("TAIL ",), prefill="def f():", tail=Tail("\n    return x\n```", "\n"))

    async def work(local: LocalModel, server: ModelServer) -> tuple[Reply, Any]:
        reply = await local.sample(prompt, Sampling(), count=2)
        asked = await local.sample(replace(prompt, parts=("ECHO",)), Sampling())
        return reply, json.loads(asked.answers[0].text.removeprefix("def f():"))

    reply, body = use(work)
    assert body["stop"] == ["\n"]
    stopped, cut = reply.answers
    assert stopped.text == "def f():one\n    return x\n```"
    assert (cut.text, cut.truncated) == ("def f():two", True)


def test_a_prompt_that_does_not_fit_is_a_bad_request() -> None:
    error = loss("LONG")
    assert error.kind is LossKind.BAD_REQUEST
    assert "context size" in error.detail
    assert not error.fatal


def test_no_completion_is_malformed() -> None:
    assert loss("EMPTY").kind is LossKind.MALFORMED


@pytest.mark.parametrize(
    ("way", "words"),
    [("refuse", "unknown architecture"), ("die", "out of memory"), ("garbage", "without a word")],
)
def test_a_model_that_cannot_be_run_is_fatal(way: str, words: str) -> None:
    error = loss("x", way=(way,))
    assert error.fatal
    assert words in error.detail
    assert "no.gguf" in error.detail


def test_keys_of_other_models_do_not_reach_the_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_API_KEY", "sk-canary")
    error = loss("x", way=("environment",))
    assert "PATH" in error.detail
    assert "CANARY" not in error.detail


def test_a_cancelled_request_leaves_the_model_usable() -> None:
    async def work(local: LocalModel, server: ModelServer) -> Reply:
        await local.sample(Prompt(("start",)), Sampling())
        hanging = asyncio.create_task(local.sample(Prompt(("HANG",)), Sampling()))
        waiting = asyncio.create_task(local.sample(Prompt(("x",)), Sampling()))
        for _ in range(20):
            await asyncio.sleep(0)
        hanging.cancel()
        return await waiting

    assert use(work).answers[0].text == "one"


def test_the_runtime_ends_when_its_owner_does() -> None:
    owner = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        'child.stdin.write(b\'{"key": "k"}\\n\'); child.stdin.flush()\n'
        "child.stdout.readline()\n"
        "os.set_inheritable(1, True); print(child.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )

    async def run() -> bytes:
        # The pipe of the child's stderr ends when the child has, and not before.
        read, write = os.pipe()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", owner, sys.executable, "-I", "-S", FAKE,
            stdout=asyncio.subprocess.DEVNULL, stderr=write,
        )  # fmt: skip
        os.close(write)
        await process.wait()
        loop = asyncio.get_running_loop()
        try:
            return await asyncio.wait_for(loop.run_in_executor(None, os.read, read, 1), 30)
        finally:
            os.close(read)

    assert asyncio.run(run()) == b""


def test_free_cores_are_what_evaluations_and_other_work_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(os, "getloadavg", lambda: (2.2, 0.0, 0.0))
    assert [free_cores(slots) for slots in (0, 1, 5, 8, 99)] == [6, 6, 3, 1, 1]


def test_what_a_process_used_is_told_once_whatever_became_of_it() -> None:
    async def work(local: LocalModel, server: ModelServer) -> None:
        await local.warm()
        assert server.pid is not None
        loading = local.unbooked()
        assert loading > 0
        reply = await local.sample(Prompt(("write",)), Sampling())
        assert reply.usage.cpu_seconds >= loading
        with pytest.raises(ModelError) as caught:
            await local.sample(Prompt(("CRASH",)), Sampling())
        total = reply.usage.cpu_seconds + caught.value.usage.cpu_seconds
        await local.close()
        assert total + local.book() == pytest.approx(server.cpu_seconds)
        assert local.unbooked() == 0.0

    use(work)


def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.gguf").write_bytes(b"GGUF")
    assert absolute("local:own.gguf") == f"local:{tmp_path / 'own.gguf'}"
    for same in ("local", "local:smollm2-135m", "local:missing.gguf", "local:owner/name"):
        assert absolute(same) == same


def test_specs_are_told_from_other_models() -> None:
    assert is_local("local")
    assert is_local("local:/models/own.gguf")
    assert not is_local("locality")
    assert not is_local("gpt@http://127.0.0.1")


def test_a_spec_opens_a_file_without_starting_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: object())
    file = tmp_path / "own.gguf"
    file.write_bytes(b"GGUF")
    local = open_local(f"local:{file}", threads=1)
    assert (local.name, local.role, local.parallel) == (f"local:{file}", "fast", 8)
    with pytest.raises(ConfigError, match="not known"):
        open_local("local:nothing")


def test_a_first_request_is_expected_to_cost_by_the_size_of_the_weights(tmp_path: Path) -> None:
    costs = []
    for size in (10_000, 30_000):
        file = tmp_path / f"{size}.gguf"
        file.write_bytes(b"GGUF" + bytes(size - 4))
        costs.append(first_cost(f"local:{file}"))
    assert 0 < 3 * costs[0] == pytest.approx(costs[1])
    with pytest.raises(ConfigError, match="not known"):
        first_cost("local:nothing")


def test_a_seat_of_a_local_model_tells_what_it_will_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: object())
    file = tmp_path / "own.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    ((_, settings),) = open_seats(with_models(RunConfig(), (f"local:{file}",)))
    assert settings.first == first_cost(f"local:{file}") > 0


def test_a_request_that_is_given_up_computes_no_longer() -> None:
    async def work(local: LocalModel, server: ModelServer) -> None:
        await local.warm()
        request = asyncio.ensure_future(local.sample(Prompt(("HANG",)), Sampling()))
        await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert server.pid is None
        assert (await local.sample(Prompt(("write",)), Sampling())).answers

    use(work)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'breeder\[local\]'"):
        open_local()
