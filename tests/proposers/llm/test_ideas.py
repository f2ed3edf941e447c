import random
from collections import Counter

import pytest

from breeder.proposers.llm.excerpts import FunctionView, functions
from breeder.proposers.llm.ideas import IdeaLibrary, kinds_of, library
from proposers.llm.made_up import GRAMMAR, START

RATE, SPARE = functions({"place.py": START}, GRAMMAR)


def view(*values: str) -> FunctionView:
    return FunctionView("f", "a.py", "python", "def f():", "", "", values, 3)


@pytest.mark.parametrize(
    ("subject", "language", "kinds"),
    [
        ("a priority for scheduling", "python", ["score", "general"]),
        ("a search program that restarts", "python", ["search", "general"]),
        ("make the rolling mean fast", "python", ["array", "general"]),
        ("choose a tiling", "python", ["parameters", "general"]),
        ("a frank answer", "python", ["general"]),
        ("a score in a kernel", "cpp", ["kernel"]),
    ],
)
def test_the_kind_of_program_is_known_by_language_and_words(
    subject: str, language: str, kinds: list[str]
) -> None:
    assert [kind.name for kind in kinds_of(subject, language)] == kinds


def test_every_idea_that_ships_is_one_line_and_stands_once() -> None:
    lines = [text for kind in library() for text in kind.ideas]
    assert len(set(lines)) == len(lines)
    assert all("\n" not in text and 8 < len(text) < 100 for text in lines)
    assert all(len(kind.ideas) >= 7 for kind in library())


def test_ideas_change_with_every_call_and_name_values_in_scope() -> None:
    ideas = IdeaLibrary("a score")
    rng = random.Random(2)
    drawn = [ideas.draw(RATE, rng) for _ in range(60)]
    for begin in range(50):
        assert len({idea.text for idea in drawn[begin : begin + 10]}) == 10
    derived = [idea for idea in drawn if idea.keys[0] == "derived"]
    assert len(derived) > 15
    for idea in derived:
        assert idea.keys[2:]
        assert set(idea.keys[2:]) <= set(RATE.values)
        assert len(set(idea.keys[2:])) == len(idea.keys[2:])
        assert all(f"`{value}`" in idea.text for value in idea.keys[2:])
        assert "{" not in idea.text


def test_values_are_not_put_together_where_only_one_result_is_right() -> None:
    rng = random.Random(1)
    for subject, language in (("norm", "cpp"), ("make it fast", "python")):
        ideas = IdeaLibrary(subject, language)
        assert all(ideas.draw(RATE, rng).keys[0] != "derived" for _ in range(50))
    assert IdeaLibrary("a score").draw(None, rng).keys[0] != "derived"
    alone = IdeaLibrary("a score")
    drawn = [alone.draw(view("x"), rng) for _ in range(50)]
    assert any(idea.keys[0] == "derived" for idea in drawn)
    assert all(len(idea.keys) <= 3 for idea in drawn)


def test_ideas_that_paid_are_drawn_more_often() -> None:
    def share(ideas: IdeaLibrary) -> float:
        rng = random.Random(3)
        drawn = [ideas.draw(view("a", "b", "c", "d"), rng) for _ in range(200)]
        return sum("d" in idea.keys[2:] for idea in drawn) / len(drawn)

    ideas = IdeaLibrary("a score")
    before = share(ideas)
    rng = random.Random(4)
    for _ in range(150):
        keys = ideas.draw(view("a", "b", "c", "d"), rng).keys
        ideas.learn(list(keys), 1.0 if "d" in keys[2:] else 0.0)
    assert share(ideas) > 1.5 * before
    assert "{a}" in ideas.ranking()[0][0]


def test_a_state_goes_on_and_strange_keys_teach_nothing() -> None:
    ideas, again = IdeaLibrary("a score"), IdeaLibrary("a score")
    rng = random.Random(1)
    for _ in range(20):
        ideas.learn(ideas.draw(RATE, rng).keys, rng.random())
    ideas.learn((), 1.0)
    ideas.learn(("score",), 1.0)
    again.restore(ideas.state())
    again.restore(b"")
    one, other = random.Random(7), random.Random(7)
    assert [ideas.draw(SPARE, one) for _ in range(20)] == [
        again.draw(SPARE, other) for _ in range(20)
    ]


def test_what_is_drawn_last_is_credited_by_source_and_text() -> None:
    ideas = IdeaLibrary("norm", "c")
    counts = Counter(len(ideas.draw(RATE, random.Random(n)).keys) for n in range(20))
    assert counts == {2: 20}
