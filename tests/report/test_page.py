import re
import time
from html.parser import HTMLParser

import pytest
from tests.report.made_up_run import START, Recipe, program_of, write_run

from breeder.archive.store import EvaluationRecord, Store
from breeder.core import Evaluation, Failure, FailureKind
from breeder.errors import RunError
from breeder.report.page import build_report, write_report

VOID = {"meta", "br"}


class Checked(HTMLParser):
    """Counts open elements and collects what a browser would load."""

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.sections = [], [], []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.loads += [found[key] for key in ("src", "href") if key in found]
        if tag == "section":
            self.sections.append(found["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"unbalanced </{tag}>"


def checked(text):
    """Return the ids of the sections of a page that is well-formed and loads nothing."""
    parser = Checked()
    parser.feed(text)
    assert parser.open == []
    assert parser.loads == []
    assert "http" not in text
    return parser.sections


@pytest.fixture
def page_of(opened):
    def build(**fields):
        report = build_report(opened(**fields))
        return report.html, checked(report.html)

    return build


def test_a_finished_run_has_every_section(made_up, tmp_path):
    path = write_report(made_up(), tmp_path / "out")
    text = path.read_text(encoding="utf-8")
    sections = checked(text)
    assert sections == [
        "result", "score", "change", "lineage", "cells", "failures", "proposers", "cost",
        "program", "run",
    ]  # fmt: skip
    assert "holds up: better than the start on held-out data" in text
    pictures = {picture.stem for picture in path.parent.glob("*.png")}
    assert {"score", "score_over_time", "cells", "failures", "proposer_shares", "cost"} <= pictures
    assert all(p.read_bytes()[:4] == b"\x89PNG" for p in path.parent.glob("*.png"))


def test_default_place_is_inside_the_run(made_up):
    run = made_up(evaluations=5, seed=9)
    assert write_report(run) == run / "report" / "index.html"


def test_lineage_has_one_entry_per_step(page_of, opened):
    text, _ = page_of()
    store = opened()
    chain = store.lineage(store.champion().program_id)
    part = text[text.index('id="lineage"') : text.index('id="cells"')]
    assert part.count("<li value=") == len(chain) - 1
    assert all(program.id[:12] in part for program in chain[1:])


def test_every_successful_evaluation_is_drawn(page_of, opened):
    text, _ = page_of()
    chart = text[text.index("excess over evaluations") : text.index("excess over time")]
    dots = sum(mark.count("h0") for mark in re.findall(r'class="points [^>]*', chart))
    rows = [row for row in opened().evaluations() if row.draw >= 0]
    assert dots == sum(row.fitness is not None for row in rows)
    rug = re.search(r'class="rug [^>]*', chart)
    assert rug is not None
    assert rug.group().count("v-5") == sum(row.fitness is None for row in rows)


def test_two_objectives_get_a_front(page_of):
    text, sections = page_of(two_objectives=True)
    assert "front" in sections
    assert "excess against speed" in text


def test_one_feature_gives_a_row_per_island(page_of):
    text, _ = page_of(two_features=False)
    assert "best program of each cell, by island" in text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"evaluations": 0, "status": "running", "baselines": False}, "nothing has been evaluated"),
        ({"succeeding": False, "evaluations": 20}, "nothing succeeded: all 20 evaluations failed"),
        ({"improving": False, "evaluations": 60}, "no improvement found: the start is still"),
        ({"status": "running", "evaluations": 40}, "Not finished: still at work, or killed"),
        ({"strong_baseline": True}, "a baseline reaches this too: tuned start"),
        ({"evaluations": 1, "baselines": False}, "no improvement found"),
    ],
)
def test_honest_words(page_of, fields, words):
    text, _ = page_of(**fields)
    head = text[: text.index("class=tiles")]
    assert words in head


def test_badges_stand_above_the_result(page_of):
    text, _ = page_of(sandbox="none", trusted=False, evaluations=30)
    alerts = re.findall(r"<div class=alert>([^<]*)</div>", text)
    assert [alert.split(" —")[0] for alert in alerts] == ["sandbox: none", "self-reported"]
    clean, _ = page_of(evaluations=30)
    assert "class=alert" not in clean


def test_text_of_candidates_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    run = write_run(tmp_path / "evil", Recipe(evaluations=3, status="running"))
    with Store.open(run) as store:
        start = store.start().program_id
        program = program_of(
            START.replace("weight = 0.5", f"weight = '{evil}'"),
            parents=(start,), proposer=evil, note=evil,
        )  # fmt: skip
        metrics = {"excess": 0.0, "depth": 1.0, evil: 1.0}
        row = EvaluationRecord(program.id, Evaluation(metrics), draw=9, island=0, fitness=0.0)
        store.record(program, row)
        failed = Evaluation(failure=Failure(FailureKind.EXCEPTION, evil))
        store.record(program, EvaluationRecord(program.id, failed, split="held_out"))
        text = build_report(store).html
    assert evil not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "the champion fails on held-out data" in text


def test_unwritable_folder_and_missing_run(made_up, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        write_report(made_up(), tmp_path / "file")
    with pytest.raises(RunError, match="holds no run"):
        write_report(tmp_path)


@pytest.mark.slow
def test_ten_thousand_evaluations(made_up, tmp_path):
    run = made_up(evaluations=10_000)
    began = time.process_time()
    path = write_report(run, tmp_path)
    assert time.process_time() - began < 10
    assert path.stat().st_size < 3_000_000
