import json
import re
import subprocess
import sys

import pytest

from breeder.errors import UserError
from breeder.maths import RefusedError, problem
from breeder.maths.exporting import DIGITS, export, needed, write_verifier
from breeder.maths.registry import FAMILIES

# Runs verifiers one after the other in a process without any installed package.
ALONE = """
import runpy, sys
before, folders, path = set(sys.modules), sys.argv[1:], list(sys.path)
for folder in folders:
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("breeder", "numpy"):
            del sys.modules[name]
    sys.path[:], sys.argv = path, ["verify.py"]
    print("==", folder)
    runpy.run_path(folder + "/verify.py", run_name="__main__")
"""


def alone(*arguments):
    command = [sys.executable, "-I", "-S", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def achieved(tmp_path):
    folder = tmp_path / "achieved" / "heilbronn_convex_4"
    folder.mkdir(parents=True)
    points = '{"points":[[0,0],[1,0],[0,1],[1,1]],"problem":"heilbronn_convex_4"}'
    (folder / "ours.json").write_text(points)
    (folder / "baseline.json").write_text(points.replace("[1,1]", "[1,3]"))
    about = "".join(
        f'[{kind}]\nby = "{kind} of a test"\ncpu_seconds = 1800\n' for kind in ("ours", "baseline")
    )
    (folder / "about.toml").write_text(about)
    (folder / "program.py").write_text("def search(): ...\n")
    return folder.parent


def test_the_verifier_of_every_family_works_without_any_package(tmp_path):
    listed = [family.make(*family.listed[0]) for family in FAMILIES.values()]
    for each in listed:
        folder = tmp_path / each.name
        folder.mkdir()
        write_verifier(each, folder)
        (folder / "construction.json").write_bytes(each.encode(each.read(each.example())))
    found = alone("-c", ALONE, *(tmp_path / each.name for each in listed))
    assert found.returncode == 0, found.stderr
    outputs = re.split(r"^== .*\n", found.stdout, flags=re.MULTILINE)[1:]
    for each, output in zip(listed, outputs, strict=True):
        verified = each.verify(each.example())
        assert output.startswith(f"{each.name}: {each.statement}\n")
        assert f"\nvalue {verified.value.decimal(DIGITS)}\n" in output
        assert f"\nSHA-256 {verified.digest}\n" in output


def test_an_export_holds_construction_verifier_and_lineage(tmp_path, achieved):
    four, folder = problem("heilbronn_convex_4"), tmp_path / "new" / "folder"
    reached = export(four, folder, source=achieved)
    assert reached.verified.value.lower == 0.5
    names = {path.name for path in folder.iterdir()}
    assert names == {"README.md", "construction.json", "verify.py", "verifier", "lineage"}
    lineage = {path.name for path in (folder / "lineage").iterdir()}
    assert lineage == {"about.toml", "program.py"}
    readme = (folder / "README.md").read_text()
    assert "is worth 0.50000000000000000000." in readme
    assert "ours of a test" in readme
    assert "0.500" in readme
    found = alone(folder / "verify.py")
    assert "\nvalue 0.50000000000000000000\n" in found.stdout
    assert export(four, tmp_path / "b", "baseline", achieved).verified.value.lower == 0.25


def test_an_exported_verifier_refuses_what_breaks_a_rule(tmp_path, achieved):
    folder = tmp_path / "folder"
    export(problem("heilbronn_convex_4"), folder, source=achieved)
    for content, why in (
        ([[0, 0], [1, 1], [2, 2], [0, 1]], "three points lie on a line"),
        ({"points": [[0, 0]], "value": 1}, "expected 4 points"),
        (7, "expected a list"),
    ):
        (tmp_path / "other.json").write_text(json.dumps(content))
        found = alone(folder / "verify.py", tmp_path / "other.json")
        assert found.returncode == 1
        assert found.stderr.startswith("refused: ")
        assert why in found.stderr
        assert "value" not in found.stdout


def test_copied_modules_are_those_of_the_package(tmp_path):
    write_verifier(problem("kissing_3"), tmp_path)
    modules = needed({"breeder.maths.plain"})
    assert {"breeder.maths.kissing", "breeder.maths.problem", "breeder.errors"} <= modules
    assert not any(module.startswith("breeder.evaluation") for module in modules)
    from breeder.maths import kissing

    copy = tmp_path / "verifier" / "breeder" / "maths" / "kissing.py"
    with open(kissing.__file__, encoding="utf-8") as original:
        assert copy.read_text("utf-8") == original.read()


def test_what_was_not_reached_is_not_exported(tmp_path, achieved):
    with pytest.raises(UserError, match="no construction of ours"):
        export(problem("heilbronn_convex_5"), tmp_path / "folder", source=achieved)
    assert not (tmp_path / "folder").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path, achieved):
    with pytest.raises(UserError, match="not empty"):
        export(problem("heilbronn_convex_4"), achieved, source=achieved)


def test_what_does_not_verify_is_not_exported(tmp_path, achieved):
    path = achieved / "heilbronn_convex_4" / "ours.json"
    path.write_text(path.read_text().replace("[1,1]", "[2,0]"))
    with pytest.raises(RefusedError, match="on a line"):
        export(problem("heilbronn_convex_4"), tmp_path / "folder", source=achieved)
    assert not (tmp_path / "folder").exists()
