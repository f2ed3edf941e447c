"""A real model of 135 M parameters: pulled, run, held to grammars. Nothing it says is good."""

import asyncio
import random
from pathlib import Path

import pytest

from breeder.core import Elite, Evaluation, Program
from breeder.proposers.llm.editing import AnswerEditing
from breeder.proposers.llm.facts import TaskFacts
from breeder.proposers.llm.local.commands import pull_model
from breeder.proposers.llm.local.model import open_local
from breeder.proposers.llm.model import Prompt, Reply, Sampling
from breeder.proposers.llm.task_briefing import TaskBriefing
from breeder.proposers.llm.verdicts import Reason
from breeder.proposers.proposer import Draw
from breeder.task_formats import load

NAME = "smollm2-135m"
TASKS = Path(__file__).parents[4] / "benchmarks" / "data" / "small_models"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", autouse=True)
def model_file() -> Path:
    pytest.importorskip("xllamacpp")
    path = pull_model(NAME, print)
    assert path.with_suffix(".LICENSE").is_file()
    return path


def sample(*prompts: Prompt, count: int, max_tokens: int = 40) -> list[Reply]:
    async def run() -> list[Reply]:
        model = open_local(f"local:{NAME}", threads=1, parallel=4)
        try:
            sampling = Sampling(max_tokens=max_tokens, temperature=1.1)
            return [await model.sample(prompt, sampling, count=count) for prompt in prompts]
        finally:
            await model.close()

    return asyncio.run(run())


def test_two_samples_go_on_from_the_prefill_and_the_prompt_is_kept() -> None:
    common = "Write a short Python function that adds two numbers. " * 8
    prompts = [Prompt((common, end), prefill="```python\ndef add(") for end in ("Now.", "Please.")]
    first, second = sample(*prompts, count=2)
    for reply in (first, second):
        assert len(reply.answers) == 2
        assert all(answer.text.startswith("```python\ndef add(") for answer in reply.answers)
        assert reply.usage.answer_tokens > 0
        assert reply.usage.cpu_seconds > 0
    assert second.usage.cached_tokens > second.usage.prompt_tokens / 2


@pytest.mark.parametrize("kind", ["scheduling", "bin_packing"])
def test_every_answer_for_one_expression_applies(kind: str) -> None:
    task = load(TASKS / kind)
    facts = TaskFacts.of(task)
    parent = Elite(Program("start", dict(task.files)), Evaluation(), 0.0)
    rng = random.Random(1)
    brief = TaskBriefing(facts).brief(Draw(parent, (), rng, 0.0), "expression")
    assert brief.form == "expression"
    (reply,) = sample(brief.prompt, count=4, max_tokens=brief.max_tokens or 0)
    edits = [AnswerEditing(facts).edit(a, task.files, brief.form) for a in reply.answers]
    assert all(edit.files or edit.reason == Reason.UNCHANGED for edit in edits), edits
    assert any(edit.files for edit in edits)
