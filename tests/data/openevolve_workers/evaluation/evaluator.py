"""Imports the candidate by name, works in processes and threads, keeps files by __file__."""

import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import tempfile
from importlib import __import__

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import reference  # noqa: E402


def _count(queue, items):
    queue.put(len(items))


def _double(number):
    return 2 * number


def _answers(program_path, sides):
    folder, name = os.path.split(os.path.abspath(program_path))
    sys.path.insert(0, folder)
    try:
        program = __import__(os.path.splitext(name)[0])
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as threads:
            return threads.submit(program.areas, sides).result(timeout=10)
    finally:
        sys.path.remove(folder)


def evaluate(program_path):
    with open(os.path.join(os.path.dirname(HERE), "sides.txt")) as file:
        sides = [int(word) for word in file.read().split()]
    try:
        answers = _answers(program_path, sides)
    except Exception as error:
        return {"metrics": {"combined_score": 0.0}, "artifacts": {"status": str(error)}}
    queue = multiprocessing.Queue()
    counting = multiprocessing.Process(target=_count, args=(queue, answers))
    counting.start()
    counted = queue.get(timeout=10)
    counting.join()
    with concurrent.futures.ProcessPoolExecutor(max_workers=2) as processes:
        doubled = list(processes.map(_double, [1, 2]))
    with tempfile.TemporaryDirectory() as folder:
        script = os.path.join(folder, "script.py")
        with open(script, "w") as file:
            file.write("import reference; print(reference.areas([5])[0])")
        run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=20)
    right = sum(a == b for a, b in zip(answers, reference.areas(sides), strict=True))
    return {
        "right": right,
        "counted": counted,
        "doubled": sum(doubled),
        "child": int(run.stdout or -1),
        "worst": float("inf"),
        "complete": True,
        "combined_score": right / len(sides),
        "artifacts": {"note": "checked"},
    }
