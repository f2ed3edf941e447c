import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest

from breeder.core import Budget, Cost, Elite, Evaluation, Placement, Program
from breeder.proposers.exchange import Exchange
from breeder.proposers.mixture import FLOOR, Mixture, reward
from breeder.proposers.proposer import Draw, Outcome, Proposal

PARENT = Elite(Program("p", {"a.py": ""}), Evaluation(), 1.0)


class Named:
    """A proposer with a name and, if asked, nothing to offer."""

    def __init__(self, name: str, *, offers: bool = True) -> None:
        self.name = name
        self.offers = offers
        self.learned = 0
        self.restored = b""

    async def propose(self, draw: Draw) -> Proposal | None:
        return Proposal({"a.py": str(draw.rng.random())}, ("p",)) if self.offers else None

    def learn(self, outcome: Outcome) -> None:
        self.learned += 1

    def state(self) -> bytes:
        return self.name.encode()

    def restore(self, state: bytes) -> None:
        self.restored = state


def draw(seed: int) -> Draw:
    return Draw(PARENT, (), random.Random(seed), best=1.0)


def outcome(*, gain: float = 0.0, stages: int = 1, placed: bool = False) -> Outcome:
    return Outcome(
        Proposal({}, ("p",)),
        Evaluation(stages_run=stages),
        1.0 + gain if placed or gain else None,
        1.0,
        Placement.IMPROVED if placed or gain else Placement.REJECTED,
        gain,
    )


def play(
    mixture: Mixture, gains: dict[str, float], rounds: int, *, stages: dict[str, int]
) -> Counter[str]:
    """Each proposer succeeds with its own probability; return how often each was chosen."""
    luck = random.Random(7)
    chosen: Counter[str] = Counter()
    for number in range(rounds):
        offer = asyncio.run(mixture.propose(draw(number)))
        assert offer is not None
        chosen[offer.proposer] += 1
        won = luck.random() < gains[offer.proposer]
        mixture.learn(
            offer.proposer, outcome(gain=0.1 if won else 0.0, stages=stages.get(offer.proposer, 1))
        )
    return chosen


def test_the_proposer_that_gains_gets_most_of_the_budget_and_the_other_keeps_the_floor() -> None:
    mixture = Mixture([Named("good"), Named("bad")])
    chosen = play(mixture, {"good": 0.3, "bad": 0.0}, 600, stages={})
    assert chosen["good"] > 3 * chosen["bad"]
    assert chosen["bad"] > 0.5 * FLOOR * 600


def test_equal_gain_at_lower_cost_wins() -> None:
    mixture = Mixture([Named("cheap"), Named("dear")], stages=4)
    chosen = play(mixture, {"cheap": 0.2, "dear": 0.2}, 800, stages={"cheap": 1, "dear": 4})
    assert chosen["cheap"] > 1.5 * chosen["dear"]


def test_a_proposer_that_stops_paying_gives_way() -> None:
    mixture = Mixture([Named("early"), Named("late")])
    play(mixture, {"early": 0.5, "late": 0.0}, 300, stages={})
    chosen = play(mixture, {"early": 0.0, "late": 0.5}, 600, stages={})
    assert chosen["late"] > chosen["early"]


def test_who_declines_is_passed_over_and_counted() -> None:
    mixture = Mixture([Named("silent", offers=False), Named("talker")])
    offers = [asyncio.run(mixture.propose(draw(n))) for n in range(50)]
    assert {offer.proposer for offer in offers if offer} == {"talker"}
    assert mixture.declined["silent"] > 0
    assert asyncio.run(Mixture([Named("silent", offers=False)]).propose(draw(1))) is None


def test_discards_are_learned_without_an_evaluation_being_counted() -> None:
    proposer = Named("one")
    mixture = Mixture([proposer])
    mixture.learn("one", Outcome(Proposal({}, ()), None, None, 1.0, Placement.REJECTED))
    assert proposer.learned == 1
    assert mixture.shares()[0].evaluations == 0


def test_state_survives() -> None:
    first = Mixture([Named("a"), Named("b")])
    play(first, {"a": 0.5, "b": 0.1}, 100, stages={})
    second = Mixture([Named("a"), Named("b")])
    second.restore(first.state())
    assert second.shares() == first.shares()
    assert second.state() == first.state()


def test_children_of_a_parent_are_counted_and_survive() -> None:
    seen: list[int] = []

    class Watching(Named):
        async def propose(self, draw: Draw) -> Proposal | None:
            seen.append(draw.children)
            return await super().propose(draw)

    mixture = Mixture([Watching("a")])
    parent = draw(1).parent.program.id
    born = outcome()
    born = replace(born, proposal=replace(born.proposal, parents=(parent, "other")))
    asyncio.run(mixture.propose(draw(1)))
    for one in (born, replace(born, evaluation=None), born):
        mixture.learn("a", one)
    asyncio.run(mixture.propose(draw(2)))
    again = Mixture([Watching("a")])
    again.restore(mixture.state())
    asyncio.run(again.propose(draw(3)))
    # What was not evaluated is no child; the second parent's count is its own.
    assert seen == [0, 2, 2]


def test_names_must_differ() -> None:
    with pytest.raises(ValueError, match="different names"):
        Mixture([Named("a"), Named("a")])


def test_reward_prefers_champions_then_material() -> None:
    assert reward(outcome(gain=1e-9)) == 1.0
    assert reward(outcome(placed=True)) == 0.3
    assert reward(outcome()) == 0.0


