import io
import json

import pytest
from rich.console import Console
from tests.report.made_up_run import START, program_of

from breeder.errors import RunError
from breeder.report.comparison import compare_files, describe_changes
from breeder.report.diff import compare_programs, diff_json, render_diff


def printed(store, **options):
    console = Console(file=io.StringIO(), width=80, highlight=False)
    render_diff(store, console, **options)
    return console.file.getvalue()


def test_start_against_champion(opened):
    store = opened()
    text = printed(store)
    head = text.splitlines()
    assert head[0] == f"{store.start().program_id} -> {store.champion().program_id}"
    assert "excess 0.0512 ->" in text
    assert "lines in packing.py" in text
    assert "-     weight = 0.5" in text
    assert "EVOLVE-BLOCK" not in text


def test_json_holds_the_same(opened):
    store = opened()
    data = json.loads(json.dumps(diff_json(store)))
    assert data["before"] == store.start().program_id
    assert data["fitness_after"] == store.champion().fitness
    (file,) = data["files"]
    assert file["path"] == "packing.py"
    assert file["added"] == sum(kind == "+" for h in file["hunks"] for kind, _ in h["lines"])


def test_only_constants_become_a_table():
    before, after = program_of(START), program_of(START.replace("0.125", "0.25"))
    (file,) = compare_files(before, after)
    (constant,) = file.constants or ()
    assert (constant.before, constant.after) == ("0.125", "0.25")
    assert START.splitlines()[constant.line - 1].strip() == "if rest < 0.125:"
    assert describe_changes([file]) == "1 constant in packing.py"


def test_constants_table_in_the_terminal(opened):
    store = opened()
    tuned = next(
        row.program_id
        for row in store.evaluations()
        if store.program(row.program_id).proposer == "tuning"
    )
    parent = store.program(tuned).parents[0]
    text = printed(store, a=parent, b=tuned)
    assert "1 constant in packing.py" in text
    assert "before" in text
    assert "@@" not in text


def test_hunks_name_the_function_and_true_line_numbers():
    after = START.replace(
        "            scores.append(-rest)", "            scores.append(-abs(rest))"
    )
    (file,) = compare_files(program_of(START), program_of(after))
    (hunk,) = file.hunks
    assert hunk.scope == "def priority(item, bins):"
    assert hunk.lines[0].text == START.splitlines()[hunk.before - 1]
    assert (file.added, file.removed) == (1, 1)


def test_context_stays_inside_the_region():
    after = START.replace("def priority(item, bins):", "def priority(item, bins, depth=0):")
    (file,) = compare_files(program_of(START), program_of(after))
    texts = [line.text for hunk in file.hunks for line in hunk.lines]
    assert texts[0] == "def priority(item, bins):"
    assert not any("EVOLVE" in text or "import math" in text for text in texts)


def test_unmarked_files_are_compared_as_a_whole():
    (file,) = compare_files(program_of("a\nb\n"), program_of("a\nc\n"))
    assert [line.kind for line in file.hunks[0].lines] == [" ", "-", "+"]


def test_beginnings_of_ids_are_enough(opened):
    store = opened()
    champion = store.champion().program_id
    assert compare_programs(store, b=champion[:10]).after == champion


def test_unknown_and_ambiguous_ids(opened):
    with pytest.raises(RunError, match="no program 'zz'"):
        compare_programs(opened(), b="zz")
    with pytest.raises(RunError, match="begin with '3'"):
        compare_programs(opened(), b="3")


def test_nothing_to_compare(opened):
    with pytest.raises(RunError, match="no evaluation succeeded"):
        compare_programs(opened(succeeding=False, evaluations=20))
    with pytest.raises(RunError, match="start has not been evaluated"):
        compare_programs(opened(evaluations=0))


def test_start_as_champion_is_the_same_program(opened):
    assert "the same program" in printed(opened(improving=False, evaluations=60))


def test_badges_and_control_characters(opened):
    assert "sandbox: none" in printed(opened(sandbox="none", evaluations=30)).splitlines()[0]
    assert "\x1b" not in printed(opened())
