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
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # before numpy is imported

import numpy as np

import breeder
from breeder.archive.store import Store
from breeder.core import Program
from breeder.evaluation import wire
from breeder.evaluation.loading import load_evaluator
from breeder.kernels import compiled
from breeder.maths import Problem, Verified, problem
from breeder.maths.achieved import FOLDER as ACHIEVED
from breeder.maths.achieved import achievement
from breeder.maths.family_task import FamilyTask
from breeder.maths.search_task import Budgets, repeated
from breeder.task import load_native
from record import header, table

SUITE = Path(breeder.__file__).parent / "suites" / "maths"
BREEDER = [sys.executable, "-m", "breeder"]


class Entry(NamedTuple):
    """A problem, its task folder, and the value to reach."""

    folder: str
    problem: str
    bar: str = ""


ENTRIES = (
    # Where a folder has several problems, one run searches for all of them.
    Entry("heilbronn", "heilbronn_triangle_11", "0.036165"),
    Entry("heilbronn", "heilbronn_convex_13", "0.030628"),
    Entry("heilbronn", "heilbronn_convex_14", "0.027558"),
    *(Entry("kakeya", f"kakeya_3_{p}") for p in (5, 11, 13, 17, 19, 23, 29, 31)),
    Entry("nikodym", "nikodym_3"),
    Entry("nikodym", "nikodym_5"),
    Entry("nikodym", "nikodym_7"),
    Entry("max_min_ratio", "max_min_ratio_2_16"),
    Entry("max_min_ratio", "max_min_ratio_3_14"),
    Entry("circles_in_rectangle", "circles_in_rectangle_21"),
    Entry("hexagon_packing", "hexagon_packing_11"),
    Entry("hexagon_packing", "hexagon_packing_12"),
    Entry("tammes", "tammes_50"),
    Entry("uncertainty", "uncertainty"),
    Entry("sums_differences", "sums_differences"),
    Entry("difference_basis", "difference_basis"),
    Entry("flat_polynomial", "flat_polynomial_69"),
    Entry("maximal_determinant", "maximal_determinant_29"),
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
    """A verified construction with where it came from.

    Attributes:
        verified: what its verification found.
        by: the program or the method.
        cpu_seconds: of the search; a problem's equal share where a run searches for several.
        lineage: the programs of the run that each improved the construction, the last one last.
    """

    verified: Verified
    by: str
    cpu_seconds: float
    lineage: tuple[Program, ...] = ()


def shared(folder: str) -> int:
    """Return how many problems one run of a task searches for."""
    task = getattr(load_evaluator(SUITE / folder, "evaluate.py"), "TASK", None)
    return len(task.problems) if isinstance(task, FamilyTask) else 1


def evolved(entry: Entry, folder: Path, seed: int, cpu_seconds: float) -> Reached:
    """Run the task, or read the finished run; return the best construction, verified."""
    out = folder / f"{entry.folder}-run"
    name = f"maths/{entry.folder}"
    flags = ["--seed", str(seed), "--cpu-seconds", f"{cpu_seconds:g}", "--slots", "1"]
    if not (out / "run.db").is_file():
        command = [*BREEDER, "run", name, "--out", str(out), *flags, "--json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with Store.open(out, readonly=True) as store:
        if store.run().status != "finished":
            raise SystemExit(f"{out} is not finished: breeder resume {out}")
        spent = store.costs()["search"][0]
        found, chain = improvements(store, entry)
    by = f"program {chain[-1].id} of breeder run {name} {' '.join(flags)}"
    return Reached(found, by, spent / shared(entry.folder), chain)


def improvements(store: Store, entry: Entry) -> tuple[Verified, tuple[Program, ...]]:
    """Return the best construction of a run, and the programs that each improved it."""
    found = problem(entry.problem)
    best: Verified | None = None
    chain: list[Program] = []
    seen: set[str] = set()  # the same construction is carried from one to the next
    for evaluation in store.evaluations():
        if evaluation.evaluation.construction is None:
            continue
        data = wire.decode(evaluation.evaluation.construction)
        if isinstance(data, dict) and entry.problem in data:
            data = data[entry.problem]
        text = json.dumps(data)
        if text in seen:
            continue
        seen.add(text)
        reached = found.verify(data)
        if best is None or found.score(reached.value) > found.score(best.value):
            best = reached
            chain.append(store.program(evaluation.program_id))
    assert best is not None, "a finished run has evaluated its start program"
    return best, tuple(chain)


def plain(entry: Entry, folder: Path, seed: int, cpu_seconds: float) -> Reached:
    """Repeat the start program for so much CPU time, or read what it found."""
    path, about = (folder / f"{entry.problem}-plain{suffix}" for suffix in (".json", ".txt"))
    found = problem(entry.problem)
    if not path.is_file():
        search = start_program(entry.folder)
        if shared(entry.folder) > 1:
            search = partial(search, found.family)
        seconds = (Budgets().scratch + Budgets().onward) / shared(entry.folder)
        best, used = repeated(found, search, seed, cpu_seconds, seconds, time.process_time)
        about.write_text(f"{used}")
        path.write_bytes(best.encoded)
    verified = found.verify(found.write(found.decode(path.read_bytes())))
    by = f"start program of maths/{entry.folder}, repeated with seeds from {seed}"
    return Reached(verified, by, float(about.read_text()))


def start_program(name: str) -> Any:
    """Return the search procedure that a task starts from."""
    folder = SUITE / name
    program = load_native(folder).file.program
    path = folder / program.files[0]
    if path.suffix == ".c":
        native = compiled(path, program.compile_flags, program.functions)
        return partial(load_evaluator(folder, "evaluate.py").TASK.caller(native).call, "search")
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
        for program in one.lineage:
            lines += [
                "[[lineage]]",
                f"program = {json.dumps(program.id)}",
                f"parents = {json.dumps(program.parents)}",
                f"proposer = {json.dumps(program.proposer)}",
                f"note = {json.dumps(program.note)}",
                "",
            ]
            # The last one stays: the chain ends with the program that found what ships.
            name = f"program{Path(next(iter(program.files))).suffix}.txt"
            (folder / name).write_text("\n".join(program.files.values()), "utf-8")
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
