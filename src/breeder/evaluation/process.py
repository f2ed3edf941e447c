"""The evaluator process: trusted, one per slot, long-lived. `python -m breeder.evaluation.process`.

It loads the task's evaluator once, opens one sandbox, and then answers requests until the other
end of its socket is gone. It dies with the process that started it, and its sandbox with it.
"""

from __future__ import annotations

import ctypes
import os
import random
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from breeder.core import Cost, Evaluation, FailureKind
from breeder.errors import BreederError, EvaluatorError, SandboxUnavailableError
from breeder.evaluation import protocol, wire
from breeder.evaluation.beside import Beside, Neighbours
from breeder.evaluation.candidate import InvalidAnswerError
from breeder.evaluation.cascade import Cascade, StagedCandidate, Verdict, where
from breeder.evaluation.compilation import Binaries
from breeder.evaluation.live_candidate import LiveCandidate, children_cpu_seconds
from breeder.evaluation.loading import functions_of, load_evaluator
from breeder.evaluation.protocol import Baselines, CheckConstruction, Evaluate, Plan, Stage, Start
from breeder.evaluation.sandbox import CandidateFailedError, Sandbox
from breeder.evaluation.sandboxes import open_sandbox
from breeder.evaluation.scoring import ContractBreachError, clean, finite_metrics

_PR_SET_PDEATHSIG = 1
_BASELINES = "baselines"


