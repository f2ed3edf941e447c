"""The page of a certificate."""

import msgspec
import pytest
from tests.report.test_page import checked
from tests.verification.made_up import START, certificate, record, trials

from breeder.report.certificate_page import page
from breeder.verification.certificate import Trial

SECTIONS = ["improvement", "trials", "selection", "change", "program", "machine", "repeat"]


def test_verdict_figures_and_how_to_repeat_are_there():
    made = certificate()
    text = page(made)
    assert checked(text) == SECTIONS
    assert text.index("Holds: better than the start in error") < text.index("<svg")
    for shown in (made.sha256, made.program.sha256, "breeder verify certificate.json", "Student"):
        assert shown in text
    assert text.count("<circle") == 4  # three seeds and all together
    assert "class=alert" not in text


def test_what_does_not_hold_is_not_offered_for_adoption():
    text = page(certificate(outcome=trials((8.0, 8.0), (8.0, 8.0))))
    assert "Does not hold: " in text
    assert "breeder adopt" not in text


def test_a_failure_has_no_drawing():
    failed = (Trial(side="champion", seed=3, metrics={}, failure="crash: signal 11"),)
    text = page(certificate(outcome=failed))
    assert checked(text) == SECTIONS[1:]
    assert "crash: signal 11" in text
    assert "<svg" not in text


@pytest.mark.parametrize("values", [((8.0,), (1.0,)), ((8.0, 8.0), (1.0, 1.0))])
def test_points_without_an_interval_are_drawn(values):
    text = page(certificate(outcome=trials(*values)))
    assert text.count("<circle") == len(values[0]) + 1


def test_constructions_are_shown_to_the_last_digit():
    outcome = tuple(
        Trial(side=side, seed=None, metrics={"error": value})
        for side, value in (("start", 2.0), ("champion", 0.1))
    )
    assert "0.10000000000000001" in page(certificate(outcome=outcome, method="construction"))


def test_caveats_are_alerts_and_a_repeat_shows_both():
    chosen = msgspec.structs.replace(certificate().selection, sandbox="none")
    text = page(certificate(selection=chosen), certificate(), "certificate-repeated.json")
    assert checked(text) == ["original", *SECTIONS]
    assert text.count("class=alert") == 1
    assert "Holds here: " in text
    assert "breeder verify certificate-repeated.json" in text


def test_text_of_programs_is_escaped():
    text = page(certificate(program=record(START + "# <script>alert(1)</script>\n")))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
