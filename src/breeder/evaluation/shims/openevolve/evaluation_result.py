"""`EvaluationResult` as OpenEvolve evaluators construct it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class EvaluationResult:
    """Metrics of one evaluation, with artifacts for proposers."""

    metrics: dict[str, Any]
    artifacts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, metrics: dict[str, Any]) -> EvaluationResult:
        """Wrap a plain mapping of metrics."""
        return cls(metrics=metrics)

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics alone."""
        return self.metrics

    def has_artifacts(self) -> bool:
        """Say whether there are artifacts."""
        return bool(self.artifacts)
