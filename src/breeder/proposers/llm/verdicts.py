"""What becomes of a model's answer: applied to the parent, or rejected with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Form(StrEnum):
    """How a model is asked to write its change."""

    DIFF = "diff"  # SEARCH/REPLACE blocks, or a unified diff
    FUNCTION = "function"  # one function, with helpers where it needs some
    BLOCK = "block"  # the whole evolvable block
    FILE = "file"  # the whole file


class Reason(StrEnum):
    """Why an answer was rejected. Counted and named in the views of a run."""

    EMPTY = "empty"  # nothing, or nothing but thoughts
    PROSE = "prose"  # text without code
    TRUNCATED = "truncated"  # it breaks off
    TOO_LARGE = "too-large"
    MALFORMED = "malformed"  # edit markers or JSON that cannot be read
    LANGUAGE = "wrong-language"
    SYNTAX = "syntax"  # the result does not parse
    IMPORT = "import"  # an import or include where none can stand
    NOT_FOUND = "not-found"  # the text to replace is not in the program
    AMBIGUOUS = "ambiguous"  # it is there more than once
    FROZEN = "frozen"  # it changes text outside the evolvable block
    ENTRY = "entry"  # a function that the task calls is gone or is called differently
    UNCHANGED = "unchanged"  # the same program, up to comments and layout


@dataclass(frozen=True, slots=True)
class Applied:
    """A new program text made from an answer.

    Attributes:
        files: every evolved file, path -> full text; frozen text as in the parent.
        form: how the answer was read, which need not be how it was asked for.
        note: one line on what was changed.
        parses: a grammar found no syntax error; False where there is no grammar.
    """

    files: Mapping[str, str]
    form: Form
    note: str
    parses: bool


@dataclass(frozen=True, slots=True)
class Rejected:
    """An answer that cannot be used.

    Attributes:
        reason: the kind of mistake.
        detail: what is wrong, in words that a model can act on.
        shown: lines of the program or the answer that the detail is about; may be empty.
    """

    reason: Reason
    detail: str
    shown: str = ""


class RefusalError(Exception):
    """Ends one way of reading an answer. Caught by `edits.apply`, which tries the others."""

    def __init__(self, reason: Reason, detail: str, shown: str = "") -> None:
        self.rejected = Rejected(reason, detail, shown)
        super().__init__(f"{reason}: {detail}")


_INFORMATIVE = (
    Reason.UNCHANGED,
    Reason.FROZEN,
    Reason.IMPORT,
    Reason.ENTRY,
    Reason.AMBIGUOUS,
    Reason.NOT_FOUND,
    Reason.TRUNCATED,
    Reason.LANGUAGE,
    Reason.SYNTAX,
    Reason.MALFORMED,
    Reason.TOO_LARGE,
    Reason.PROSE,
    Reason.EMPTY,
)


def most_informative(rejections: list[Rejected]) -> Rejected:
    """The rejection that came closest to an applied edit; the first of equals."""
    return min(rejections, key=lambda r: _INFORMATIVE.index(r.reason))
