"""Models that answer when a test lets them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tests.malformed.campaign import Script

from breeder.proposers.llm.model import Prompt, Reply, Sampling
from breeder.proposers.llm.scripted_model import ScriptedModel


class GatedModel(ScriptedModel):
    """Answers once it is let."""

    def __init__(self, script: Script) -> None:
        super().__init__(script, name="m", role="fast")
        self.gate = asyncio.Event()

    async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
        await self.gate.wait()
        return await super().sample(prompt, sampling, count=count)


class MeteredModel(GatedModel):
    """A model on this machine: computes all the time, answers once it is let."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.used = self.told = 0.0
        self.warmed = 0

    async def sample(self, prompt: Prompt, sampling: Sampling, *, count: int = 1) -> Reply:
        reply = await super().sample(prompt, sampling, count=count)
        return replace(reply, usage=replace(reply.usage, cpu_seconds=self.book()))

    def unbooked(self) -> float:
        return self.used - self.told

    def book(self) -> float:
        fresh, self.told = self.unbooked(), self.used
        return fresh

    async def warm(self) -> None:
        self.warmed += 1
