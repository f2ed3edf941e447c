"""What every language model must do; see `breeder.proposers.llm.model.LanguageModel`."""

from __future__ import annotations

import asyncio

import pytest

from breeder.proposers.llm.model import LanguageModel, ModelError, Prompt, Reply, Sampling

PROMPT = Prompt(("def f():\n    return 1\n", "Improve f."), system="You improve programs.")
SAMPLING = Sampling(max_tokens=16)


class LanguageModelSuite:
    """Subclasses give a model that answers and one that never gets an answer."""

    @pytest.fixture
    def model(self) -> LanguageModel:
        raise NotImplementedError

    @pytest.fixture
    def silent(self) -> LanguageModel:
        """A model whose requests all fail."""
        raise NotImplementedError

    def test_it_has_a_name_and_a_role(self, model: LanguageModel) -> None:
        assert model.name
        assert model.role in ("fast", "deep", "")

    @pytest.mark.parametrize("count", [1, 3])
    def test_it_gives_between_one_and_count_answers(self, model: LanguageModel, count: int) -> None:
        reply = self.run(model, count)
        assert 1 <= len(reply.answers) <= count
        assert all(isinstance(answer.text, str) for answer in reply.answers)

    def test_usage_is_consistent(self, model: LanguageModel) -> None:
        usage = self.run(model, 2).usage
        assert usage.prompt_tokens > 0
        assert 0 <= usage.cached_tokens <= usage.prompt_tokens
        assert usage.answer_tokens >= 0
        assert usage.currency >= 0.0

    def test_requests_may_overlap(self, model: LanguageModel) -> None:
        async def run() -> list[Reply]:
            asked = (model.sample(PROMPT, SAMPLING) for _ in range(4))
            replies = await asyncio.gather(*asked)
            await model.close()
            return replies

        assert all(reply.answers for reply in asyncio.run(run()))

    def test_a_failure_is_a_named_loss_on_one_line(self, silent: LanguageModel) -> None:
        with pytest.raises(ModelError) as caught:
            self.run(silent, 2)
        assert caught.value.kind
        assert "\n" not in str(caught.value)

    def test_cancelling_ends_it(self, model: LanguageModel) -> None:
        async def run() -> None:
            asking = asyncio.create_task(model.sample(PROMPT, SAMPLING))
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait([asking])
            reply = await model.sample(PROMPT, SAMPLING)
            assert reply.answers, "the next request is none the worse"
            await model.close()

        asyncio.run(run())

    def test_closing_twice_is_harmless(self, model: LanguageModel) -> None:
        async def run() -> None:
            await model.close()
            await model.close()

        asyncio.run(run())

    def run(self, model: LanguageModel, count: int) -> Reply:
        async def ask() -> Reply:
            try:
                return await model.sample(PROMPT, SAMPLING, count=count)
            finally:
                await model.close()

        return asyncio.run(ask())
