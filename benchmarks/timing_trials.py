"""What the benchmarks of `compare` share: background load, and comparisons kept as JSON lines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from breeder.capabilities import load
from breeder.measurement import Comparison

# Ends with its parent, however that ended; looks seldom, so that it is all user time.
_LOOP = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def background_load(processes: int) -> Iterator[None]:
    """Keep so many busy loops running, at the priority of this process."""
    running = [subprocess.Popen([sys.executable, "-c", _LOOP]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


def kept(file: Path, key: dict[str, Any], measure: Callable[[], Comparison]) -> dict[str, Any]:
    """The record of a comparison, measured unless `file` has one with the same `key`."""
    for record in _records(file):
        if record["key"] == key:
            return record
    comparison = measure()
    record = {
        "key": key,
        "verdict": comparison.verdict,
        "ratio": comparison.ratio,
        "low": comparison.low if comparison.low > 0 else None,
        "high": comparison.high if comparison.high < float("inf") else None,
        "pairs": comparison.pairs,
        "clock": comparison.clock,
        "stopped": comparison.stopped,
        "note": comparison.note,
        "seconds": sum(
            spent.wall_seconds
            for spent in (*comparison.baseline_seconds, *comparison.candidate_seconds)
        ),
        "load": load(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        # A kill may have cut the last line short: what follows begins a line of its own.
        lines.write("\n" + json.dumps(record))
    return record


def _records(file: Path) -> Iterator[dict[str, Any]]:
    if not file.is_file():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue  # empty, or cut short: measured again
