"""How many sandboxed evaluations of a trivial Python candidate a machine does per second.

Each process has a sandbox of its own; an evaluation starts a program (numpy is preloaded and
imported by it), calls it once and closes it. CPU time is that of everything on the way: this
script's processes, the zygotes, the candidates' processes. On a busy machine the rate says little;
the CPU time says what the rate could be at most. Run: python benchmarks/sandbox_rate.py
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import platform
import time
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from breeder.evaluation.sandbox import Limits, ProgramSpec
from breeder.evaluation.sandboxes import open_sandbox

WARM_UP_EVALUATIONS = 5
SOURCE = """
import numpy as np

def double(values):
    return np.asarray(values) * 2
"""


def evaluate(slot: int, count: Any, stop: Event) -> None:
    """Evaluate until `stop` is set; `count` holds the number of evaluations so far."""
    sandbox = open_sandbox("bubblewrap", slot=slot, preload=("numpy",))
    spec = ProgramSpec({"main.py": SOURCE}, "main.py", "python")
    limits = Limits()
    try:
        while not stop.is_set():
            program = sandbox.start(spec, limits)
            answer = program.call("double", [1.0, 2.0], cpu_seconds=1.0, wall_seconds=10.0)
            assert answer.tolist() == [2.0, 4.0]
            program.close()
            count.value += 1
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
    counts = [multiprocessing.Value("q", 0, lock=False) for _ in range(arguments.processes)]
    stop = multiprocessing.Event()
    workers = [
        multiprocessing.Process(target=evaluate, args=(slot, count, stop))
        for slot, count in enumerate(counts)
    ]
    for worker in workers:
        worker.start()
    while min(count.value for count in counts) < WARM_UP_EVALUATIONS:
        time.sleep(0.05)
        if not all(worker.is_alive() for worker in workers):
            raise SystemExit("a process ended before it had evaluated anything")
    pids = [worker.pid or 0 for worker in workers]
    done = -sum(count.value for count in counts)
    cpu, begin = -tree_cpu_seconds(pids), time.perf_counter()
    time.sleep(arguments.seconds)
    done += sum(count.value for count in counts)
    cpu += tree_cpu_seconds(pids)
    rate = done / (time.perf_counter() - begin)
    stop.set()
    for worker in workers:
        worker.join()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    cores = os.cpu_count() or 1
    machine = f"{platform.machine()}, {cores} cores, Linux {platform.release()}"
    print(f"{today}, {machine}, Python {platform.python_version()}")
    print(f"load average: {os.getloadavg()[0]:.1f}, {arguments.processes} of it from here")
    print(f"{rate:.0f} sandboxed evaluations per second with {arguments.processes} processes")
    milliseconds = 1000 * cpu / done
    print(f"{milliseconds:.2f} ms of CPU time per evaluation, everything counted")
    print(
        f"(a bound from that: {1000 * cores / milliseconds:.0f} per second on {cores} free cores)"
    )


if __name__ == "__main__":
    main()
