"""`LocalModel`: a language model on this machine, asked for completions of a prompt it continues.

Chat endpoints decide themselves how an answer begins. A small model must be started off instead:
the prompt is laid out by the model's own chat template, the beginning of the answer is put behind
it, and the model goes on from there, held to a grammar where one is given.
"""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from breeder.proposers.llm import faults
from breeder.proposers.llm.local.catalogue import MODELS
from breeder.proposers.llm.local.folder import resolve
from breeder.proposers.llm.local.runtime import Settings
from breeder.proposers.llm.local.server import ModelServer, free_cores, require_runtime
from breeder.proposers.llm.model import (
    Answer,
    LossKind,
    ModelError,
    Prompt,
    Reply,
    Sampling,
    Usage,
)

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_Found = list[dict[str, Any]]
"""Completions as the runtime gives them."""

_SPEC = "local"
_READING = 0.25  # seconds between two readings of the CPU time of a request under way
# CPU seconds that loading and a first request of four answers take, per gigabyte of weights.
# Measured once with 0.49 GB on a busy core: 1.4 and 5.1. Both grow with the size of the weights.
_FIRST_PER_GB = 15.0
# On cores that others use a batch of a few CPU seconds takes minutes of wall time, so that is no
# sign of a hanging model. That it computes nothing is; so is computing for much longer than the
# longest batch: eight long answers took about 100 CPU seconds a gigabyte of weights.
_STALLED = 180.0  # wall seconds without headway
_HEADWAY = 0.2  # CPU seconds that count as some
_MOST_PER_GB = 600.0
_LOOK = 1.0  # seconds between two looks at a request under way
# Wide enough that samples of one prompt differ, narrow enough that most of them run.
_TEMPERATURE, _TOP_P, _TOP_K, _MIN_P = 0.8, 0.95, 40, 0.05
# Tokens that end a turn in the chat templates of the models that matter here. A program text that
# contains one would otherwise end the user's turn.
_TURNS = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<end_of_turn>")


