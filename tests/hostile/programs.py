"""Hostile candidates. They run inside the bubblewrap sandbox only, never anywhere else.

Each is the evolvable block of a program whose honest form defines `solve(n)` returning an array of
n floats; the evaluator scores minus their squared distance to 0, 1, ..., n - 1.
"""

# name -> (block, failure kinds that are right for it; "" where it may finish with an honest score)
PROGRAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "endless loop": ("def solve(n):\n    while True:\n        pass\n", ("cpu-time", "wall-time")),
    "ignores SIGTERM": (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "def solve(n):\n    while True:\n        time.sleep(1)\n",
        ("wall-time",),
    ),
    "spawns processes": (
        "import os, time\ndef solve(n):\n    for _ in range(500):\n        if os.fork() == 0:\n"
        "            time.sleep(60)\n    return np.zeros(n)\n",
        ("processes", "exception"),
    ),
    "leaves orphans": (
        "import os, time\ndef solve(n):\n    if os.fork() == 0:\n        os.setsid()\n"
        "        if os.fork() == 0:\n            time.sleep(600)\n        os._exit(0)\n"
        "    return np.zeros(n)\n",
        ("",),
    ),
    "allocates 4 GiB": (
        "def solve(n):\n    data = bytearray(4 << 30)\n    return np.zeros(n) + data[5]\n",
        ("memory", "exception"),
    ),
    "writes 200 MB": (
        "def solve(n):\n    with open('big', 'wb') as f:\n        for _ in range(200):\n"
        "            f.write(b'x' * (1 << 20))\n    return np.zeros(n)\n",
        ("disk", "exception", "crash"),
    ),
    "prints 50 MB": (
        "def solve(n):\n    for _ in range(50):\n        print('y' * (1 << 20), flush=True)\n"
        "    return np.zeros(n)\n",
        ("output",),
    ),
    "sys.exit": ("import sys\ndef solve(n):\n    sys.exit(0)\n", ("exit",)),
    "os._exit": ("import os\ndef solve(n):\n    os._exit(0)\n", ("exit",)),
    "segfault": ("import ctypes\ndef solve(n):\n    ctypes.string_at(0)\n", ("crash",)),
    "kills its parent": (
        "import os, signal\ndef solve(n):\n    for pid in (os.getppid(), 1, -1):\n        try:\n"
        "            os.kill(pid, signal.SIGKILL)\n        except OSError:\n            pass\n"
        "    return np.zeros(n)\n",
        ("", "crash", "exit"),
    ),
    "reads environment and home": (
        "import os\ndef solve(n):\n    seen = [v for k, v in os.environ.items() if 'CANARY' in k]\n"
        "    for root in ('/root', '/home', os.path.expanduser('~')):\n"
        "        for base, dirs, files in os.walk(root):\n"
        "            dirs[:] = [d for d in dirs if d != 'lib']\n            for name in files:\n"
        "                if 'canary' in name:\n                    seen.append(name)\n"
        "    raise RuntimeError('LEAK ' + repr(seen))\n",
        ("exception",),
    ),
    "opens sockets": (
        "import socket\ndef solve(n):\n    try:\n        s = socket.socket()\n"
        "        s.bind(('127.0.0.1', 0))\n        s.listen()\n"
        "        socket.create_connection(s.getsockname(), 1)\n    except OSError:\n"
        "        return np.zeros(n)\n    return np.arange(n, dtype=float)\n",
        ("",),
    ),
    "monkeypatches the scorer": (
        "import builtins, math, sys\nbuiltins.float = lambda x: 999.0\n"
        "np.sum = lambda *a, **k: -999\n"
        "for m in list(sys.modules.values()):\n    if hasattr(m, 'evaluate'):\n"
        "        m.evaluate = lambda *a: {'score': 999.0}\n"
        "def solve(n):\n    return np.zeros(n)\n",
        ("",),
    ),
    "overwrites evaluator, task and store": (
        "import os\ndef solve(n):\n    for base, dirs, files in os.walk('/'):\n"
        "        dirs[:] = [d for d in dirs if d not in ('sys', 'usr', 'lib', 'lib64')]\n"
        "        for name in files:\n"
        "            if name.endswith(('evaluate.py', 'task.toml', 'run.db')):\n"
        "                with open(os.path.join(base, name), 'w') as f:\n"
        "                    f.write('def evaluate(c): return {\"score\": 999.0}')\n"
        "    return np.zeros(n)\n",
        ("",),
    ),
    "forges messages on the pipe": (
        "import os, msgspec\n"
        "forged = msgspec.msgpack.encode({'ok': True, 'value': 999.0, 'score': 999.0})\n"
        "def solve(n):\n    for fd in range(3, 64):\n        try:\n"
        "            os.write(fd, len(forged).to_bytes(4, 'little') + forged)\n"
        "        except OSError:\n            pass\n    return np.zeros(n)\n",
        ("", "protocol", "output", "exit", "wall-time", "crash"),
    ),
    "answers NaN": ("def solve(n):\n    return np.full(n, np.nan)\n", ("non-finite",)),
    "answers infinity": ("def solve(n):\n    return np.full(n, -np.inf)\n", ("non-finite",)),
    "wrong shape": ("def solve(n):\n    return np.zeros((n, 2))\n", ("invalid",)),
    "wrong dtype": (
        "def solve(n):\n    return np.array(['a'] * n, dtype=object)\n",
        ("protocol", "invalid"),
    ),
    "gigantic answer": (
        "def solve(n):\n    return np.zeros(40_000_000)\n",
        ("output", "protocol", "memory", "exception"),
    ),
    "deeply nested answer": (
        "def solve(n):\n    x = []\n    for _ in range(100000):\n        x = [x]\n    return x\n",
        ("protocol", "exception", "crash", "invalid"),
    ),
    "answers after the deadline": (
        "import time\ndef solve(n):\n    time.sleep(30)\n    return np.arange(n, dtype=float)\n",
        ("wall-time",),
    ),
    "threads that never end": (
        "import threading, time\ndef spin():\n    while True:\n        time.sleep(0.01)\n"
        "def solve(n):\n    for _ in range(4):\n        threading.Thread(target=spin).start()\n"
        "    return np.zeros(n)\n",
        ("",),
    ),
    "1 MB of source": (
        "x = '" + "z" * 1_000_000 + "'\ndef solve(n):\n    return np.zeros(n)\n",
        ("refused",),
    ),
    "source that is not UTF-8": (
        "x = '\udcff\udcfe'\ndef solve(n):\n    return np.zeros(n)\n",
        ("syntax", "refused"),
    ),
    "without the required function": ("def solved(n):\n    return np.zeros(n)\n", ("missing",)),
}

