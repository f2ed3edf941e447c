import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest

from breeder import cli
from breeder.maths import achieved, exporting, problem, problems


@pytest.fixture
def breeder(capsys, monkeypatch):
    def command(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["breeder", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, *capsys.readouterr()

    return command


@pytest.fixture
def halves(tmp_path):
    path = tmp_path / "halves.json"
    path.write_text(json.dumps({"h": [0.5, 0.5], "value": 0.1}))
    return path


def test_the_table_has_a_line_for_every_problem(breeder):
    code, out, _ = breeder("records")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["problem", "best", "known"]
    count = len(problems())
    assert [line.split()[0] for line in lines[1 : count + 1]] == [
        listed.name for listed in problems()
    ]
    assert all(": found by " in line for line in lines[count + 1 :])
    assert "604" in next(line for line in lines if line.startswith("kissing_11"))


def test_the_table_is_there_for_programs(breeder):
    rows = json.loads(breeder("records", "--json")[1])
    first = rows[0]
    assert first["problem"] == "erdos_minimum_overlap"
    assert first["best known"] == problems()[0].best.value


def test_what_was_reached_here_is_in_the_table(breeder, halves, tmp_path, monkeypatch):
    folder = tmp_path / "achieved" / "erdos_minimum_overlap"
    folder.mkdir(parents=True)
    (folder / "ours.json").write_text('{"h":[0.5,0.5],"problem":"erdos_minimum_overlap"}')
    (folder / "about.toml").write_text('[ours]\nby = "x"\ncpu_seconds = 3600\n')
    monkeypatch.setattr(achieved.achievement, "__defaults__", ("ours", folder.parent))
    row = json.loads(breeder("records", "--json")[1])[0]
    assert row["ours"] == "0.500000000000"
    assert row["gap"] == "0.119"
    assert row["cpu hours"] == 1.0
    lines = breeder("records")[1].splitlines()
    assert lines[1].split()[:6] == [
        "erdos_minimum_overlap",
        row["best known"],
        "0.500000000000",
        "1.000",
        "-",
        "0.119",
    ]
    assert "erdos_minimum_overlap: found by x" in lines
    shutil.rmtree(folder)
    assert json.loads(breeder("records", "--json")[1])[0]["ours"] == ""


def test_a_construction_is_verified_whatever_it_claims(breeder, halves):
    code, out, _ = breeder("records", "verify", halves, "--problem", "erdos_minimum_overlap")
    assert code == 0
    assert "value 0.500000000000 (exact" in out
    assert "gap 0.119" in out
    assert "SHA-256" in out


def test_a_construction_may_say_which_problem_it_solves(breeder, tmp_path):
    path = tmp_path / "own.json"
    path.write_text('{"vectors": [[1, 0], [-1, 0]], "problem": "kissing_2"}')
    code, out, _ = breeder("records", "verify", path, "--json")
    found = json.loads(out)
    assert (code, found["problem"], found["value"]) == (0, "kissing_2", "2")


def test_a_repair_is_done_on_request_and_said(breeder, tmp_path):
    path = tmp_path / "circles.npy"
    np.save(path, np.array([[0.25, 0.5, 0.25], [0.75, 0.5, 0.2500001]]))
    arguments = ("records", "verify", path, "--problem", "circle_packing_2")
    code, _, err = breeder(*arguments)
    assert code == 2
    assert "refused as a construction of circle_packing_2" in err
    code, out, _ = breeder(*arguments, "--repair")
    assert code == 0
    assert "after moving numbers by at most 1e-07" in out
    assert "best known" not in out


@pytest.mark.parametrize(
    ("content", "name", "why"),
    [
        ('{"h": [1, 1]}', "erdos_minimum_overlap", "the integral misses 1"),
        ('{"h": [NaN]}', "erdos_minimum_overlap", "NaN is no number"),
        ('{"h": [0.5]}', "erdos", "is no problem"),
        ('{"h": [0.5]}', "kissing_0", "the dimension must be"),
        ('{"h": [0.5]}', None, "give --problem NAME"),
        ('{"problem": 7}', None, "give --problem NAME"),
        ("[0.5]", None, "give --problem NAME"),
    ],
)
def test_a_mistake_takes_one_line(breeder, tmp_path, content, name, why):
    path = tmp_path / "construction.json"
    path.write_text(content)
    code, out, err = breeder(
        "records", "verify", path, *(() if name is None else ("--problem", name))
    )
    assert code == 2
    assert out == ""
    assert why in err
    assert err.count("\n") == 1


def test_a_value_beyond_all_floats_is_printed(breeder, tmp_path):
    path = tmp_path / "cancelling.json"
    path.write_text(json.dumps({"f": [1, f"{1 - 2**511}/{2**511}"]}))
    code, out, _ = breeder("records", "verify", path, "--problem", "autocorrelation_3")
    assert code == 0
    assert "gap inf" in out
    code, out, _ = breeder("records", "verify", path, "--problem", "autocorrelation_3", "--json")
    assert len(json.loads(out)["value"]) > 300


def test_a_file_that_is_not_there_takes_one_line(breeder, tmp_path):
    code, _, err = breeder("records", "verify", tmp_path / "none.json", "--problem", "kissing_2")
    assert (code, err.count("\n")) == (2, 1)


def test_a_construction_is_exported_with_its_verifier(breeder, tmp_path, monkeypatch):
    folder = tmp_path / "achieved" / "kissing_2"
    folder.mkdir(parents=True)
    (folder / "ours.json").write_text('{"problem":"kissing_2","vectors":[[1,0],[-1,0]]}')
    (folder / "about.toml").write_text('[ours]\nby = "x"\ncpu_seconds = 60\n')
    monkeypatch.setattr(exporting.export, "__defaults__", ("ours", folder.parent))
    code, out, _ = breeder("records", "export", "kissing_2", "--to", tmp_path / "out")
    assert code == 0
    assert "kissing_2, value 2; check it with" in out
    assert (tmp_path / "out" / "verify.py").is_file()
    code, out, err = breeder("records", "export", "kissing_2", "--to", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_nothing_is_exported_where_nothing_was_reached(breeder, tmp_path):
    code, _, err = breeder("records", "export", "kissing_2", "--to", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "no construction of ours" in err


def test_a_value_better_than_the_best_known_says_so(breeder, tmp_path, monkeypatch):
    known = problem("nikodym_3")
    smaller = dataclasses.replace(known.best, value="81")
    monkeypatch.setattr(type(known), "records", (smaller,))
    folder = tmp_path / "achieved" / known.name
    folder.mkdir(parents=True)
    (folder / "ours.json").write_bytes(known.verify(known.example()).encoded)
    (folder / "about.toml").write_text('[ours]\nby = "x"\ncpu_seconds = 36\n')
    monkeypatch.setattr(achieved.achievement, "__defaults__", ("ours", folder.parent))
    line = next(line for line in breeder("records")[1].splitlines() if line.startswith(known.name))
    assert "-1 (better)" in line
