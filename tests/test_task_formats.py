import sys
from pathlib import Path

import pytest

from breeder.core import Direction
from breeder.errors import TaskError
from breeder.task_formats import SCORE, load, shipped

DATA = Path(__file__).parent / "data"


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def openevolve(folder: Path, evaluator: str, config: str = "") -> Path:
    write(folder, initial_program__py="x = 1\n", evaluator__py=evaluator)
    return write(folder, config__yaml=config) if config else folder


def test_an_openevolve_folder_is_read_unchanged() -> None:
    task = load(DATA / "openevolve_valley")
    assert (task.kind, task.name, task.trusted) == ("openevolve", "openevolve_valley", False)
    assert list(task.files) == ["initial_program.py"]
    assert [(o.name, o.direction) for o in task.objectives] == [(SCORE, Direction.MAXIMIZE)]
    assert len(task.regions("initial_program.py")) == 1
    assert [stage.function for stage in task.file.stage] == ["evaluate"]
    assert task.file.limits.wall_seconds == 300.0


def test_openevolve_settings_become_the_tasks() -> None:
    task = load(DATA / "openevolve_staged")
    assert task.file.task.goal == "Sort short lists quickly and correctly."
    assert task.file.budget.evaluations == 25
    assert task.file.limits.wall_seconds == 40.0
    bounds = [(s.function, s.at_least) for s in task.file.stage]
    assert bounds == [("evaluate_stage1", 0.5), ("evaluate_stage2", None)]


def test_a_program_without_markers_is_evolvable_as_a_whole() -> None:
    task = load(DATA / "openevolve_staged")
    (region,) = task.regions("initial_program.py")
    assert (region.begin, region.end) == (0, len(task.files["initial_program.py"]))


def test_a_shinka_folder_is_read_unchanged() -> None:
    task = load(DATA / "shinka_spread")
    assert (task.kind, task.trusted) == ("shinka", False)
    assert task.file.task.goal == "Keep the points on the line as far apart as you can."
    assert load(DATA / "shinka_plain").language == "shell"


def test_a_cascade_that_is_switched_off_runs_evaluate(tmp_path: Path) -> None:
    evaluator = "def evaluate(p): return {}\ndef evaluate_stage1(p): return {}\n"
    folder = openevolve(tmp_path, evaluator, "evaluator:\n  cascade_evaluation: false\n")
    assert [stage.function for stage in load(folder).file.stage] == ["evaluate"]


def test_a_stage_without_a_threshold_to_pass_is_never_entered(tmp_path: Path) -> None:
    evaluator = "".join(f"def evaluate_stage{n}(p): return {{}}\n" for n in (1, 2, 3))
    folder = openevolve(tmp_path, evaluator, "evaluator:\n  cascade_thresholds: [0.4]\n")
    bounds = [(stage.function, stage.at_least) for stage in load(folder).file.stage]
    assert bounds == [("evaluate_stage1", 0.4), ("evaluate_stage2", None)]


def test_sub_folders_and_settings_in_phases() -> None:
    task = load(DATA / "openevolve_workers")
    assert list(task.files) == ["initial_program/area.py"]
    assert task.file.evaluator == "evaluation/evaluator.py"
    assert task.file.budget.evaluations == 7
    # Their limit is wall time; processes beside each other may spend more CPU time.
    limits = task.file.limits
    assert (limits.wall_seconds, limits.cpu_seconds) == (20.0, 80.0)


def test_the_settings_of_a_shinka_run_become_the_tasks() -> None:
    task = load(DATA / "shinka_settings")
    assert task.file.task.goal == "Draw large numbers."
    assert task.file.limits.wall_seconds == 90.0
    assert task.file.budget.evaluations == 12


@pytest.mark.parametrize(
    "settings", ["time=None", "time='soon'", "time='00:00:00'", "num_generations=0", "other=3"]
)
def test_settings_of_a_shinka_run_that_say_nothing_are_defaults(
    tmp_path: Path, settings: str
) -> None:
    write(tmp_path, initial__py="x = 1\n", evaluate__py="", run_evo__py=f"c = dict({settings})\n")
    task = load(tmp_path)
    assert task.file.limits.wall_seconds == 300.0
    assert task.file.budget.evaluations is None


def test_a_program_of_several_files_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, evaluator__py="def evaluate(p): return {}\n")
    write(tmp_path / "initial_program", a__py="", b__py="")
    with pytest.raises(TaskError, match="initial_program: is a folder of several files"):
        load(tmp_path)


def test_a_gap_in_the_stages_ends_the_cascade(tmp_path: Path) -> None:
    evaluator = "def evaluate_stage1(p): return {}\ndef evaluate_stage3(p): return {}\n"
    stages = load(openevolve(tmp_path, evaluator)).file.stage
    assert [(stage.function, stage.at_least) for stage in stages] == [("evaluate_stage1", None)]


@pytest.mark.parametrize(
    ("evaluator", "config", "line"),
    [
        ("x = 1\n", "", "evaluator.py: has no function 'evaluate'"),
        ("def evaluate(:\n", "", "evaluator.py: line 1: invalid syntax"),
        ("def evaluate(p): pass\n", "a: [", "config.yaml: is not valid YAML"),
        ("def evaluate(p): pass\n", "- a\n", "config.yaml: is not a mapping"),
        (
            "def evaluate(p): pass\n",
            "evaluator:\n  timeout: soon\n",
            "config.yaml: evaluator.timeout: must be a number above 0, not 'soon'",
        ),
        (
            "def evaluate_stage1(p): pass\n",
            "evaluator:\n  cascade_thresholds: high\n",
            "config.yaml: evaluator.cascade_thresholds: is not a list of numbers",
        ),
    ],
)
def test_mistakes_in_foreign_folders_are_one_line(
    tmp_path: Path, evaluator: str, config: str, line: str
) -> None:
    with pytest.raises(TaskError) as caught:
        load(openevolve(tmp_path, evaluator, config))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_task_toml_wins_over_the_other_formats(tmp_path: Path) -> None:
    text = '[task]\nname = "n"\ngoal = "g"\n[program]\nfiles = ["initial.py"]\nevolve = "whole"\n'
    objective = '[[objective]]\nname = "s"\ndirection = "minimize"\n'
    write(tmp_path, task__toml=text + objective, initial__py="x = 1\n", evaluate__py="")
    assert load(tmp_path).kind == "breeder"
    assert load(tmp_path / "task.toml").name == "n"


def test_shipped_tasks_have_names_and_goals_and_load_by_name() -> None:
    tasks = shipped()
    assert [task.name for task in tasks] == sorted(task.name for task in tasks)
    assert tasks
    for task in tasks:
        assert task.goal
        assert load(task.name).folder == task.folder.resolve()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(TaskError) as caught:
        load("no/such/task")
    assert "is neither a folder nor a task's name" in str(caught.value)
    assert all(task.name in str(caught.value) for task in shipped())


def test_a_folder_without_a_task_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"holds no task; looked for task\.toml"):
        load(tmp_path)


def test_a_missing_yaml_library_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(TaskError, match="needs PyYAML"):
        load(openevolve(tmp_path, "def evaluate(p): pass\n", "max_iterations: 3\n"))
