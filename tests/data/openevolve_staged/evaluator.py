"""Runs the program as a subprocess, in two stages; reports artifacts."""

import json
import subprocess
import sys
from pathlib import Path

from openevolve.evaluation_result import EvaluationResult

CASES = json.loads((Path(__file__).parent / "cases.json").read_text())


def run(program_path, cases):
    done = subprocess.run(
        [sys.executable, program_path],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=20,
    )
    if done.returncode != 0:
        return 0.0, done.stderr
    answers = json.loads(done.stdout)
    right = sum(answer == sorted(case) for answer, case in zip(answers, cases, strict=True))
    return right / len(cases), ""


def evaluate_stage1(program_path):
    share, errors = run(program_path, CASES[:1])
    return EvaluationResult(metrics={"first": share}, artifacts={"stderr": errors})


def evaluate_stage2(program_path):
    share, errors = run(program_path, CASES)
    return EvaluationResult(
        metrics={"combined_score": share, "cases": len(CASES)}, artifacts={"stderr": errors}
    )


def evaluate(program_path):
    return evaluate_stage2(program_path)
