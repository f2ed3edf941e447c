import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Breeder, assert_one_line

from breeder import scaffold
from breeder.archive.lock import WriterLock


@pytest.fixture
def corner(task: Path) -> Path:
    """A task `job`, a `file`, a folder `full` that is no run, configuration files."""
    Path("file").write_text("mine")
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    Path("typo.toml").write_text("sede = 1\n")
    Path("section.toml").write_text("[budget]\nminuts = 1\n")
    Path("broken.toml").write_text("seed = \n")
    Path("value.toml").write_text("[search]\nislands = 0\n")
    return task


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run", "Missing argument 'TASK'; see `breeder run --help`"),
        ("frobnicate", "No such command 'frobnicate'; see `breeder --help`"),
        ("run job --frob", "No such option: --frob"),
        ("run job --evaluations many", "'--evaluations'"),
        ("run nowhere", "nowhere: is neither a folder nor a task's name; shipped tasks: cluster/"),
        ("run file", "file: is a file, not a folder"),
        ("run full", "full: holds no task; looked for task.toml"),
        ("run job --out full", "full: holds files that are no run; name a new or empty folder"),
        ("run job --out file", "file: cannot be created: File exists"),
        ("run job --out file/below", "file/below: cannot be created: Not a directory"),
        ("run job --minutes 0", "--minutes: must be greater than 0 (got 0.0)"),
        ("run job --minutes -3", "--minutes: must be greater than 0 (got -3.0)"),
        ("run job --minutes nan", "--minutes: must be"),
        ("run job --minutes inf", "--minutes: must be"),
        ("run job --evaluations 0", "--evaluations: must be greater than 0 (got 0)"),
        ("run job --evaluations -1", "--evaluations: must be greater than 0 (got -1)"),
        ("run job --cpu-seconds 0", "--cpu-seconds: must be greater than 0"),
        ("run job --plateau 0", "--plateau: must be greater than 0"),
        ("run job --slots 0", "--slots: must be greater than or equal to 1 (got 0)"),
        ("run job --seed -1", "--seed: must be greater than or equal to 0"),
        (
            "run job --proposers magic",
            "--proposers: unknown proposer 'magic'; choose from syntax, tuning, recombination",
        ),
        ("run job --proposers ,", "--proposers: names no proposer; choose from syntax"),
        ("run job --sandbox docker", "--sandbox: must be 'bubblewrap' or 'none' (got 'docker')"),
        ("run job --config none.toml", "none.toml: cannot be read: No such file"),
        ("run job --config full", "full: cannot be read: Is a directory"),
        ("run job --config typo.toml", "typo.toml: sede: unknown key; did you mean 'seed'?"),
        ("run job --config section.toml", "budget.minuts: unknown key; did you mean 'minutes'?"),
        ("run job --config broken.toml", "broken.toml: is not valid TOML"),
        ("run job --config value.toml", "value.toml: search.islands: must be greater than"),
        ("check nowhere", "nowhere: is neither a folder nor a task's name"),
        ("check job --sandbox docker", "--sandbox: 'docker' is not one of bubblewrap, none"),
        ("new job", "job: is not empty; choose a new path"),
        ("new file", "file: is a file; choose another path"),
        ("resume nothing", "nothing: holds no run (run.db is missing)"),
        ("resume full", "full: holds no run (run.db is missing)"),
        ("resume file", "file: holds no run"),
        ("show nothing", "nothing: holds no run (run.db is missing)"),
        ("show full", "full: holds no run"),
        ("show", "Missing argument 'RUN'; see `breeder show --help`"),
        ("diff nothing", "nothing: holds no run"),
        ("report nothing", "nothing: holds no run"),
        ("export nothing --to there", "nothing: holds no run"),
        ("export nothing", "Missing option '--to'"),
        ("runs nothing", "nothing: is no folder"),
        ("tasks extra", "unexpected extra argument"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_trace(
    breeder: Breeder, corner: Path, line: str, words: str
) -> None:
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert_one_line(breeder(*line.split()), words)
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run JOB --out run", "run: already holds a run; resume it or name another"),
        ("export run --to full", "full: is not an empty folder; name another"),
        ("export run --to file", "file: is not an empty folder"),
        ("report run --to file", "file: cannot be written: File exists"),
    ],
)
def test_nothing_is_written_over(breeder: Breeder, mine: Path, line: str, words: str) -> None:
    scaffold.new(Path("job"))
    Path("file").write_text("mine")
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    shown = breeder("show", mine, "--json").out
    assert_one_line(breeder(*line.replace("JOB", "job").split()), words)
    assert Path("file").read_text() == "mine"
    assert [path.name for path in Path("full").iterdir()] == ["notes.txt"]
    assert breeder("show", mine, "--json").out == shown


def test_a_run_goes_into_an_empty_folder(breeder: Breeder, task: Path) -> None:
    Path("empty").mkdir()
    done = breeder("run", task, "--out", "empty", "--evaluations", "1", "--sandbox", "none")
    assert done.code == 0


def test_a_run_that_is_being_written_is_left_alone(breeder: Breeder, mine: Path) -> None:
    lock = WriterLock(mine)
    try:
        assert_one_line(breeder("resume", mine), "another process is writing run, pid ")
    finally:
        lock.release()
    assert breeder("show", mine).code == 0


def test_a_task_that_changed_or_is_gone_cannot_be_resumed(breeder: Breeder, task: Path) -> None:
    once = ("--out", "run", "--evaluations", "1", "--sandbox", "none")
    assert breeder("run", task, *once).code == 0
    text = (task / "evaluate.py").read_text()
    (task / "evaluate.py").write_text(text + "\n# a remark\n")
    words = "has changed since the run began; restore it or start a new run"
    assert_one_line(breeder("resume", "run"), words)
    (task / "evaluate.py").write_text(text)
    # What a run leaves inside the task folder is no change of the task.
    assert breeder("export", "run", "--to", task / "champion").code == 0
    assert breeder("resume", "run").code == 0
    shutil.rmtree(task)
    assert_one_line(breeder("resume", "run"), "job is gone; put it back")
    assert breeder("show", "run").code == 0
