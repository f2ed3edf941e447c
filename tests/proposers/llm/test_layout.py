from breeder.proposers.llm.layout import Section, fit
from breeder.proposers.llm.tokens import estimate


def test_everything_stays_where_there_is_room() -> None:
    assert fit([Section("a"), Section("b", worth=1.0)], 100) == ("a", "b")


def test_the_least_useful_is_shortened_then_dropped_and_places_stay() -> None:
    sections = [
        Section("A" * 70, worth=2.0),
        Section("B" * 70, worth=1.0, shorter=("B" * 35,)),
        Section("C" * 70),
    ]
    sizes = [sum(map(estimate, fit(sections, tokens))) for tokens in (60, 50, 40, 20, 0)]
    assert sizes == [60, 50, 40, 20, 20]
    assert fit(sections, 50) == ("A" * 70, "B" * 35, "C" * 70)
    assert fit(sections, 45) == ("A" * 70, "", "C" * 70)
    assert fit(sections, 0) == ("", "", "C" * 70)


def test_of_equally_useful_ones_the_last_goes_first() -> None:
    sections = [Section("A" * 70, worth=1.0), Section("B" * 70, worth=1.0)]
    assert fit(sections, 20) == ("A" * 70, "")