class Evaluator:
    """Serves requests for one task in one sandbox.

    Args:
        plan: the task.
        sandbox: where candidates run.
        open_another: opens a sandbox for a program beside them, by its number among those.

    Raises:
        EvaluatorError: the evaluator cannot be loaded or lacks a function that the task names.
    """

    def __init__(
        self, plan: Plan, sandbox: Sandbox, open_another: Callable[[int], Sandbox]
    ) -> None:
        self._plan = plan
        self._sandbox = sandbox
        self._folder = Path(plan.folder)
        self._module = None
        self._support: dict[str, str | bytes] = dict(plan.program.support)
        self._program = plan.program
        self._stages = plan.stages
        if plan.kind == "breeder":
            alone = (plan.held_out, plan.confirm, plan.verify)
            stages = (*plan.stages, *(stage for stage in alone if stage is not None))
            self._module = load_evaluator(self._folder, plan.evaluator)
            names = dict.fromkeys(stage.function for stage in stages)
            if plan.verify_construction is not None:
                names[plan.verify_construction] = None
            functions = functions_of(self._module, plan.evaluator, names)
        else:
            # Only needed for other tools' folders, which most runs are not.
            from breeder.evaluation import foreign

            self._support.update(foreign.support_files(plan))
            self._program = foreign.program(plan)
            self._stages = (foreign.stage(plan),)
            functions = {foreign.FUNCTION: foreign.evaluate_function(plan)}
        self._functions = functions
        self._neighbours = Neighbours(self._live, open_another)
        self._cascade = Cascade(self._folder, plan.evaluator, functions)

    def evaluate(self, request: Evaluate) -> Evaluation:
        """Run the cascade, or the held-out function, on a program.

        Raises:
            EvaluatorError: the evaluator broke its contract on the initial program.
        """
        begin_wall, begin_cpu = time.monotonic(), own_cpu_seconds()
        random.seed(request.seed)
        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed(request.seed % 2**32)
        neighbours_cpu = self._neighbours.cpu_seconds
        candidate = self._live(self._sandbox, request, self._neighbours.beside)
        try:
            verdict = self._judge(candidate, request)
        finally:
            candidate.close()
        if verdict.breach and request.initial:
            raise EvaluatorError(verdict.breach)
        own_cpu = own_cpu_seconds() - begin_cpu - candidate.reaped_cpu_seconds
        neighbours_cpu = self._neighbours.cpu_seconds - neighbours_cpu
        cpu_seconds = own_cpu + candidate.cpu_seconds + neighbours_cpu
        cost = Cost(cpu_seconds, time.monotonic() - begin_wall)
        return self._evaluation(verdict, candidate.output(), cost, request.seed)

    def close(self) -> None:
        """End the programs that ran beside candidates. Safe to call twice."""
        self._neighbours.close()

    def _live(
        self, sandbox: Sandbox, request: Evaluate, neighbours: Beside | None
    ) -> LiveCandidate:
        return LiveCandidate(
            sandbox, self._program, self._plan.limits, request, self._support, neighbours
        )

    def baselines(self, split: protocol.Split) -> dict[str, dict[str, float]]:
        """Run the evaluator's optional `baselines(split)`.

        Raises:
            EvaluatorError: it raised, or answered anything but names with finite metrics.
        """
        function = getattr(self._module, _BASELINES, None)
        if function is None:
            return {}
        try:
            answer = function(split)
            return {
                str(name): finite_metrics(metrics, f"{_BASELINES}({split!r})")
                for name, metrics in answer.items()
            }
        except (BreederError, KeyboardInterrupt):
            raise
        except BaseException as error:
            if isinstance(error, ContractBreachError):
                raise EvaluatorError(f"{self._plan.evaluator}: {error}") from None
            raise EvaluatorError(where(error, self._folder, self._plan.evaluator)) from None

    def _judge(self, candidate: StagedCandidate, request: Evaluate) -> Verdict:
        plan = self._plan
        if request.split == "search":
            return self._cascade.run(
                candidate,
                [_tightened(stage, request.bounds) for stage in self._stages],
                constraints=plan.constraints,
                required=plan.objectives,
                parent=request.parent,
            )
        return self._cascade.run(candidate, (self._only_stage(request.split),))

    def _only_stage(self, split: protocol.Split) -> Stage:
        """The stage of a split that is no search."""
        section, stage = {
            "held_out": ("held_out", self._plan.held_out),
            "confirm": ("measured", self._plan.confirm),
            "verify": ("verification", self._plan.verify),
        }[split]
        if stage is None:
            raise EvaluatorError(
                f"task.toml: {section}: is missing, so nothing can be evaluated that way; "
                f"add [{section}] and its function to the evaluator"
            )
        return stage

    def check_construction(self, packed: bytes) -> protocol.ConstructionMetrics:
        """Run the evaluator's exact verifier on a construction.

        Raises:
            EvaluatorError: the task names none, or it raised anything but `InvalidAnswerError`.
        """
        name = self._plan.verify_construction
        if name is None:
            raise EvaluatorError(
                "task.toml: construction.verify: is missing, so constructions cannot be checked "
                "alone; name a function of the evaluator that takes one"
            )
        try:
            metrics = self._functions[name](wire.decode(packed))
            return protocol.ConstructionMetrics(finite_metrics(dict(metrics), name))
        except (InvalidAnswerError, CandidateFailedError, wire.WireError) as error:
            return protocol.ConstructionMetrics({}, clean(str(error)) or "refused")
        except (BreederError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise EvaluatorError(where(error, self._folder, self._plan.evaluator)) from None

    def _evaluation(self, verdict: Verdict, output: str, cost: Cost, seed: int) -> Evaluation:
        artifacts = verdict.artifacts
        if output.strip():
            artifacts.setdefault("output", clean(output))
        if verdict.failure is not None and verdict.failure.kind not in _VERDICTS:
            artifacts.setdefault("failure", str(verdict.failure))
        return Evaluation(
            metrics=verdict.metrics,
            failure=verdict.failure,
            cost=cost,
            stage=verdict.stage,
            stages_run=verdict.stages_run,
            artifacts=artifacts,
            construction=verdict.construction if verdict.failure is None else None,
            intervals=verdict.intervals,
            trusted=self._plan.kind == "breeder",
            seed=seed,
        )


_VERDICTS = frozenset({FailureKind.THRESHOLD, FailureKind.NEUTRAL})
"""Failures of which there is nothing to learn beyond their metrics."""


def _tightened(stage: Stage, bounds: Mapping[str, float]) -> Stage:
    """A stage with a threshold that asks for what recent programs reached."""
    if stage.threshold is None or stage.name not in bounds:
        return stage
    return msgspec.structs.replace(stage, threshold=stage.threshold.tightened(bounds[stage.name]))


def own_cpu_seconds() -> float:
    """CPU time of this process and of its children that were waited for."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime + children_cpu_seconds()


def serve(connection: socket.socket) -> None:
    """Answer requests until the other end is gone."""
    evaluator: Evaluator | None = None
    sandbox: Sandbox | None = None
    try:
        while (request := protocol.receive_request(connection)) is not None:
            reply: protocol.Reply
            try:
                if isinstance(request, Start):
                    preload = request.plan.program.preload
                    opener = partial(
                        open_sandbox, request.sandbox, preload=preload, binaries=Binaries()
                    )
                    sandbox = opener(slot=request.slot)
                    # Only the sandboxes of one process must have different numbers.
                    first = request.slot + 1
                    evaluator = Evaluator(
                        request.plan, sandbox, partial(_open_beside, opener, first)
                    )
                    reply = protocol.Ready()
                else:
                    reply = _answer(evaluator, request)
            except SandboxUnavailableError as error:
                reply = protocol.Refused("sandbox", str(error))
            except BreederError as error:
                reply = protocol.Refused("evaluator", str(error))
            connection.sendall(protocol.frame(reply))
    finally:
        if evaluator is not None:
            evaluator.close()
        if sandbox is not None:
            sandbox.close()


def _open_beside(opener: Callable[..., Sandbox], first: int, number: int) -> Sandbox:
    return opener(slot=first + number)


def _answer(
    evaluator: Evaluator | None, request: Evaluate | Baselines | CheckConstruction
) -> protocol.Reply:
    if evaluator is None:
        raise EvaluatorError("the evaluator process was asked before it was started")
    if isinstance(request, Evaluate):
        return protocol.Evaluated(evaluator.evaluate(request))
    if isinstance(request, CheckConstruction):
        return evaluator.check_construction(request.construction)
    return protocol.BaselineMetrics(evaluator.baselines(request.split))


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however it dies (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


def main() -> None:
    """Serve the socket whose descriptor is the first argument; the second is the parent's pid."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent(parent)
    with socket.socket(fileno=descriptor) as connection:
        serve(connection)


if __name__ == "__main__":
    main()
