"""Recorded-style answers: each file says what was asked for and what must become of it."""

from dataclasses import dataclass, field
from pathlib import Path

from breeder.proposers.proposer import Grammar

FOLDER = Path(__file__).parents[2] / "data" / "answers"
LANGUAGES = {".py": "python", ".cpp": "cpp", ".c": "c"}


@dataclass
class RecordedAnswer:
    """One answer with its expectation.

    Attributes:
        name: name of its file.
        parent: name of the parent's file.
        form: what was asked for.
        outcome: `applied` or `rejected`; `kind`: the form it is read as, or the reason.
        answer: its text.
        has, lacks: texts that the child must or must not hold.
        says: text that the rejection must hold.
        truncated: the endpoint reported a limit of tokens.
    """

    name: str
    parent: str = ""
    form: str = ""
    outcome: str = ""
    kind: str = ""
    answer: str = ""
    has: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    says: list[str] = field(default_factory=list)
    truncated: bool = False

    @property
    def parent_files(self) -> dict[str, str]:
        """The parent program."""
        return {self.parent: (FOLDER / "parents" / self.parent).read_text(encoding="utf-8")}

    @property
    def grammar(self) -> Grammar:
        """The task's grammar."""
        return Grammar({self.parent: LANGUAGES[Path(self.parent).suffix]})


def recorded() -> list[RecordedAnswer]:
    """The whole corpus, in the order of file names."""
    return [read(path) for path in sorted(FOLDER.glob("*.txt"))]


def read(path: Path) -> RecordedAnswer:
    """Read one file: `key: value` lines, a line of three dashes, the answer as it came."""
    head, _, answer = path.read_text(encoding="utf-8").partition("\n---\n")
    case = RecordedAnswer(path.stem, answer=answer)
    for line in head.split("\n"):
        key, _, value = line.partition(": ")
        if key == "expect":
            case.outcome, case.kind = value.split()
        elif key == "transform":
            assert value == "crlf"
            case.answer = case.answer.replace("\n", "\r\n")
        elif key == "truncated":
            case.truncated = True
        elif key in ("has", "lacks", "says"):
            getattr(case, key).append(
                value.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")
            )
        else:
            assert key in ("parent", "form"), f"{path.name}: {key}"
            setattr(case, key, value)
    return case