class LocalModel:
    """A `LanguageModel` in a process of its own on this machine.

    Samples of one prompt are drawn side by side and share its computation, as do prompts that
    begin alike. One request runs at a time: a batch fills the cores that the model may use.

    Args:
        server: runs the model.
        name: as shown in reports.
        role: `fast`, `deep` or nothing.
        stalled: wall seconds after which a request ends whose process computes nothing.
        most: CPU seconds that a request may take.
    """

    def __init__(
        self,
        server: ModelServer,
        *,
        name: str = "local",
        role: str = "fast",
        stalled: float = _STALLED,
        most: float = math.inf,
    ) -> None:
        self._server = server
        self._name, self._role = name, role
        self._stalled, self._most = stalled, most
        self._client: AsyncOpenAI | None = None
        self._turn = asyncio.Lock()
        self._booked = 0.0
        self._reading, self._read_at = 0.0, -_READING

    @property
    def name(self) -> str:
        """The configured name, as shown in reports."""
        return self._name

    @property
    def role(self) -> str:
        """`fast`, `deep` or an empty string."""
        return self._role

    @property
    def parallel(self) -> int:
        """Answers that one request can give."""
        return self._server.settings.parallel

    async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
        """Draw up to `count` answers to one prompt, at most `parallel`.

        `Usage.cpu_seconds` is what the model's process used since the last request, or since
        `book`; at first, what loading took is part of it.

        Raises:
            ModelError: the model cannot be run (fatal), it died (the next call starts it again),
                it hangs or computes for far too long, or the prompt does not fit into its context.
        """
        async with self._turn:
            request = self._complete(prompt, sampling, min(count, self.parallel))
            try:
                found = await self._watched(asyncio.ensure_future(request))
            except ModelError as error:
                if error.kind is LossKind.TIMEOUT:
                    await self._server.close()  # it may hang for good
                error.usage = Usage(cpu_seconds=self.book())
                raise
            except asyncio.CancelledError:
                await self._server.close()  # else it would go on computing for nobody
                raise
            return _reply(found, prompt, self.book())

    def unbooked(self) -> float:
        """CPU seconds of the model's process, loading included, that no `Usage` has told yet."""
        now = time.monotonic()
        if now - self._read_at >= _READING:
            self._reading, self._read_at = self._server.cpu_seconds, now
        return max(0.0, self._reading - self._booked)

    def book(self) -> float:
        """The same, read anew; it counts as told from now on."""
        total, before = self._server.cpu_seconds, self._booked
        self._booked = total
        return total - before

    async def warm(self) -> None:
        """Load the model, so that the first request need not wait for it.

        Raises:
            ModelError: it cannot be run (fatal).
        """
        async with self._turn:
            await self._server.address()

    async def close(self) -> None:
        """End the model's process. Safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        await self._server.close()

    async def _watched(self, request: asyncio.Future[_Found]) -> _Found:
        """What a request gives; it is ended when it makes no headway, or too much of it."""
        begun = seen = self._server.cpu_seconds
        seen_at = time.monotonic()
        try:
            while not (await asyncio.wait({request}, timeout=min(_LOOK, self._stalled)))[0]:
                used, now = self._server.cpu_seconds, time.monotonic()
                if used - begun > self._most:
                    words = f"no answer within {self._most:.0f} CPU seconds"
                    raise ModelError(LossKind.TIMEOUT, words)
                if used - seen >= _HEADWAY:
                    seen, seen_at = used, now
                elif now - seen_at >= self._stalled:
                    words = f"computed nothing for {self._stalled:.0f} s"
                    raise ModelError(LossKind.TIMEOUT, words)
            return request.result()
        finally:
            request.cancel()

    async def _complete(self, prompt: Prompt, sampling: Sampling, count: int) -> _Found:
        address = await self._server.address()
        messages = [{"role": "user", "content": _inert(prompt.text)}]
        if prompt.system:
            messages.insert(0, {"role": "system", "content": _inert(prompt.system)})
        laid_out = await self._post(address, "/apply-template", {"messages": messages})
        start = laid_out.get("prompt") if isinstance(laid_out, dict) else None
        if not isinstance(start, str):
            raise ModelError(LossKind.MALFORMED, "the runtime did not lay out the prompt")
        body = _request(start + prompt.prefill, prompt, sampling, count)
        answered = await self._post(address, "/completion", body)
        found = answered if isinstance(answered, list) else [answered]
        if not found or not all(isinstance(one, dict) and "content" in one for one in found):
            raise ModelError(LossKind.MALFORMED, "the runtime's answer holds no completion")
        return found

    async def _post(self, address: str, path: str, body: dict[str, Any]) -> Any:
        import openai

        client = self._connected(address)
        try:
            return await client.post(path, body=body, cast_to=object)
        except openai.APIStatusError as error:
            raise faults.from_status(
                error.status_code, error.response.content, error.response.headers
            ) from None
        except openai.APIConnectionError as error:
            words = await self._server.bury() or str(error)
            raise ModelError(LossKind.CONNECTION, f"the runtime went away: {words}") from None

    def _connected(self, address: str) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        if self._client is None or not str(self._client.base_url).startswith(address):
            self._client = AsyncOpenAI(
                base_url=address,
                api_key=self._server.settings.key,
                max_retries=0,
                timeout=None,  # see `_watched`
            )
        return self._client


def open_local(
    spec: str = _SPEC, *, slots: int = 0, threads: int | None = None, parallel: int = 8
) -> LocalModel:
    """Return the model that `local`, `local:NAME` or `local:PATH` stands for.

    Its process starts with the first request.

    Args:
        spec: what `--model` was given.
        slots: evaluations that will run side by side; what they leave of the cores is used.
        threads: threads to compute with, in place of the free cores.
        parallel: samples drawn side by side.

    Raises:
        ConfigError: there is no such model on this machine; names the remedy.
        UserError: the extra `local` is not installed.
    """
    _, _, name = spec.partition(":")
    require_runtime()
    path = resolve(name)
    settings = Settings(
        str(path),
        "",
        threads=threads or free_cores(slots),
        context=1024 * parallel + 4096,
        parallel=parallel,
    )
    most = _MOST_PER_GB * path.stat().st_size / 1e9
    return LocalModel(ModelServer(path, settings), name=spec if name else _SPEC, most=most)


def first_cost(spec: str) -> float:
    """CPU seconds that `open_local`'s model is likely to use up to its first answers.

    Raises:
        ConfigError: there is no such model on this machine; names the remedy.
    """
    return _FIRST_PER_GB * resolve(spec.partition(":")[2]).stat().st_size / 1e9


def absolute(spec: str) -> str:
    """A spec that means the same from any folder: paths of files made absolute."""
    head, _, name = spec.partition(":")
    path = Path(name).expanduser()
    known = not name or name in MODELS or not path.is_file()
    return spec if known else f"{head}:{path.absolute()}"


def is_local(spec: str) -> bool:
    """Whether a `--model` is meant for `open_local`."""
    return spec == _SPEC or spec.startswith(f"{_SPEC}:")


def _request(text: str, prompt: Prompt, sampling: Sampling, count: int) -> dict[str, Any]:
    body: dict[str, Any] = {
        "prompt": text,
        "n_predict": sampling.max_tokens,
        "temperature": _TEMPERATURE if sampling.temperature is None else sampling.temperature,
        "top_p": _TOP_P if sampling.top_p is None else sampling.top_p,
        "top_k": _TOP_K,
        "min_p": _MIN_P,
        "n_cmpl": count,
        "cache_prompt": True,
        "stop": [*([prompt.tail.begins] if prompt.tail else []), *prompt.stop],
    }
    if prompt.grammar:
        body["grammar"] = prompt.grammar
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    return body


def _reply(found: _Found, prompt: Prompt, cpu_seconds: float) -> Reply:
    answers = tuple(
        Answer(
            f"{prompt.prefill}{one['content']}{_tail(one, prompt)}", one.get("stop_type") == "limit"
        )
        for one in found
    )
    # The samples share one computation of the prompt, which each of them reports.
    timings = [one.get("timings") or {} for one in found]
    usage = Usage(
        prompt_tokens=max(_count(one.get("tokens_evaluated")) for one in found),
        cached_tokens=min(_count(timing.get("cache_n")) for timing in timings),
        answer_tokens=sum(_count(one.get("tokens_predicted")) for one in found),
        cpu_seconds=cpu_seconds,
    )
    return Reply(answers, usage)


def _tail(one: dict[str, Any], prompt: Prompt) -> str:
    """The end that was not asked of the model, for an answer that stopped where it begins."""
    stopped = prompt.tail is not None and one.get("stopping_word") == prompt.tail.begins
    return prompt.tail.text if prompt.tail is not None and stopped else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _inert(text: str) -> str:
    for token in _TURNS:
        text = text.replace(token, token[0] + " " + token[1:])
    return text
