import random
from collections import Counter

import pytest

from breeder.proposers.llm.credit import Credit


def drawn(credit: Credit, keys: list[str], times: int = 400) -> Counter[str]:
    rng = random.Random(5)
    return Counter(credit.draw(keys, rng) for _ in range(times))


def test_unknown_keys_are_drawn_evenly() -> None:
    counts = drawn(Credit(), ["a", "b", "c"])
    assert min(counts.values()) > 90


def test_what_pays_is_drawn_more_often_and_the_rest_not_never() -> None:
    credit = Credit()
    for _ in range(12):
        credit.learn("good", 1.0)
        credit.learn("bad", 0.0)
    counts = drawn(credit, ["good", "bad", "new"])
    assert counts["good"] > 250
    assert counts["new"] > counts["bad"]
    assert credit.ranking()[0][0] == "good"
    assert credit.tally("good").mean > 0.7
    assert credit.tally("never").uses == 0


def test_what_paid_long_ago_gives_way() -> None:
    credit = Credit(discount=0.9)
    for _ in range(10):
        credit.learn("early", 1.0)
    before = drawn(credit, ["early", "late"])["early"]
    for _ in range(30):
        credit.learn("late", 0.5)
    assert drawn(credit, ["early", "late"])["early"] < before / 2


def test_weights_tilt_the_draw() -> None:
    rng = random.Random(1)
    keys = ["a", "b"]
    counts = Counter(Credit().draw(keys, rng, {"a": 3.0}) for _ in range(300))
    assert counts["a"] > 200


def test_rewards_are_clamped_and_memory_is_bounded() -> None:
    credit = Credit()
    for reward in (float("nan"), -5.0, 5.0):
        credit.learn("a", reward)
    assert 0.9 < credit.tally("a").rewards <= 1.0
    for number in range(2000):
        credit.learn(f"k{number}", 1.0)
    assert len(credit) == 512
    assert credit.tally("k1999").uses == 1


def test_a_draw_needs_keys() -> None:
    with pytest.raises(ValueError, match="no keys"):
        Credit().draw([], random.Random(1))