class Distant(Named):
    """A proposer that works in the background: an offer is there once `ready` was awaited."""

    def __init__(self, name: str, *, comes: bool = True, cost: float = 0.0) -> None:
        super().__init__(name, offers=False)
        self.comes = comes
        self.cost = cost
        self.factor = 1.0
        self.trial = self.due = False

    def weight(self, draw: Draw) -> float:
        return self.factor

    def on_trial(self) -> bool:
        return self.trial

    def awaited(self) -> bool:
        return self.due

    async def ready(self) -> bool:
        await asyncio.sleep(0)
        self.offers, self.due = self.comes, False
        return self.comes

    def spent(self) -> Cost:
        return Cost(cpu_seconds=self.cost)


def test_nobody_waits_while_somebody_has_an_offer() -> None:
    far = Distant("far")
    offers = [asyncio.run(Mixture([Named("near"), far]).propose(draw(n))) for n in range(20)]
    assert {offer.proposer for offer in offers if offer} == {"near"}
    assert not far.offers


def test_the_background_is_awaited_where_nobody_else_has_an_offer() -> None:
    mixture = Mixture([Named("near", offers=False), Distant("never", comes=False), Distant("far")])
    offer = asyncio.run(mixture.propose(draw(0)))
    assert offer is not None
    assert offer.proposer == "far"
    assert asyncio.run(Mixture([Distant("never", comes=False)]).propose(draw(0))) is None


def test_what_the_background_spends_counts_and_its_weight_does() -> None:
    evaluation = Evaluation(cost=Cost(cpu_seconds=1.0), stages_run=1)
    won = replace(outcome(gain=0.1), evaluation=evaluation)

    def chosen(cost: float, factor: float = 1.0) -> int:
        far = Distant("far", cost=cost)
        far.offers, far.factor = True, factor
        mixture = Mixture([Named("near"), far])
        for _ in range(40):
            mixture.learn("near", won)
            mixture.learn("far", won)
        offers = [asyncio.run(mixture.propose(draw(n))) for n in range(200)]
        return sum(offer is not None and offer.proposer == "far" for offer in offers)

    assert chosen(0.0) > 60
    assert chosen(4.0) < 30
    assert chosen(4.0, factor=50.0) > 150


def chosen_far(mixture: Mixture, draws: int) -> int:
    offers = [asyncio.run(mixture.propose(draw(n))) for n in range(draws)]
    return sum(offer is not None and offer.proposer == "far" for offer in offers)


def test_who_is_on_trial_comes_first_up_to_a_share_of_the_cost() -> None:
    evaluation = Evaluation(cost=Cost(cpu_seconds=1.0), stages_run=1)
    far = Distant("far")
    far.offers = far.trial = True
    mixture = Mixture([Named("near"), far])
    near = replace(outcome(gain=0.1), evaluation=evaluation)
    mixture.learn("near", near)
    assert chosen_far(mixture, 50) > 40  # all but the floor of the other
    far.cost = 10.0
    mixture.learn("near", near)
    mixture.learn("near", near)
    assert chosen_far(mixture, 50) < 20


def test_a_bill_that_would_exceed_the_share_is_not_run_up() -> None:
    evaluation = Evaluation(cost=Cost(cpu_seconds=1.0), stages_run=1)
    far = Distant("far")
    far.offers = far.trial = True
    far.factor = 0.0  # chosen by the trial and the floor alone
    mixture = Mixture([Named("near"), far])
    near = replace(outcome(), evaluation=evaluation)
    mixture.learn("near", near)
    far.cost = 5.0
    mixture.learn("near", near)
    far.cost = 0.0
    for _ in range(18):  # 5 of 25 so far; one more would make it 10 of 30
        mixture.learn("near", near)
    assert chosen_far(mixture, 100) == 0
    for _ in range(15):
        mixture.learn("near", near)
    assert chosen_far(mixture, 100) > 80


def test_the_floor_of_the_background_is_one_of_cost() -> None:
    evaluation = Evaluation(cost=Cost(cpu_seconds=1.0), stages_run=1)
    far = Distant("far")
    far.offers, far.factor = True, 0.0  # chosen by the floor alone
    mixture = Mixture([Named("near"), far])
    near = replace(outcome(), evaluation=evaluation)
    mixture.learn("near", near)
    assert chosen_far(mixture, 400) > 10
    far.cost = 1.0
    mixture.learn("near", near)
    assert chosen_far(mixture, 400) == 0
    far.cost = 0.0
    for _ in range(20):
        mixture.learn("near", near)
    assert chosen_far(mixture, 400) > 10
    again = Mixture([Named("near"), far])
    again.restore(mixture.state())
    assert again.state() == mixture.state()


@pytest.mark.parametrize("limited", [True, False])
def test_the_last_evaluations_wait_for_a_first_offer_that_is_due(limited: bool) -> None:
    far = Distant("far")
    budget = Budget(evaluations=10) if limited else Budget(minutes=10)
    mixture = Mixture([Named("near"), far], exchange=Exchange(budget))
    far.due = True
    for number in range(7):
        assert asyncio.run(mixture.propose(draw(number))) is not None
    assert far.due  # seven are under way, nobody waited
    asyncio.run(mixture.propose(draw(7)))
    assert far.due is not limited


class Guest(Named):
    """Goes on with what others found."""

    def __init__(self) -> None:
        super().__init__("guest")
        self.invited: list[Elite] = []

    def invite(self, elite: Elite) -> None:
        self.invited.append(elite)


def test_programs_of_the_background_that_were_placed_are_offered_to_followers() -> None:
    guest = Guest()
    mixture = Mixture([Named("near"), Distant("far"), guest])
    program = Program("c", {"a.py": "x"})
    placed = replace(outcome(placed=True), program=program)
    mixture.learn("near", placed)
    mixture.learn("far", replace(outcome(), program=program))
    assert guest.invited == []
    mixture.learn("far", placed)
    assert [elite.program for elite in guest.invited] == [program]
