"""Scores through `run_shinka_eval`: the program runs in the evaluator's process."""

import argparse
from itertools import pairwise

from shinka.core import run_shinka_eval


def validate(result):
    points, reported = result
    gap = min(b - a for a, b in pairwise(points))
    if abs(gap - reported) > 1e-12:
        return False, "the reported gap is not the gap of the points"
    return all(0.0 <= point <= 1.0 for point in points), "a point lies outside the line"


def aggregate(results):
    gaps = [gap for _, gap in results]
    return {
        "combined_score": sum(gaps) / len(gaps),
        "public": {"smallest_gap": min(gaps)},
        "private": {"secret": 1.0},
        "text_feedback": "the end of the line is unused",
    }


def main(program_path, results_dir):
    run_shinka_eval(
        program_path=program_path,
        results_dir=results_dir,
        experiment_fn_name="run_experiment",
        num_runs=2,
        get_experiment_kwargs=lambda index: {"count": 5 + index},
        aggregate_metrics_fn=aggregate,
        validate_fn=validate,
        run_workers=1,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--program_path")
    parser.add_argument("--results_dir")
    arguments = parser.parse_args()
    main(arguments.program_path, arguments.results_dir)
