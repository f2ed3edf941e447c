"""A whole training step of a GPT with 30 M parameters, T = 512: kernels against PyTorch, CPU time.

    python benchmarks/training_step.py [--threads 1] [--rounds 15] [--settings found,accurate,...]
    python benchmarks/training_step.py --profile    # where the step of PyTorch as found goes

Needs torch. A step is forward, loss, backward, clipping and AdamW, in float32. Each variant lives
in a process of its own, since the C library takes its settings when a process begins; in every
round each makes one step on fresh tokens, in random order, and ratios are taken within rounds.

Settings: `found` is PyTorch as it comes; `accurate` the strongest setting that keeps float32's
accuracy (freed memory kept, fused AdamW); `high` and `rounded` add matrix product precision `high`
and `medium`. On processors with matrix tiles `medium` rounds operands to bfloat16; `high` changes
nothing in PyTorch, while kernels take operands as sums of two bfloat16 numbers there, as PyTorch
documents it (relative error 4e-6). With each, PyTorch runs eagerly and compiled, and eagerly with
kernels. All variants must start from the same loss.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from statistics import median
from typing import Any, NamedTuple

from breeder.models import preset
from record import bootstrap, header, table

MODEL, VOCABULARY, ROWS = "gpt-30m", 8192, 512
KEPT = "8589934592"
MALLOC = {"MALLOC_MMAP_THRESHOLD_": KEPT, "MALLOC_TRIM_THRESHOLD_": KEPT}
SETTINGS = ("found", "accurate", "high", "rounded")
PRECISIONS = {"high": "high", "rounded": "medium"}
WAYS = ("eager", "compiled", "kernels")
RIVALS = {
    ("found", "eager"): "over eager as found",
    ("found", "compiled"): "over compiled as found",
    ("accurate", "compiled"): "over compiled, accurate",
}
WARM_UP = 2
AGREEMENT = {"found": 1e-4, "accurate": 1e-4, "high": 1e-4, "rounded": 1e-2}


class Sample(NamedTuple):
    """One step: CPU time of the process, elapsed time, loss."""

    cpu: float
    wall: float
    loss: float


class Step:
    """The step of one variant.

    Args:
        setting: one of `SETTINGS`.
        way: one of `WAYS`.
        batch: sequences.
    """

    def __init__(self, setting: str, way: str, batch: int) -> None:
        from breeder.models import Decoder
        from breeder.models.pytorch import torch

        self._torch, self._batch = torch, batch
        torch.set_float32_matmul_precision(PRECISIONS.get(setting, "highest"))
        self._model = Decoder(preset(MODEL, VOCABULARY)).initialise(0)
        options = {} if setting == "found" else {"fused": True}
        self.optimiser = torch.optim.AdamW(self._model.parameters(), lr=3e-4, **options)
        self._call = torch.compile(self._model) if way == "compiled" else self._model
        self._tokens = torch.Generator().manual_seed(0)

    def __call__(self) -> float:
        """Make a step; returns its loss."""
        torch = self._torch
        tokens = torch.randint(
            0, VOCABULARY, (self._batch, ROWS + 1), generator=self._tokens
        )  # the same draws for every variant
        logits = self._call(tokens[:, :-1])
        targets = tokens[:, 1:].flatten()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(loss.item())


def work(setting: str, way: str, batch: int, threads: int) -> None:
    """Make a step whenever a line comes in, and tell what it took; at the end what kernels did."""
    from breeder.models.pytorch import torch
    from breeder.training import accelerate

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked ends this one
    torch.set_num_threads(threads)
    step = Step(setting, way, batch)
    kernels: Any = accelerate(None, step.optimiser) if way == "kernels" else nullcontext()
    with kernels as accelerated:
        for line in sys.stdin:
            if line.strip() == "report":
                print(json.dumps(accelerated.report() if accelerated else ""), flush=True)
                continue
            cpu, wall = time.process_time(), time.perf_counter()
            loss = step()
            sample = Sample(time.process_time() - cpu, time.perf_counter() - wall, loss)
            print(json.dumps(sample), flush=True)


class Worker:
    """The process of one variant."""

    def __init__(self, setting: str, way: str, batch: int, threads: int) -> None:
        self.setting, self.way, self._owed = setting, way, 0
        environment = {**os.environ, **(MALLOC if setting != "found" else {})}
        options = ["--batch", str(batch), "--threads", str(threads)]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", f"{setting},{way}", *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def step(self) -> Sample:
        """One step."""
        return Sample(*self._asked("step"))

    def report(self) -> str:
        """What kernels did."""
        return str(self._asked("report"))

    def end(self) -> None:
        """Let the process leave."""
        self._process.communicate()

    def _asked(self, words: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        self._owed += 1
        line = ""
        while self._owed:  # an answer that was interrupted comes first
            line = self._process.stdout.readline()
            if not line:
                raise SystemExit(f"{self.setting}, {self.way}: the process died")
            self._owed -= 1
        return json.loads(line)


Samples = dict[tuple[str, str], list[Sample]]


def measured(workers: list[Worker], rounds: int) -> Samples:
    """Steps of every variant, interleaved; stops where losses differ. Ctrl-C ends it earlier."""
    firsts: dict[str, float] = {}
    for worker in workers:
        for number in range(WARM_UP):
            loss = worker.step().loss
            if number == 0:
                expected = firsts.setdefault(worker.setting, loss)
                if abs(loss - expected) > AGREEMENT[worker.setting] * abs(expected):
                    raise SystemExit(f"{worker.setting}, {worker.way}: {loss}, not {expected}")
        print(f"{worker.setting}, {worker.way}: warm", file=sys.stderr)
    samples: Samples = {(one.setting, one.way): [] for one in workers}
    rng, begun = random.Random(1), time.monotonic()
    for number in range(1, rounds + 1):
        try:
            taken = [(one, one.step()) for one in rng.sample(workers, len(workers))]
        except KeyboardInterrupt:  # the round that was under way does not count
            if number == 1:
                raise
            break
        for worker, sample in taken:
            samples[worker.setting, worker.way].append(sample)
        left = (rounds - number) * (time.monotonic() - begun) / number
        print(f"round {number} of {rounds}, {left:.0f} s left", file=sys.stderr)
    return samples


def ratio(slow: list[Sample], fast: list[Sample], time_of: Callable[[Sample], float]) -> str:
    """Median over the rounds of slow over fast, with its interval."""
    pairs = [time_of(a) / time_of(b) for a, b in zip(slow, fast, strict=True)]
    value, low, high = bootstrap(pairs, median)
    return f"{value:.2f}x [{low:.2f}, {high:.2f}]"


def rows(samples: Samples, time_of: Callable[[Sample], float]) -> list[list[str]]:
    """A row for each variant: time, speed over `RIVALS`, speed of kernels over it."""
    lines = []
    for (setting, way), taken in samples.items():
        kernels = samples.get((setting, "kernels"))
        told = ratio(taken, kernels, time_of) if kernels and way != "kernels" else ""
        over = [
            ratio(samples[rival], taken, time_of) if rival in samples else "" for rival in RIVALS
        ]
        seconds = f"{median(map(time_of, taken)):.2f}"
        lines.append([setting, way, seconds, *over, told, f"{len(taken)}"])
    return lines


def profile(batch: int) -> None:
    """Print the share of each kind of work in PyTorch's step as found."""
    from breeder.models.pytorch import torch

    torch.set_num_threads(1)
    step = Step("found", "eager", batch)
    step()
    with torch.profiler.profile() as profiler:
        step()
    shares: dict[str, float] = {}
    for event in profiler.key_averages():
        kind = next((kind for kind, names in KINDS.items() if names in event.key), "the rest")
        shares[kind] = shares.get(kind, 0.0) + event.self_cpu_time_total
    total = sum(shares.values())
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    print(header(f"Shares of a training step, {MODEL}, B = {batch}, T = {ROWS}, as found"))
    print(table(["kind", "share"], [[kind, f"{part / total:.0%}"] for kind, part in ordered]))


