"""The command line that a run's configuration amounts to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from breeder.report.records import RunSummary

_FLAGS = (
    (("budget", "minutes"), "--minutes"),
    (("budget", "evaluations"), "--evaluations"),
    (("budget", "cpu_seconds"), "--cpu-seconds"),
    (("budget", "tokens"), "--tokens"),
    (("budget", "currency"), "--currency"),
    (("seed",), "--seed"),
    (("slots",), "--slots"),
    (("search", "proposers"), "--proposers"),
    (("search", "plateau"), "--plateau"),
)


def command_line(summary: RunSummary) -> str:
    """Return a `breeder run` command with the flags that give this configuration."""
    words = ["breeder", "run", summary.task]
    for path, flag in _FLAGS:
        value = _lookup(summary.config, path)
        if value is not None:
            text = ",".join(map(str, value)) if isinstance(value, list) else f"{value}"
            words += [flag, text]
    if summary.sandbox == "none":
        words += ["--sandbox", "none"]
    if summary.config.get("baselines"):
        words.append("--baselines")
    return shlex.join(words)


def _lookup(config: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = config
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
