"""Answers of models become programs, or rejections that say what is wrong."""

import pytest

from breeder.proposers.checks import frozen
from breeder.proposers.llm.edits import apply, repair_message
from breeder.proposers.llm.verdicts import Applied, Form, Reason, Rejected
from breeder.proposers.trees import encode, parses
from proposers.llm.recorded_answers import RecordedAnswer, recorded

CORPUS = recorded()


def judged(case: RecordedAnswer, form: str = "") -> Applied | Rejected:
    return apply(
        case.answer,
        parent_files=case.parent_files,
        grammar=case.grammar,
        form=form or case.form,
        truncated=case.truncated,
    )


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_recorded_answer(case: RecordedAnswer) -> None:
    result = judged(case)
    if isinstance(result, Rejected):
        assert (case.outcome, case.kind) == ("rejected", result.reason), result
        message = repair_message(result)
        for text in case.says:
            assert text in message
        return
    child = result.files[case.parent]
    assert (case.outcome, case.kind) == ("applied", result.form), child
    for text in case.has:
        assert text in child
    for text in case.lacks:
        assert text not in child


def test_corpus_covers_every_reason_and_form() -> None:
    seen = {(case.outcome, case.kind) for case in CORPUS}
    missing = {r for r in Reason if ("rejected", r.value) not in seen}
    assert missing == {Reason.TOO_LARGE}
    assert {case.form for case in CORPUS} == {form.value for form in Form}


@pytest.mark.parametrize("form", list(Form))
def test_children_keep_frozen_text_and_parse_whatever_was_asked_for(form: Form) -> None:
    applied = 0
    for case in CORPUS:
        result = judged(case, form)
        if isinstance(result, Applied):
            applied += 1
            before, after = case.parent_files[case.parent], result.files[case.parent]
            assert frozen(before, case.grammar) == frozen(after, case.grammar)
            assert result.parses
            assert parses(encode(after), case.grammar.languages[case.parent])
    assert applied > 60
