"""A tiny kernel, y = factor * x with state += 1, and subjects that run it on a scripted clock."""

import random

import numpy as np

from breeder.core import NativeFunction
from breeder.kernels import (
    Expected,
    Kernel,
    Output,
    TrustedBatch,
    TrustedProgram,
    Updated,
    rounding,
)
from breeder.measurement import Spent

SIGNATURES = {
    "scale": NativeFunction(("float32[]", "inout float32[]", "inout int32[]", "int64", "float32"))
}


def draw(inputs, size):
    state = inputs.rng.integers(0, 100, 2).astype(np.int32)
    factor = inputs.magnitude(0.5, 2)
    return inputs.normal(size), Output((size,)), Updated(state), size, factor


def reference(size, arguments):
    x, _, state, _, factor = arguments
    return [
        Expected("y", x.astype(float) * np.float32(factor), rounding(np.float32)),
        Expected("state", state.array + 1, rounding(np.int32)),
    ]


KERNEL = Kernel("scale", draw, reference)


def scale(x, y, state, size, factor):
    """The honest one."""
    y[:size] = x * np.float32(factor)
    state[:2] += 1


class Clocked:
    """Runs a function and says that each call took about so long, in some noise.

    Args:
        function: takes the kernel's arguments.
        seconds: per call, or a function of a batch's number of calls.
        noise: standard deviation of the logarithm.
        seed: of the noise.
    """

    def __init__(self, function=scale, seconds=1e-3, *, noise=0.05, seed=0):
        self.program = TrustedProgram(SIGNATURES, {"scale": function})
        self.seconds, self.noise = seconds, noise
        self.rng = random.Random(seed)
        self.batches = []
        self.restarts = self.exchanges = 0

    def restart(self):
        self.restarts += 1

    def exchange(self, other):
        self.exchanges += 1

    def prepare(self, function, calls):
        self.batches.append([list(call) for call in calls])
        return _Clocked(self.program.prepare(function, calls), self, len(calls))


class _Clocked:
    def __init__(self, batch: TrustedBatch, owner, count):
        self.batch, self.owner, self.count = batch, owner, count

    def run(self):
        self.batch.run()
        rate = self.owner.seconds
        seconds = rate(self.count) if callable(rate) else rate * self.count
        seconds *= 2.718281828 ** self.owner.rng.gauss(0, self.owner.noise)
        return Spent(seconds, 3 * seconds)

    def output(self, index):
        return self.batch.output(index)

    def arguments(self, index):
        return self.batch.arguments(index)
