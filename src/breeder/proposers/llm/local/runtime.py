"""The process that runs a model: `python -m breeder.proposers.llm.local.runtime`.

It reads one JSON line of settings from its standard input, loads the model, serves it over HTTP on
the loopback interface, prints its address as one JSON line, and ends when its standard input does:
so it never outlives the process that holds the other end, however that one ends.

llama.cpp is native code that reads files from anywhere. A crash of it ends this process, and not
the one that searches.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is run.

    Attributes:
        model: path of the GGUF file.
        key: what a request must show; keeps other users of the machine out.
        threads: threads that compute.
        context: tokens that all samples of a request may have together, their prompt counted once.
        parallel: samples drawn side by side.
    """

    model: str
    key: str
    threads: int = 1
    context: int = 8192
    parallel: int = 8

    def line(self) -> bytes:
        """The line that the process reads."""
        return json.dumps(asdict(self)).encode() + b"\n"


def serve(settings: Settings) -> Any:
    """Load the model and serve it; returns the server, which lives in threads of its own.

    Raises:
        RuntimeError: the file cannot be loaded.
    """
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = settings.model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings.key]
    params.n_ctx = settings.context
    params.n_parallel = settings.parallel
    params.kv_unified = True  # the samples of a request share their prompt
    params.cache_ram_mib = 128
    params.warmup = params.ui = params.endpoint_slots = params.fit_params = False
    params.verbosity = 0
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = settings.threads
        threads.poll = 0  # waiting threads sleep: the cores are shared with evaluations
    return Server(params)


def main() -> None:
    """Serve until the standard input ends."""
    # Native code may print; what we say must arrive clean.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    settings = Settings(**json.loads(sys.stdin.buffer.readline()))
    try:
        server = serve(settings)
    except (ImportError, RuntimeError, ValueError) as error:
        print(json.dumps({"error": str(error) or type(error).__name__}), file=answers, flush=True)
        return
    told = {"address": server.listening_address}
    print(json.dumps(told), file=answers, flush=True)
    sys.stdin.buffer.read()
    # Orderly shutdown would finish the samples under way, which nobody waits for.
    os._exit(0)


if __name__ == "__main__":
    main()
