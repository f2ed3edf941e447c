"""Mathematical problems: a run of each beside its plain start program at equal CPU time.

For each problem, `breeder run` gets the stated CPU time without any model. The start program alone,
called again and again with new seeds and its best construction, then gets the CPU time that the run
used. Values are computed from the constructions by the exact verifier, here, just before they are
printed. Finished parts are kept in the folder, so the script can be interrupted and started again.
With `--keep` the constructions are written to the folder of what ships as reached, where they are
better than what is there.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # before numpy is imported

import numpy as np

import breeder
from breeder.archive.store import Store
from breeder.evaluation import wire
from breeder.maths import Problem, Verified, problem
from breeder.maths.achieved import FOLDER as ACHIEVED
from breeder.maths.achieved import achievement
from breeder.maths.search_task import Budgets, repeated
from breeder.task import load_native
from record import header, table

SUITE = Path(breeder.__file__).parent / "suites" / "maths"
BREEDER = [sys.executable, "-m", "breeder"]


class Entry(NamedTuple):
    """A problem, its task folder, and the value to reach."""

    folder: str
    problem: str
    bar: str


ENTRIES = (
    Entry("erdos_minimum_overlap", "erdos_minimum_overlap", "0.380927"),
    Entry("autocorrelation_1", "autocorrelation_1", "1.5053"),
    Entry("autocorrelation_2", "autocorrelation_2", "0.9610"),
    Entry("autocorrelation_3", "autocorrelation_3", "1.4556"),
    Entry("circle_packing_32", "circle_packing_32", "2.9395"),
    Entry("ring_loading", "ring_loading_15", "1.1"),
    Entry("no_isosceles", "no_isosceles_32", "56"),
    Entry("matrix_multiplication", "matrix_multiplication_3_3_3", "23"),
    Entry("kissing_number", "kissing_11", "592"),
    Entry("circle_packing", "circle_packing_26", "2.63598"),
    Entry("no_isosceles_64", "no_isosceles_64", "108"),
    Entry("matrix_multiplication_2_4_5", "matrix_multiplication_2_4_5", "32"),
)


class Reached(NamedTuple):
    """A verified construction with where it came from."""

    verified: Verified
    by: str
    cpu_seconds: float


def evolved(entry: Entry, folder: Path, seed: int, cpu_seconds: float) -> Reached:
    """Run the task, or read the finished run; return its champion's construction, verified."""
    out = folder / f"{entry.problem}-run"
    name = f"maths/{entry.folder}"
    flags = ["--seed", str(seed), "--cpu-seconds", f"{cpu_seconds:g}", "--slots", "1"]
    if not (out / "run.db").is_file():
        command = [*BREEDER, "run", name, "--out", str(out), *flags, "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with Store.open(out, readonly=True) as store:
        if store.run().status != "finished":
            raise SystemExit(f"{out} is not finished: breeder resume {out}")
        champion = store.champion()
        spent = store.costs()["search"][0]
    assert champion is not None
    assert champion.evaluation.construction is not None
    found = problem(entry.problem).verify(wire.decode(champion.evaluation.construction))
    by = f"program {champion.program_id} of breeder run {name} {' '.join(flags)}"
    return Reached(found, by, spent)


def plain(entry: Entry, folder: Path, seed: int, cpu_seconds: float) -> Reached:
    """Repeat the start program for so much CPU time, or read what it found."""
    path, about = (folder / f"{entry.problem}-plain{suffix}" for suffix in (".json", ".txt"))
    found = problem(entry.problem)
    if not path.is_file():
        search = start_program(entry.folder)
        seconds = Budgets().scratch + Budgets().onward
        best, used = repeated(found, search, seed, cpu_seconds, seconds, time.process_time)
        about.write_text(f"{used}")
        path.write_bytes(best.encoded)
    verified = found.verify(found.write(found.decode(path.read_bytes())))
    by = f"start program of maths/{entry.folder}, repeated with seeds from {seed}"
    return Reached(verified, by, float(about.read_text()))


def start_program(name: str) -> Any:
    """Return the search procedure that a task starts from."""
    folder = SUITE / name
    path = folder / load_native(folder).file.program.files[0]
    spec = importlib.util.spec_from_file_location(f"start_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))  # for the modules that come with a program
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    if name != "circle_packing":
        return module.search

    def search(n: int, best: Any, *rest: Any) -> Any:  # the programs of this task get arrays
        return module.search(n, None if best is None else np.array(best), *rest)

    return search


def keep(found: Problem[Any], reached: dict[str, Reached]) -> None:
    """Write constructions among those that ship, where ours is better than what is there.

    Both go together: a baseline belongs to the CPU time of the run that it stands beside.
    """
    known = achievement(found)
    if known is not None:
        sign = int(found.direction.sign)
        ours, theirs = (one.verified.value.certified for one in (reached["ours"], known))
        if sign * ours <= sign * theirs:
            return
    folder = ACHIEVED / found.name
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for kind, one in reached.items():
        (folder / f"{kind}.json").write_bytes(one.verified.encoded)
        lines += [
            f"[{kind}]",
            f"by = {json.dumps(one.by)}",
            f"cpu_seconds = {one.cpu_seconds:.1f}",
            f"sha256 = {json.dumps(one.verified.digest)}",
            "",
        ]
    (folder / "about.toml").write_text("\n".join(lines).rstrip() + "\n", "utf-8")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-maths"))
    parser.add_argument("--cpu-seconds", type=float, default=900.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="names of problems")
    parser.add_argument("--fresh", action="store_true", help="forget what the folder holds")
    parser.add_argument("--keep", action="store_true", help="ship what was reached")
    options = parser.parse_args()
    if options.fresh:
        shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for entry in ENTRIES:
        if options.only and entry.problem not in options.only:
            continue
        ours = evolved(entry, options.folder, options.seed, options.cpu_seconds)
        baseline = plain(entry, options.folder, options.seed, ours.cpu_seconds)
        found = problem(entry.problem)
        if options.keep:
            keep(found, {"ours": ours, "baseline": baseline})
        shown = [one.verified.value.decimal() for one in (ours, baseline)]
        record = found.best.value if found.best else "-"
        rows.append((entry.problem, record, entry.bar, *shown, f"{ours.cpu_seconds:.0f}"))
    print(header(f"mathematical problems, {options.cpu_seconds:g} CPU-seconds a run, no model"))
    columns = ("problem", "record", "bar", "ours", "plain at equal CPU", "CPU-seconds")
    print(table(columns, rows))


if __name__ == "__main__":
    main()
