"""Which of the requests that wait goes first: prompts that begin alike are sent together."""

import asyncio
import random

from tests.proposers.llm.timing import MadeUpTime

from breeder.proposers.llm.limiter import PATIENCE, Limiter
from breeder.proposers.llm.model import Prompt
from breeder.proposers.llm.prefix import CHUNK, PrefixMeter


def sent(prompts: list[Prompt], concurrency: int = 1) -> list[Prompt]:
    """The prompts in the order in which a limiter lets them through, all waiting at once."""
    order = []

    async def ask(limiter: Limiter, prompt: Prompt) -> None:
        async with limiter.slot(prompt):
            order.append(prompt)
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        limiter = Limiter(MadeUpTime().timing(), concurrency, None)
        await asyncio.gather(*(ask(limiter, prompt) for prompt in prompts))

    asyncio.run(all_of_them())
    return order


def test_prompts_that_begin_alike_are_sent_together() -> None:
    prompts = [Prompt(tuple(name)) for name in ("axp", "bx", "ayp", "bz", "axq", "bx", "axp")]
    order = ["".join(prompt.parts) for prompt in sent(prompts)]
    assert order == ["axp", "axp", "axq", "ayp", "bx", "bx", "bz"]


def test_what_a_small_cache_reuses_rises() -> None:
    rng = random.Random(1)

    def text(name: str, chunks: int) -> str:
        own = random.Random(name)
        return "".join(own.choice("abcdefgh") for _ in range(chunks * CHUNK))

    prompts = [Prompt((text(f"p{n % 6}", 10), text(f"q{n}", 4))) for n in range(60)]
    rng.shuffle(prompts)

    def share(sequence: list[Prompt]) -> float:
        meter = PrefixMeter(capacity=30)
        for one in sequence:
            meter.record(one)
        return meter.share

    assert share(sent(prompts)) > share(prompts) + 0.2


def test_nobody_is_passed_for_ever() -> None:
    stranger = Prompt(("b",))
    prompts = [Prompt(("a",)), stranger, *[Prompt(("a",))] * (2 * PATIENCE)]
    assert sent(prompts).index(stranger) == 1 + PATIENCE


def test_a_request_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    async def play() -> list[str]:
        limiter, done = Limiter(MadeUpTime().timing(), 1, None), []

        async def ask(name: str) -> None:
            async with limiter.slot(Prompt((name,))):
                await asyncio.sleep(0)
                done.append(name)

        tasks = [asyncio.create_task(ask(name)) for name in "abcd"]
        await asyncio.sleep(0)
        tasks[1].cancel()  # while it waits
        while not done:
            await asyncio.sleep(0)
        tasks[2].cancel()  # when its turn has just come
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(1):
            await ask("e")
        return done

    assert asyncio.run(play()) == ["a", "d", "e"]


def test_all_may_be_cancelled_at_once() -> None:
    async def play() -> None:
        limiter = Limiter(MadeUpTime().timing(), 2, None)

        async def ask() -> None:
            async with limiter.slot(Prompt(("a",))):
                await asyncio.Event().wait()

        tasks = [asyncio.create_task(ask()) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended)
        async with asyncio.timeout(1), limiter.slot(Prompt(())), limiter.slot(Prompt(())):
            pass

    asyncio.run(play())
