from breeder.core import Elite
from breeder.proposers.llm.showcase import Showcase
from proposers.llm.made_up import elite


def distinct(name: str, fitness: float) -> Elite:
    """An elite that differs from every other one in many lines."""
    text = "".join(f"{name} = {n}\n" for n in range(9))
    return elite(name, fitness, text=f"# EVOLVE-BLOCK-START\n{text}# EVOLVE-BLOCK-END\n")


def names(showcase: Showcase) -> list[str]:
    return [e.program.id for e in showcase.next()]


def test_the_set_stays_as_it_is_between_renewals() -> None:
    showcase = Showcase(3, every=4)
    showcase.offer([distinct(n, f) for n, f in (("a", 1.0), ("b", 2.0), ("c", 9.0))])
    first = names(showcase)
    assert first == ["a", "b", "c"]
    showcase.offer([distinct("d", 3.0), distinct("e", 4.0)])
    assert names(showcase) == names(showcase) == names(showcase) == first
    assert names(showcase) == ["d", "e", "c"]


def test_a_new_champion_takes_the_last_place_at_once() -> None:
    showcase = Showcase(3, every=100)
    showcase.offer([distinct(n, f) for n, f in (("a", 1.0), ("b", 2.0), ("c", 3.0))])
    names(showcase)
    showcase.offer([distinct("d", 4.0)])
    assert names(showcase) == ["a", "b", "d"]
    showcase.offer([distinct("a", 5.0)])  # measured again
    assert names(showcase) == ["b", "d", "a"]


def test_those_that_stay_keep_their_places_at_a_renewal() -> None:
    showcase = Showcase(3, every=2)
    showcase.offer([distinct(n, f) for n, f in (("a", 1.0), ("b", 2.0), ("c", 3.0))])
    names(showcase)
    showcase.offer([distinct("d", 2.5)])
    names(showcase)
    assert names(showcase) == ["b", "d", "c"]


def test_near_copies_are_shown_only_where_others_do_not_suffice() -> None:
    showcase = Showcase(2)
    showcase.offer([elite("copy", 8.0), elite("best", 9.0), distinct("other", 1.0)])
    assert names(showcase) == ["other", "best"]
    alone = Showcase(2)
    alone.offer([elite("copy", 8.0), elite("best", 9.0)])
    assert names(alone) == ["copy", "best"]


def test_what_ranks_above_the_best_was_taken_back() -> None:
    showcase = Showcase(2, every=1)
    showcase.offer([distinct("a", 9.0), distinct("b", 1.0)])
    showcase.offer([distinct("c", 2.0)], best=2.0)
    assert names(showcase) == ["b", "c"]


def test_nothing_is_shown_before_anything_is_known_or_wanted() -> None:
    assert Showcase(3).next() == ()
    none = Showcase(0)
    none.offer([elite("a")])
    assert none.next() == ()


def test_memory_is_bounded_and_constructions_are_not_kept() -> None:
    showcase = Showcase(3)
    for number in range(200):
        showcase.offer([distinct(f"p{number}", float(number))])
    assert all(e.evaluation.construction is None for e in showcase.next())
    assert len(showcase.state()) < 20_000


def test_who_has_no_room_stays_away_for_a_while_and_through_a_stop() -> None:
    showcase = Showcase(3, every=100)
    a, b, c = (distinct(n, f) for n, f in (("a", 1.0), ("b", 2.0), ("c", 3.0)))
    showcase.offer([a, b, c])
    assert names(showcase) == ["a", "b", "c"]
    showcase.left_out([a, c])
    again = Showcase(3, every=100)
    again.restore(showcase.state())
    seen = [names(again) for _ in range(10)]
    assert seen == [["b"]] * 8 + [["a", "b", "c"]] * 2
