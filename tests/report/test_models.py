"""Words on language models: why one was not asked, as long as none was."""

import msgspec

from breeder.proposers.llm.record import ModelRecord, TeamRecord
from breeder.report.models import in_words, live_words

UNASKED = ModelRecord(
    name="local",
    role="fast",
    requests=0,
    answers=0,
    losses={},
    prompt_tokens=0,
    cached_tokens=0,
    answer_tokens=0,
    estimated=False,
    currency=0.0,
    cpu_seconds=0.0,
    wall_seconds=0.0,
    forms={},
    repairs=0,
    mended=0,
    buffered=0,
)
WHY = "local is not asked: a first request may take 8 CPU seconds, too much for the 15 seconds left"


def test_where_no_model_was_asked_the_reason_is_said_and_nothing_else() -> None:
    silent = TeamRecord((UNASKED,), outage=WHY)
    assert in_words(silent) == (WHY,)
    assert live_words(silent) == WHY
    assert in_words(TeamRecord((UNASKED,))) == ()


def test_where_one_was_asked_an_outage_that_may_be_over_is_not_reported() -> None:
    asked = TeamRecord((msgspec.structs.replace(UNASKED, requests=2),), 0.5, outage=WHY)
    assert in_words(asked) == ("50 % of the prompts repeated the beginning of earlier ones",)
