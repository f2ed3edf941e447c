"""What a verifier raises."""

from __future__ import annotations

from breeder.errors import InvalidConstructionError
from breeder.evaluation.candidate import InvalidAnswerError


class RefusedError(InvalidConstructionError, InvalidAnswerError):
    """A construction is refused; the text says why, in one line.

    Both at once: an evaluate.py lets it through as the candidate's failure, and a command shows it
    to the user as the mistake of whoever made the file.
    """
