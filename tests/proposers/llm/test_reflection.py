import pytest

from breeder.proposers.llm.reflection import Reflection
from proposers.llm.made_up import outcome

ANSWER = """Worked:
- multiply the two terms
- weights below one
Failed:
- loops over all pairs: too slow
Try next:
- a ratio
"""


def full(batch: int = 3) -> Reflection:
    reflection = Reflection(batch=batch)
    for number in range(batch):
        reflection.learn(outcome(f"change {number}", 1.5))
    return reflection


def test_a_critique_is_due_when_a_batch_is_full() -> None:
    reflection = full()
    reflection.learn(outcome("broke it", None, detail="division by zero"))
    reflection.learn(outcome("new best", 3.0, gain=1.0))
    assert reflection.due()
    text = reflection.critique("the goal").text
    assert "the goal" in text
    assert "change 2 -> fitness -0.5 against its parent" in text
    assert "broke it -> failed, exception: division by zero" in text
    assert "new best -> fitness +1 against its parent, a new best" in text
    assert "None yet." in text
    assert not reflection.due()


def test_reflection_can_be_off_and_empty_notes_teach_nothing() -> None:
    off = full(0)
    off.learn(outcome("x", 1.0))
    assert not off.due()
    reflection = Reflection(batch=1)
    reflection.learn(outcome("  ", 1.0))
    assert not reflection.due()


def test_notes_are_taken_and_shown_to_the_next_critique() -> None:
    reflection = full()
    assert reflection.text == ""
    assert reflection.absorb(ANSWER)
    assert reflection.text == (
        "What worked:\n- multiply the two terms\n- weights below one\n"
        "What failed:\n- loops over all pairs: too slow\nWhat to try next:\n- a ratio\n"
    )
    assert "- loops over all pairs: too slow" in reflection.critique("goal").text


@pytest.mark.parametrize(
    "answer",
    [
        "## What worked\n* multiply\n## What failed\n1. loops\n### Next steps:\n2) ratio",
        "**Worked:** multiply\n**Failed:** loops\n**Try next:** ratio",
        "Sure!\n\nworked:\n - multiply\n\nDid not work:\n - loops\n\nTo try next:\n- ratio\n\nBye.",
        "- **Worked**:\n  - multiply\n- **Failed**:\n  - loops\n- **Try next**:\n  - ratio",
    ],
)
def test_answers_of_several_shapes_are_read(answer: str) -> None:
    reflection = Reflection()
    assert reflection.absorb(answer)
    assert reflection.text == (
        "What worked:\n- multiply\nWhat failed:\n- loops\nWhat to try next:\n- ratio\n"
    )


@pytest.mark.parametrize("answer", ["", "I cannot help.", "- a line", "Worked:\n", "x" * 10**6])
def test_a_useless_answer_changes_nothing(answer: str) -> None:
    reflection = Reflection()
    reflection.absorb(ANSWER)
    before = reflection.text
    assert not reflection.absorb(answer)
    assert reflection.text == before


def test_notes_are_bounded_and_cannot_open_a_fence() -> None:
    reflection = Reflection()
    entries = "".join(f"- ```{n} {'word ' * 90}\n" for n in range(9))
    reflection.absorb(f"Worked:\n{entries}Failed:\n{entries}Try next:\n{entries}")
    assert reflection.text.count("\n- ") == 12
    assert len(reflection.text) < 12 * 260
    assert "```" not in reflection.text


def test_a_state_goes_on() -> None:
    reflection, again = full(), Reflection(batch=3)
    reflection.absorb(ANSWER)
    again.restore(reflection.state())
    again.restore(b"")
    assert again.text == reflection.text
    assert again.due()
    assert again.critique("goal") == reflection.critique("goal")
