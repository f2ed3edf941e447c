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