KINDS = {
    "matrix products": "aten::mm",
    "attention, forward and backward": "flash_attention",
    "cross-entropy": "log_softmax",
    "AdamW": "AdamW",
    "SwiGLU's silu": "aten::silu",
}
"""Kinds of work and what names of their operations contain."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=2, help="sequences of a step")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        setting, way = options.work.split(",")
        work(setting, way, options.batch, options.threads)
        return
    if options.profile:
        profile(options.batch)
        return
    workers = [
        Worker(setting, way, options.batch, options.threads)
        for setting in options.settings.split(",")
        for way in options.ways.split(",")
        if (setting, way) != ("high", "compiled")  # the same as `accurate`
    ]
    samples = measured(workers, options.rounds)
    reports = [one.report() for one in workers if one.way == "kernels"]
    for worker in workers:
        worker.end()
    title = f"Training step, {MODEL}, B = {options.batch}, T = {ROWS}, {options.threads} threads"
    print(header(title))
    columns = ["setting", "way", "s/step", *RIVALS.values(), "kernels against it", "rounds"]
    for name in ("cpu", "wall") if options.threads > 1 else ("cpu",):
        print(f"{name} time\n")
        print(table(columns, rows(samples, lambda one, name=name: getattr(one, name))))  # type: ignore[misc]
    print("\nKernels:\n" + "\n".join(dict.fromkeys(reports)))


if __name__ == "__main__":
    main()
