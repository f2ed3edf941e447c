from breeder.core import Evaluation
from breeder.proposers.llm.rendering import (
    artifacts_text,
    listing,
    metrics_text,
    support_text,
    task_text,
)
from breeder.proposers.proposer import Grammar
from proposers.llm.made_up import facts


def test_objectives_come_first_with_their_intervals() -> None:
    metrics = {"other": 1 / 3, "speed": 2.0, "waste": 0.125}
    evaluation = Evaluation(metrics, intervals={"speed": (1.9, 2.125)})
    shown = "waste = 0.125, speed = 2 [1.9, 2.125], other = 0.333333"
    assert metrics_text(facts(), evaluation) == shown
    assert metrics_text(facts(), Evaluation()) == "no metrics"
    many = Evaluation({f"m{n}": 1.0 for n in range(99)})
    assert metrics_text(facts(), many).count("=") == 12


def test_what_may_change_is_said_for_marked_and_for_whole_files() -> None:
    assert "Only what stands between the EVOLVE-BLOCK-START" in task_text(facts(), context=False)
    grammar = Grammar({"a.py": "python"}, whole=True)
    text = task_text(facts(files={"a.py": "x = 1\n"}, grammar=grammar), context=True)
    assert "Every line of the program may change." in text
    assert "EVOLVE" not in text


def test_long_support_files_are_cut_and_say_so() -> None:
    text = support_text(facts(readonly={"data.c": "int x;\n" * 2000, "b.py": "y = 1"}))
    assert len(text) < 7000
    assert "data.c:\n```c\nint x;" in text
    assert "[8000 characters left out]" in text
    assert "b.py:\n```python\ny = 1\n```" in text
    assert support_text(facts()) == ""


def test_artifacts_share_the_room() -> None:
    text = artifacts_text({"a": "x" * 9000, "b": "y" * 9000, "empty": " \n"}, 1000)
    assert 900 < len(text) < 1200
    assert abs(text.count("x") - text.count("y")) < 10
    assert artifacts_text({"empty": ""}, 1000) == ""
    assert artifacts_text({"a": "x"}, 0) == ""


def test_lists_without_entries_have_no_title() -> None:
    assert listing("Title", ()) == ""
    assert listing("Title", ("one", "two")) == "## Title\n\n- one\n- two\n\n"
