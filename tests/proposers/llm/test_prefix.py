import random

import pytest

from breeder.proposers.llm.model import Prompt
from breeder.proposers.llm.prefix import CHUNK, PrefixMeter


def prompt(*parts: str) -> Prompt:
    return Prompt(parts)


def text(name: str, chunks: int) -> str:
    rng = random.Random(name)
    return "".join(rng.choice("abcdefgh") for _ in range(chunks * CHUNK))


A, B, C, D = (text(name, 10) for name in "ABCD")


def test_the_share_is_that_of_the_longest_common_prefix() -> None:
    meter = PrefixMeter()
    assert meter.share == 0.0
    assert meter.record(prompt(A, B)) == 0.0
    assert meter.record(prompt(A, C)) == pytest.approx(0.5, abs=0.05)
    assert meter.record(prompt(B, A)) == 0.0  # the same text elsewhere is not a prefix
    assert meter.record(prompt(A, B, D)) == pytest.approx(2 / 3, abs=0.05)
    assert meter.record(prompt(A, C)) == 1.0
    assert meter.prompts == 5
    assert meter.share == pytest.approx((10 + 20 + 20) / (20 + 20 + 20 + 30 + 20), abs=0.03)


def test_a_part_of_a_chunk_does_not_count() -> None:
    meter = PrefixMeter()
    meter.record(prompt("x" * (CHUNK - 2) + "y" * 9))
    assert meter.record(prompt("x" * (CHUNK - 2) + "z" * 9)) == 0.0


def test_all_but_the_first_of_several_samples_repeat_the_prompt() -> None:
    meter = PrefixMeter()
    meter.record(prompt(A), samples=4)
    assert meter.share == pytest.approx(0.75)
    meter.record(prompt(A), samples=4)
    assert meter.share == pytest.approx(7 / 8)


def test_memory_is_bounded_and_beginnings_are_forgotten_last() -> None:
    meter = PrefixMeter(capacity=25)
    meter.record(prompt(A, B))
    meter.record(prompt(C))
    # Of A and B together 15 chunks are left: the first ones.
    assert meter.record(prompt(A, B)) == pytest.approx(0.75, abs=0.06)


def test_system_message_and_prefill_count() -> None:
    meter = PrefixMeter()
    meter.record(Prompt((B,), system=A))
    assert meter.record(Prompt((B,), system=C)) == 0.0
    assert meter.record(Prompt((B,), system=A, prefill=D)) == pytest.approx(2 / 3, abs=0.05)
    assert PrefixMeter().record(Prompt(())) == 0.0


def test_a_state_keeps_the_sums() -> None:
    meter, again = PrefixMeter(), PrefixMeter()
    meter.record(prompt(A), samples=2)
    again.restore(meter.state())
    again.restore(b"")
    assert (again.share, again.prompts) == (meter.share, meter.prompts)
