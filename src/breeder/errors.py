"""The exception tree. Candidates' faults are values (`core.Failure`); these are ours or the user's.

BreederError
├── UserError                 exit code 2, one line: what, where, remedy
│   ├── TaskError             a task folder is wrong (file, key, remedy)
│   ├── ConfigError           a configuration file or flag is wrong
│   ├── RunError              a run directory cannot be used (exists, busy, newer, missing)
│   └── CertificateError      a certificate is damaged, was changed, or is not accepted
├── SandboxUnavailableError   no sandbox on this machine; says what to install
├── EvaluatorError            the task's evaluate.py raised, hung or returned nothing usable
├── StoreError                the store cannot be written or read (disk full, damaged)
├── InvalidConstructionError  a construction breaks its problem's rules; says how
└── NothingAchievedError      exit code 1: every evaluation failed, or no usable proposer
"""

from __future__ import annotations


class BreederError(Exception):
    """Root of every exception that breeder raises on purpose. Its text is one clear line."""

    exit_code = 1


class UserError(BreederError):
    """A mistake that the user can mend."""

    exit_code = 2


class TaskError(UserError):
    """A task folder is wrong. Renders as `file: key: what is wrong; remedy`."""

    def __init__(self, file: str, key: str, problem: str, remedy: str = "") -> None:
        self.file, self.key, self.problem, self.remedy = file, key, problem, remedy
        where = f"{file}: {key}: " if key else f"{file}: "
        super().__init__(where + problem + (f"; {remedy}" if remedy else ""))


class ConfigError(UserError):
    """A configuration file or a flag is wrong."""


class RunError(UserError):
    """A run directory cannot be used as asked."""


class CertificateError(UserError):
    """A certificate cannot be read, was changed, or does not earn an adoption."""


class SandboxUnavailableError(UserError):
    """Candidates cannot be isolated on this machine. The text says what to install."""


class EvaluatorError(UserError):
    """The task's own evaluator failed; no candidate is to blame. Never becomes a score."""


class StoreError(UserError):
    """The run's store cannot be read or written."""


class InvalidConstructionError(UserError):
    """A construction breaks the rules of its problem. The text says which, and where."""


class NothingAchievedError(BreederError):
    """The run ended without a single admissible evaluation beyond or including the start."""
