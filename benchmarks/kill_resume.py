"""`kill -9` at random moments, then resume: what is lost, is the store intact, is anything left?

A real run (`breeder run`, two slots) of the task that `breeder new` writes is started; at a random
moment its process is killed with SIGKILL. Every evaluation that a reader saw committed before the
kill must be in the store; the store must pass SQLite's integrity check; no process may be left; the
resumed run must end with a champion at least as good.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import header, table

EVALUATIONS = 400
BREEDER = [sys.executable, "-m", "breeder"]


def descendants(root: int) -> set[int]:
    """Process ids of `root` and everything below it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(path.name))
    found, queue = {root}, [root]
    while queue:
        for child in children.get(queue.pop(), []):
            found.add(child)
            queue.append(child)
    return found


def rows(folder: Path) -> tuple[set[int], float]:
    """Ids of committed evaluations and the best fitness, read beside the writer."""
    try:
        with sqlite3.connect(f"file:{folder}/run.db?mode=ro", uri=True, timeout=5) as connection:
            query = "SELECT id, fitness FROM evaluation WHERE split = 'search'"
            found = connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return set(), float("-inf")
    best = max((f for _, f in found if f is not None), default=float("-inf"))
    return {i for i, _ in found}, best


def alive(pids: set[int]) -> set[int]:
    """Those of `pids` that still run (zombies do not count)."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(pid)
    return found


def once(folder: Path, moment: float) -> tuple[int, bool, int, bool, int]:
    """Kill one run at `moment` seconds; return lost, intact, left, as good, evaluations seen."""
    out, task = folder / "run", folder / "task"
    subprocess.run([*BREEDER, "new", str(task)], check=True, stdout=subprocess.DEVNULL)
    command = [*BREEDER, "run", str(task), "--out", str(out), "--evaluations", str(EVALUATIONS)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    time.sleep(moment)
    tree = descendants(process.pid)
    seen, best = rows(out)
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 5
    while alive(tree) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = len(alive(tree))
    kept, _ = rows(out)
    with sqlite3.connect(f"file:{out}/run.db?mode=ro", uri=True) as connection:
        intact = connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    resumed = subprocess.run(
        [*BREEDER, "resume", str(out), "--json"], capture_output=True, text=True, check=False
    )
    champion = json.loads(resumed.stdout)["champion"] if resumed.returncode == 0 else None
    good = champion is not None and champion["fitness"] >= best
    return len(seen - kept), intact, left, good, len(seen)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    rng = random.Random(5)
    print(header(f"kill -9 at {options.times} random moments, then resume"))
    results = []
    for _ in range(options.times):
        with tempfile.TemporaryDirectory() as temporary:
            results.append(once(Path(temporary), rng.uniform(2.0, 8.0)))
    counts = sorted(r[4] for r in results)
    print(
        table(
            ("what", "figure", "bar"),
            [
                ("finished evaluations lost", sum(r[0] for r in results), 0),
                ("stores damaged", sum(not r[1] for r in results), 0),
                ("processes left behind", sum(r[2] for r in results), 0),
                (
                    "resumed to the same champion or better",
                    f"{sum(r[3] for r in results)} of {len(results)}",
                    "all",
                ),
                ("evaluations finished when killed", f"{counts[0]} to {counts[-1]}", ""),
            ],
        )
    )


if __name__ == "__main__":
    main()
