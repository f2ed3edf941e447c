"""Admission: turns a proposal into a program, or says why it is not worth an evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from breeder.core import Program
from breeder.proposers.fingerprint import Fingerprint, fingerprint
from breeder.proposers.proposer import Grammar, Proposal
from breeder.regions import MarkerError, frozen_text


class Refusal(StrEnum):
    """Why a proposal costs no evaluation."""

    DUPLICATE = "duplicate"  # same normalised tree as a program that was evaluated or is under way
    UNCHANGED = "unchanged"  # same text as its parent
    FROZEN = "frozen"  # text outside the evolvable regions, the markers or the file list changed
    LARGE = "large"  # larger than the task allows
    ENCODING = "encoding"  # cannot be written as UTF-8


def program_id(files: Mapping[str, str]) -> str:
    """Content hash of a program's files, 16 hexadecimal digits."""
    hasher = hashlib.sha256()
    for name in sorted(files):
        hasher.update(f"{len(name)}:{name}:{len(files[name])}:{files[name]}".encode())
    return hasher.hexdigest()[:16]


class Admission:
    """Keeps the set of seen trees and the frozen text that every program must share.

    Args:
        files: the initial program.
        grammar: how to read and splice the files.
        source_kib: largest size of all files together.
        seen: fingerprints of programs evaluated in earlier sittings.
        measure: the fingerprint function (injected in tests).
    """

    def __init__(
        self,
        files: Mapping[str, str],
        grammar: Grammar,
        *,
        source_kib: int,
        seen: Iterable[str] = (),
        measure: Callable[[Mapping[str, str], Grammar], Fingerprint] = fingerprint,
    ) -> None:
        self._grammar = grammar
        self._frozen = {name: self._frozen_text(text) for name, text in files.items()}
        self._limit = source_kib * 1024
        self._seen = set(seen)
        self._measure = measure

    def start(self, files: Mapping[str, str]) -> Program:
        """The initial program; never refused."""
        mark = self._measure(files, self._grammar)
        self._seen.add(mark.digest)
        return Program(program_id(files), dict(files), fingerprint=mark.digest, size=mark.size)

    def admit(self, proposer: str, proposal: Proposal, parent: Program) -> Program | Refusal:
        """Return the new program, or why it is refused. An admitted one counts as seen."""
        if proposal.files == parent.files:
            return Refusal.UNCHANGED
        try:
            if sum(len(text.encode()) for text in proposal.files.values()) > self._limit:
                return Refusal.LARGE
        except UnicodeEncodeError:
            return Refusal.ENCODING
        if not self._same_frozen_text(proposal.files):
            return Refusal.FROZEN
        mark = self._measure(proposal.files, self._grammar)
        if mark.digest in self._seen:
            return Refusal.DUPLICATE
        self._seen.add(mark.digest)
        return Program(
            id=program_id(proposal.files),
            files=dict(proposal.files),
            parents=proposal.parents,
            proposer=proposer,
            note=proposal.note,
            fingerprint=mark.digest,
            size=mark.size,
            generation=parent.generation + 1,
        )

    def forget(self, program: Program) -> None:
        """Take back an admission whose evaluation never finished."""
        self._seen.discard(program.fingerprint)

    def _same_frozen_text(self, files: Mapping[str, str]) -> bool:
        if files.keys() != self._frozen.keys():
            return False
        try:
            return all(self._frozen_text(text) == self._frozen[n] for n, text in files.items())
        except MarkerError:
            return False

    def _frozen_text(self, text: str) -> tuple[str, ...]:
        return frozen_text(text, self._grammar.regions(text))
