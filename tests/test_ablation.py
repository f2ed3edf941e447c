import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from breeder.ablation import ArmSummary, ablate, interval, lines, plan
from breeder.archive.store import Store
from breeder.config import RunConfig, SearchConfig
from breeder.errors import ConfigError
from breeder.task_formats import load
from breeder.testing import ScriptedModel
from tests.cli.conftest import Breeder, assert_one_line, breeder, task  # noqa: F401

ONCE = ("--seeds", "1", "--cpu-seconds", "0.6", "--slots", "1")


def test_each_part_has_a_switch() -> None:
    arms, notes = plan(RunConfig(), (), models=True)
    assert {arm.name: dict(arm.settings) for arm in arms} == {
        "full": {},
        "without reflection": {"search.reflection": False},
        "without meta-prompts": {"search.meta_prompts": False},
        "without inspirations": {"search.inspirations": 0},
        "without tuning": {"search.proposers": ("syntax", "recombination")},
        "without evolution": {"search.evolve": False},
        "without context": {"search.context": False},
    }
    assert notes == ()


def test_without_models_what_needs_them_is_left_out_in_one_line() -> None:
    arms, notes = plan(RunConfig(), (), models=False)
    assert [arm.name for arm in arms[1:]] == [
        "without inspirations",
        "without tuning",
        "without evolution",
    ]
    assert notes == (
        "left out, because no language model proposes: reflection, meta-prompts, context",
    )


@pytest.mark.parametrize(
    ("search", "without", "words"),
    [
        ({}, ["magic"], "'magic' is not one of"),
        ({}, ["context"], "nothing to compare; left out, because no language model"),
        ({"proposers": ("syntax",)}, ["tuning"], "which the full method does not use"),
        ({"proposers": ("tuning",)}, ["tuning"], "nothing to compare"),
        ({"inspirations": 0}, ["inspirations"], "which the full method does not use"),
        ({"evolve": False}, ["evolution"], "which the full method does not use"),
    ],
)
def test_nothing_to_compare_is_said(search: dict[str, Any], without: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(RunConfig(search=SearchConfig(**search)), without, models=False)


def test_the_interval_is_students() -> None:
    assert interval([1.0]) is None
    # Half-width: t(0.975, 2) = 4.302653 times the standard error 1 / sqrt(3).
    low, high = interval([1.0, 2.0, 3.0]) or (0.0, 0.0)
    assert (low, high) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-5)


def test_the_command_runs_every_arm_and_takes_up_what_is_done(
    breeder: Breeder,  # noqa: F811
    task: Path,  # noqa: F811
) -> None:
    options = ("ablate", task, *ONCE, "--out", "abl", "--without", "evolution")
    first = breeder(*options, "--json")
    assert first.code == 0, first
    table = json.loads(first.out)
    assert [arm["name"] for arm in table["arms"]] == ["full", "without evolution"]
    full, fixed = table["arms"]
    assert fixed["loss"] == pytest.approx(fixed["mean"] - full["mean"])  # lower is better
    assert full["interval"] is None
    assert table["split"] == "held_out"
    with closing(Store.open(Path("abl/without-evolution/seed-0"), readonly=True)) as store:
        programs = [store.program(row.program_id) for row in store.evaluations()]
    assert len(programs) > 2
    assert {program.generation for program in programs} == {0, 1}
    # A second call finds all runs finished and tells the same.
    marks = {path: path.stat().st_mtime_ns for path in Path("abl").rglob("run.db")}
    assert len(marks) == 2
    again = breeder(*options)
    assert again.code == 0
    assert "one seed gives no interval" in again.out
    assert {path: path.stat().st_mtime_ns for path in Path("abl").rglob("run.db")} == marks
    # Other settings are not mixed with these.
    other = breeder(*options, "--cpu-seconds", "0.5")
    assert other.code == 2
    assert "is a run of other settings" in other.err


def test_parts_of_models_are_switched_off_in_what_models_are_asked(
    task: Path,  # noqa: F811
) -> None:
    model = ScriptedModel(["no code at all"])
    told: list[tuple[str, int]] = []
    table = ablate(
        load(str(task)),
        {"models": [model], "budget": {"cpu_seconds": 0.4}, "slots": 1},
        Path("abl"),
        without=["context"],
        seeds=1,
        tell=lambda line: told.append((line, len(model.asked))),
    )
    assert [arm.name for arm in table.arms] == ["full", "without context"]
    assert [line for line, _ in told] == ["seed 0, full", "seed 0, without context"]
    asked = [request.prompt.system + request.prompt.text for request in model.asked]
    full, plain = asked[: told[1][1]], asked[told[1][1] :]
    assert full
    assert plain
    goal = "One machine works off jobs"
    assert goal in full[0]
    assert not any(goal in text for text in plain)


def test_the_table_fits_the_screen() -> None:
    from breeder.ablation import Ablation

    arm = ArmSummary("without meta-prompts", (1.0, 2.0), 1.5, (-4.85, 7.85), 0.1, (-1.1, 1.3), 9, 1)
    table = Ablation("t", "score", "maximize", "search", 60.0, 2, (arm,), ())
    assert all(len(line) <= 110 for line in lines(table))


def test_a_wrong_part_is_one_line(breeder: Breeder, task: Path) -> None:  # noqa: F811
    assert_one_line(breeder("ablate", task, "--without", "luck"), "'luck' is not one of")
