"""How many sandboxed evaluations of a trivial Python candidate a machine does per second.

Each process has a sandbox of its own; an evaluation starts a program (numpy is preloaded and
imported by it), calls it once and closes it. CPU time is that of everything on the way: this
script's processes, the zygotes, the candidates' processes. Run: python benchmarks/sandbox_rate.py
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import platform
import time
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from breeder.evaluation.sandbox import Limits, ProgramSpec
from breeder.evaluation.sandboxes import open_sandbox

SOURCE = """
import numpy as np

def double(values):
    return np.asarray(values) * 2
"""


def evaluate(slot: int, seconds: float, results: SimpleQueue[tuple[int, float]]) -> None:
    """Evaluate for `seconds`; put the number of evaluations and the wall time that they took."""
    sandbox = open_sandbox("bubblewrap", slot=slot, preload=("numpy",))
    spec = ProgramSpec({"main.py": SOURCE}, "main.py", "python")
    limits = Limits()
    try:
        sandbox.start(spec, limits).close()  # the warm-up is not what is measured
        count = 0
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            program = sandbox.start(spec, limits)
            answer = program.call("double", [1.0, 2.0], cpu_seconds=1.0, wall_seconds=10.0)
            assert answer.tolist() == [2.0, 4.0]
            program.close()
            count += 1
        results.put((count, time.perf_counter() - begin))
    finally:
        sandbox.close()


def tree_cpu_seconds(pids: list[int]) -> float:
    """CPU seconds of processes and all their living descendants, dead children included."""
    tick = os.sysconf("SC_CLK_TCK")
    parents: dict[int, tuple[int, float]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(name)] = int(fields[1]), sum(map(int, fields[11:15])) / tick
    total, wanted = 0.0, set(pids)
    while found := {pid for pid, (parent, _) in parents.items() if parent in wanted} - wanted:
        wanted |= found
    for pid in wanted:
        total += parents.get(pid, (0, 0.0))[1]
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    results: SimpleQueue[tuple[int, float]] = multiprocessing.SimpleQueue()
    workers = [
        multiprocessing.Process(target=evaluate, args=(slot, arguments.seconds, results))
        for slot in range(arguments.processes)
    ]
    for worker in workers:
        worker.start()
    time.sleep(2.0)  # past the start of zygotes
    pids = [worker.pid or 0 for worker in workers]
    cpu_begin, begin = tree_cpu_seconds(pids), time.perf_counter()
    time.sleep(max(arguments.seconds - 2.0, 1.0))
    cpu, wall = tree_cpu_seconds(pids) - cpu_begin, time.perf_counter() - begin
    rates = []
    for _ in workers:
        count, seconds = results.get()
        rates.append(count / seconds)
    for worker in workers:
        worker.join()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    print(f"{today}, {machine}, Python {platform.python_version()}")
    print(f"load average beforehand: {os.getloadavg()[1]:.1f}")
    print(f"{sum(rates):.0f} sandboxed evaluations per second with {arguments.processes} processes")
    print(f"{1000 * cpu / wall / sum(rates):.2f} ms of CPU time per evaluation, everything counted")


if __name__ == "__main__":
    main()
