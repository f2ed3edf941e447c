from pathlib import Path

import breeder
from breeder.proposers.llm.facts import TaskFacts, called_functions
from breeder.task import load_native

SUITES = Path(breeder.__file__).parent / "suites"


def test_facts_of_a_task_that_ships() -> None:
    task = load_native(SUITES / "systems" / "online_bin_packing")
    evaluator = (task.folder / "evaluate.py").read_text(encoding="utf-8")
    facts = TaskFacts.of(task, evaluator=evaluator)
    assert facts.entry_functions == ("pack",)
    assert facts.language == "python"
    assert facts.language_of("bin_packing_loop.py") == "python"
    assert facts.language_of("unknown") == ""
    assert any("numpy" in rule for rule in facts.rules)
    assert any("512 MiB" in rule for rule in facts.rules)
    assert facts.goal.startswith("Write a priority function")


def test_native_functions_are_known_from_the_task() -> None:
    facts = TaskFacts.of(load_native(SUITES / "kernels" / "rmsnorm"))
    assert facts.entry_functions == ("rmsnorm",)
    assert facts.language == "cpp"


def test_calls_are_found_in_an_evaluator() -> None:
    source = 'x = candidate.call("f", 1)\ny = candidate.prepare(\n  "g", [])\nc.call("f", 2)'
    assert called_functions(source) == ("f", "g")