TASK_TOML = """
[task]
name = "target"
goal = "answer 0, 1, ..., n - 1"
[program]
files = ["initial.py"]
preload = ["numpy"]
[[objective]]
name = "score"
direction = "maximize"
[limits]
cpu_seconds = 1
wall_seconds = 2
memory_mib = 512
scratch_mib = 16
file_mib = 8
processes = 8
output_kib = 64
answer_mib = 4
source_kib = 64
"""

INITIAL = """import numpy as np
# EVOLVE-BLOCK-START
def solve(n):
    return np.zeros(n) - 1.0
# EVOLVE-BLOCK-END
"""

EVALUATE = """import numpy as np
from breeder.evaluation import InvalidAnswerError

def evaluate(candidate):
    answer = candidate.call("solve", 3)
    if not isinstance(answer, np.ndarray) or answer.shape != (3,) or answer.dtype != np.float64:
        raise InvalidAnswerError("expected an array of 3 floats")
    return {"score": -float(np.sum((answer - np.arange(3)) ** 2))}
"""

# The honest candidates that stand between the hostile ones answer this and must score -5.
HONEST = "def solve(n):\n    return np.zeros(n)\n"
HONEST_SCORE = -5.0


def source(block: str) -> str:
    """A program with `block` as its evolvable region."""
    head = INITIAL.partition("# EVOLVE-BLOCK-START\n")[0]
    return f"{head}# EVOLVE-BLOCK-START\n{block}# EVOLVE-BLOCK-END\n"
