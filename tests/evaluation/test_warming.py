from __future__ import annotations

import os
import sys
from pathlib import Path

from breeder.evaluation.warming import warm_up


def test_warming_up_leaves_the_interpreter_as_it_was(tmp_path: Path) -> None:
    warm_up(str(tmp_path))  # numpy imports parts of itself when they are first used
    before = list(sys.path), sorted(sys.modules), Path.cwd(), len(os.listdir("/proc/self/fd"))
    warm_up(str(tmp_path))
    assert (list(sys.path), sorted(sys.modules), Path.cwd()) == before[:3]
    assert len(os.listdir("/proc/self/fd")) == before[3]
    assert len(list(tmp_path.iterdir())) == 1
