"""Runs every benchmark that RESULTS.md quotes, one after the other, and prints their tables.

Takes about five hours on two cores; the long ones keep finished parts in `runs/` and go on there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "start_up.py",
    "sandbox_rate.py",
    "archive_scaling.py",
    "proposers.py",
    "engine_scaling.py",
    "slots_busy.py",
    "determinism.py",
    "hostile.py",
    "cheats.py",
    "malformed.py",
    "edits.py",
    "prefix_reuse.py",
    "kill_resume.py",
    "coverage.py",
    "aa.py",
    "power.py",
    "kernel_aa.py",
    "demo.py",
    "gpu_scheduling_baselines.py",
    "gpu_scheduling.py",
    "matmul_tiling.py",
    "matmul_libraries.py",
    "noise_run.py",
    "racing.py",
    "circle_packing.py",
    "maths.py",
    "cached_tokens.py",
    "small_model_edits.py",
    "local_model.py",
    "kernel_evolution.py",
    "attention.py",
    "fused_ops.py",
    "training_step.py",
    "loss_curve.py",
    "accelerate_models.py",
)


def main() -> None:
    """Run them; go on after a failure and say so at the end."""
    folder = Path(__file__).parent
    failed = []
    for script in SCRIPTS:
        if subprocess.run([sys.executable, str(folder / script)], check=False).returncode:
            failed.append(script)
        print(flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
