from pathlib import Path

import pytest

from breeder.core import Limits, NativeFunction
from breeder.errors import TaskError
from breeder.evaluation.plan import plan
from breeder.evaluation.protocol import Plan, Threshold
from breeder.task import load_native
from breeder.task_formats import load

DATA = Path(__file__).parents[1] / "data"

HEAD = '[task]\nname = "t"\ngoal = "g"\n[[objective]]\nname = "score"\ndirection = "minimize"\n'


def of(folder: Path, program: str, rest: str = "", *, files: tuple[str, ...] = ("a.py",)) -> Plan:
    for name in files:
        (folder / name).write_text("// EVOLVE-BLOCK-START\n// EVOLVE-BLOCK-END\n")
    (folder / "evaluate.py").write_text("")
    (folder / "task.toml").write_text(f"{HEAD}[program]\n{program}\n{rest}")
    return plan(load_native(folder))


def test_stages_take_their_own_limits_or_the_tasks(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        'files = ["a.py"]',
        '[[stage]]\nname = "q"\nfunction = "quick"\nmetric = "m"\nat_most = 2\ncpu_seconds = 1\n'
        '[[stage]]\nname = "f"\n[held_out]\n[[constraint]]\nmetric = "m"\nat_least = 0\n'
        "[limits]\ncpu_seconds = 7\nwall_seconds = 9\n",
    )
    quick, full = found.stages
    assert (quick.function, quick.cpu_seconds, quick.wall_seconds) == ("quick", 1.0, 9.0)
    assert quick.threshold == Threshold("m", None, 2.0)
    assert (full.function, full.cpu_seconds, full.threshold) == ("evaluate", 7.0, None)
    assert found.held_out is not None
    assert (found.held_out.function, found.held_out.cpu_seconds) == ("evaluate_held_out", 7.0)
    assert found.constraints == (Threshold("m", 0.0, None),)
    assert found.objectives == ("score",)
    assert found.limits == Limits(cpu_seconds=7.0, wall_seconds=9.0)
    assert (found.program.mode, found.program.main) == ("python", "a.py")


def test_c_programs_are_compiled_from_all_their_sources(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        'files = ["a.c", "b.c"]\nreadonly = ["shared.h"]\ncompile_flags = ["-O3"]\n'
        '[program.functions.f]\narguments = ["float64[]"]\nreturns = "float64"',
        files=("a.c", "b.c", "shared.h"),
    )
    assert found.program.mode == "native"
    command = ("gcc", "-O3", "-shared", "-fPIC", "-o", "{output}", "a.c", "b.c", "-lm")
    assert found.program.compile_command == command
    assert found.program.functions == {"f": NativeFunction(("float64[]",), "float64")}
    assert set(found.program.support) == {"shared.h"}


def test_a_command_wins_over_the_language(tmp_path: Path) -> None:
    found = of(tmp_path, 'files = ["a.py"]\ncommand = ["python3", "a.py"]')
    assert (found.program.mode, found.program.command) == ("command", ("python3", "a.py"))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.cpp", "task.toml: program.functions: is empty, but a cpp program needs the signatures"),
        ("a.rb", "task.toml: program.command: is missing, but a ruby program is run as a command"),
    ],
)
def test_languages_that_need_more_say_so(tmp_path: Path, name: str, line: str) -> None:
    with pytest.raises(TaskError) as caught:
        of(tmp_path, f'files = ["{name}"]', files=(name,))
    assert line in str(caught.value)


def test_foreign_folders_run_as_python_whatever_their_program_is_written_in() -> None:
    found = plan(load(DATA / "shinka_plain"))
    assert (found.kind, found.program.mode, found.program.main) == (
        "shinka",
        "python",
        "initial.sh",
    )
