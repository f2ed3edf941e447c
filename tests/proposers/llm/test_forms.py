import random
from collections import Counter

import msgspec
import pytest

from breeder.proposers.llm.forms import Forms
from breeder.proposers.llm.samples import Sample, SampleBuffer

EQUAL = {"diff": 1.0, "function": 1.0}


def drawn(forms: Forms, times: int = 300) -> Counter[str]:
    rng = random.Random(3)
    return Counter(forms.draw(rng) for _ in range(times))


def test_a_form_whose_answers_do_not_apply_is_asked_for_seldom() -> None:
    forms = Forms(EQUAL)
    for _ in range(60):
        forms.answered("diff", applied=False)
        forms.answered("function", applied=True)
    assert drawn(forms)["function"] > 280
    assert [(s.name, s.answers, s.applied) for s in forms.shares()] == [
        ("diff", 60, 0),
        ("function", 60, 60),
    ]


def test_a_form_whose_programs_pay_is_asked_for_more() -> None:
    forms = Forms(EQUAL)
    for _ in range(60):
        for form, reward in (("diff", 0.5), ("function", 0.02)):
            forms.answered(form, applied=True)
            forms.rewarded(form, reward)
    assert drawn(forms)["diff"] > 280


def test_only_what_the_parent_allows_is_drawn() -> None:
    forms, rng = Forms(EQUAL), random.Random(0)
    assert {forms.draw(rng, ("function", "file")) for _ in range(20)} == {"function"}
    assert {forms.draw(rng, ("file",)) for _ in range(40)} == set(EQUAL)


def runs(forms: Forms, prompts: int, *, applied: bool) -> list[int]:
    """Lengths of the runs of one form, answered four times a prompt."""
    rng, lengths, last = random.Random(1), [0], ""
    for _ in range(prompts):
        form = forms.draw(rng)
        lengths[-1] += form == last or not last
        if last and form != last:
            lengths.append(1)
        last = form
        for _ in range(4):
            forms.answered(form, applied=applied)
            forms.rewarded(form, 0.1)
    return lengths


def test_a_form_is_kept_for_batches_that_grow() -> None:
    four = dict.fromkeys("abcd", 1.0)
    once, kept = (runs(Forms(four, batch=n), 200, applied=True) for n in (1, 8))
    assert sum(once) == sum(kept) == 200
    assert len(kept) < len(once) / 3
    assert max(kept[:3]) < 4, "while little is known, forms alternate"


@pytest.mark.parametrize("applied", [True, False])
def test_a_batch_of_answers_that_cannot_be_used_ends(applied: bool) -> None:
    again = 0
    for seed in range(30):
        forms, rng = Forms(dict.fromkeys("abcd", 1.0), batch=8), random.Random(seed)
        for _ in range(200):
            forms.answered("a", applied=True)
        first = forms.draw(rng)
        for _ in range(8):
            forms.answered(first, applied=applied)
        again += forms.draw(rng) == first
    assert (again == 30) == applied


def test_a_form_that_the_next_parent_does_not_allow_is_not_kept() -> None:
    forms, rng = Forms(EQUAL, batch=8), random.Random(2)
    for _ in range(200):
        forms.answered("diff", applied=True)
    assert forms.draw(rng, ("diff",)) == "diff"
    assert forms.draw(rng, ("function",)) == "function"


def test_what_was_learned_survives_and_strange_forms_are_skipped() -> None:
    forms, again = Forms(EQUAL), Forms(EQUAL)
    forms.answered("diff", applied=True)
    forms.rewarded("diff", 0.3)
    forms.answered("riddle", applied=True)
    again.restore({**forms.state(), "riddle": [1.0] * 6})
    assert again.state() == forms.state()
    with pytest.raises(ValueError, match="form"):
        Forms({})


def sample(name: str, parent: str) -> Sample:
    return Sample({"a.py": name}, (parent,), 1.0)


def test_samples_go_to_draws_of_their_parent_first_then_in_order() -> None:
    buffer = SampleBuffer()
    assert buffer.take("p") is None
    buffer.add([sample("1", "p"), sample("2", "q"), sample("3", "q")])
    taken = [buffer.take(parent) for parent in ("q", "elsewhere", "p", "p")]
    assert [one and one.files["a.py"] for one in taken] == ["2", "1", "3", None]


def test_samples_are_plain_data() -> None:
    one = Sample({"a.py": "x"}, ("p",), 0.5, "note", "diff", {"idea": ["a", "b"]})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Sample) == one
