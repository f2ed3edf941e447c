import argparse
import sys

from shinka.core import run_shinka_eval


def aggregate(results):
    return {
        "combined_score": sum(results),
        "public": {"largest": max(results), "gap": float("inf")},
        "extra_data": {"results": results},
    }


def main(program_path, results_dir):
    _, correct, _ = run_shinka_eval(
        program_path=program_path,
        results_dir=results_dir,
        experiment_fn_name="draw",
        num_runs=3,
        aggregate_metrics_fn=aggregate,
        validate_fn=lambda result: (result < 100, f"{result} is too large"),
        plotting_fn=None,
        default_metrics_on_error={"combined_score": -1.0},
        run_workers=2,
        verbose=False,
    )
    sys.exit(0 if correct else 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--program_path")
    parser.add_argument("--results_dir")
    arguments = parser.parse_args()
    main(arguments.program_path, arguments.results_dir)
