"""From a model's answer to a new program: read leniently, placed exactly, rejected precisely.

An answer is read in every way that it allows (edits, code in fences, code amid prose, JSON, HTML
escapes), whatever form was asked for. The first reading that gives a sound child is used; when none
does, the rejection that came closest says what the model should mend.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from breeder.proposers.checks import editable, frozen
from breeder.proposers.fingerprint import fingerprint
from breeder.proposers.languages import language
from breeder.proposers.llm.answers import Reading, readings, without_line_numbers
from breeder.proposers.llm.code import Code, candidates
from breeder.proposers.llm.diffs import Hunk
from breeder.proposers.llm.entries import check_entries
from breeder.proposers.llm.matching import File, Match, locate
from breeder.proposers.llm.placing import place
from breeder.proposers.llm.problems import problem
from breeder.proposers.llm.verdicts import (
    Applied,
    Form,
    Reason,
    RefusalError,
    Rejected,
    most_informative,
)
from breeder.proposers.proposer import Grammar
from breeder.proposers.trees import encode, parses
from breeder.regions import END, START, MarkerError

LARGEST_ANSWER = 4 * 1024 * 1024
"""Answers of more characters are rejected unread."""

_MOST_ATTEMPTS = 24

_Made = tuple[dict[str, str], Form, str]
"""Files, the form that the answer was read as, and a note."""


def apply(
    answer_text: str,
    *,
    parent_files: Mapping[str, str],
    grammar: Grammar,
    form: Form | str,
    entries: Collection[str] = (),
    truncated: bool = False,
) -> Applied | Rejected:
    """Make a child of the parent from an answer. Never raises for a strange answer.

    Args:
        answer_text: what the model wrote, a prefill included.
        parent_files: every evolved file of the parent, path -> text.
        grammar: the task's languages and regions.
        form: what was asked for; it decides only between readings that are all possible.
        entries: functions that the task calls, beyond those that the frozen text uses.
        truncated: the endpoint said that the answer reached its limit of tokens.
    """
    form = Form(form)
    if not answer_text.strip():
        return Rejected(Reason.EMPTY, "the answer is empty")
    if len(answer_text) > LARGEST_ANSWER:
        return Rejected(Reason.TOO_LARGE, f"the answer has {len(answer_text)} characters")
    parent = dict(parent_files)
    if not editable(parent, grammar):
        return Rejected(Reason.FROZEN, "the program has no evolvable block")
    rejections: list[Rejected] = []
    for attempt in _attempts(answer_text, parent, grammar, form, rejections, cut=truncated):
        try:
            files, read_as, note = attempt
            return _judged(files, read_as, note, parent, grammar, entries)
        except RefusalError as refusal:
            rejections.append(refusal.rejected)
    if rejections:
        return most_informative(rejections)
    return Rejected(Reason.PROSE, "the answer holds text but no code")


def repair_message(rejected: Rejected) -> str:
    """What to tell the model for its one attempt at a repair."""
    lines = [f"Your answer could not be used: {rejected.detail}."]
    if rejected.shown:
        lines += [
            _SHOWN.get(rejected.reason, "The lines in question:"),
            "",
            _quoted(rejected.shown),
        ]
    lines.append(_REMEDIES[rejected.reason])
    return "\n".join(lines)


_SHOWN = {Reason.NOT_FOUND: "The most similar lines of the program are:"}

_REMEDIES = {
    Reason.EMPTY: "Answer with the change itself.",
    Reason.PROSE: "Answer with code only, in the form asked for.",
    Reason.TRUNCATED: "Answer again, complete and shorter, without explanations.",
    Reason.TOO_LARGE: "Answer with the changed part only.",
    Reason.MALFORMED: "Write the edit again with every marker on a line of its own.",
    Reason.LANGUAGE: "Write it in the language of the program.",
    Reason.SYNTAX: "Write it again so that it parses.",
    Reason.IMPORT: "Use what the program has imported already.",
    Reason.NOT_FOUND: "Write the edit again with SEARCH lines copied from the program.",
    Reason.AMBIGUOUS: "Write the edit again so that it has one place only.",
    Reason.FROZEN: "Change only what lies between the markers.",
    Reason.ENTRY: "Keep names and parameters of the functions that the task calls.",
    Reason.UNCHANGED: "Make a change that alters what the program does.",
}


def _quoted(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def _attempts(
    answer: str,
    parent: dict[str, str],
    grammar: Grammar,
    form: Form,
    rejections: list[Rejected],
    *,
    cut: bool,
) -> Iterator[_Made]:
    """Children that the answer may mean; refusals on the way are added to `rejections`."""
    count = 0
    ways = readings(answer)
    while count < _MOST_ATTEMPTS:
        try:
            reading = next(ways, None)
        except RefusalError as refusal:
            rejections.append(refusal.rejected)
            return
        if reading is None:
            return
        for made in _read(reading, parent, grammar, form, rejections, cut=cut):
            yield made
            count += 1


def _read(
    reading: Reading,
    parent: dict[str, str],
    grammar: Grammar,
    form: Form,
    rejections: list[Rejected],
    *,
    cut: bool,
) -> Iterator[_Made]:
    if reading.hunks:
        try:
            yield _edited(reading.hunks, parent, grammar)
        except RefusalError as refusal:
            rejections.append(refusal.rejected)
            # Code beside the edits may serve; what is wrong with it is beside the point.
            rejections = []
    for code in candidates(reading, parent, grammar, rejections, cut=cut):
        yield from _placed(code, parent, grammar, form, rejections)


def _placed(
    code: Code,
    parent: dict[str, str],
    grammar: Grammar,
    form: Form,
    rejections: list[Rejected],
) -> Iterator[_Made]:
    for way in place(code, parent[code.path], grammar, form):
        try:
            text, note, read_as = way()
            yield {**parent, code.path: text}, read_as, note
        except RefusalError as refusal:
            rejections.append(refusal.rejected)


def _edited(hunks: tuple[Hunk, ...], parent: dict[str, str], grammar: Grammar) -> _Made:
    """Apply every hunk in turn; one that has no place rejects all of them."""
    files = dict(parent)
    changed = 0
    for hunk in hunks:
        if not hunk.closed:
            raise RefusalError(Reason.TRUNCATED, "the edit breaks off before its end marker")
        if [s.rstrip() for s in hunk.search] == [r.rstrip() for r in hunk.replace]:
            continue
        _apply_hunk(hunk, files, grammar)
        changed += 1
    if not changed:
        raise RefusalError(Reason.UNCHANGED, "SEARCH and REPLACE are the same")
    return files, Form.DIFF, f"{changed} edit{'s' if changed > 1 else ''}"


def _apply_hunk(hunk: Hunk, files: dict[str, str], grammar: Grammar) -> None:
    named = [path for path in files if hunk.path and _same_file(path, hunk.path)]
    candidates = [_file(path, files[path], grammar) for path in named or files]
    found = _located(hunk, candidates)
    newline = "\r\n" if "\r\n" in files[found.file.path] else "\n"
    old = files[found.file.path].split("\n")
    new = [line + ("\r" if newline == "\r\n" else "") for line in found.lines]
    files[found.file.path] = "\n".join([*old[: found.begin], *new, *old[found.end :]])


def _located(hunk: Hunk, files: list[File]) -> Match:
    """The place of a hunk as it stands, else without line numbers, else without marker lines."""
    try:
        return locate(hunk.search, hunk.replace, files)
    except RefusalError:
        numbered = without_line_numbers(list(hunk.search), least=1)
        if numbered is not None:
            new = without_line_numbers(list(hunk.replace), least=1)
            return locate(numbered, hunk.replace if new is None else new, files)
        if any(START in line or END in line for line in (*hunk.search, *hunk.replace)):
            return locate(_unmarked(hunk.search), _unmarked(hunk.replace), files)
        raise


def _unmarked(lines: tuple[str, ...]) -> list[str]:
    return [line for line in lines if START not in line and END not in line]


def _same_file(path: str, named: str) -> bool:
    return path == named or named.endswith("/" + path) or path.endswith("/" + named)


def _file(path: str, text: str, grammar: Grammar) -> File:
    try:
        regions = grammar.regions(text)
    except MarkerError:
        regions = ()
    spans = []
    for region in regions:
        begin, end = text.count("\n", 0, region.begin), text.count("\n", 0, region.end)
        spans.append((begin, end + (0 if region.end == 0 or text[region.end - 1] == "\n" else 1)))
    return File(path, [line.removesuffix("\r") for line in text.split("\n")], tuple(spans))


def _judged(
    files: dict[str, str],
    form: Form,
    note: str,
    parent: dict[str, str],
    grammar: Grammar,
    entries: Collection[str],
) -> Applied:
    """The checks that every child passes, whatever it was made from."""
    known = True
    for path, text in files.items():
        if text == parent[path]:
            continue
        name = grammar.languages.get(path, "text")
        known = known and language(name) is not None
        if frozen(text, grammar) != frozen(parent[path], grammar):
            raise RefusalError(Reason.FROZEN, "the edit changes text outside the evolvable block")
        if not parses(encode(text), name):
            raise problem(text, name)
    if fingerprint(files, grammar).digest == fingerprint(parent, grammar).digest:
        raise RefusalError(
            Reason.UNCHANGED, "the program is unchanged (comments and layout do not count)"
        )
    check_entries(files, parent, grammar, entries)
    return Applied(files, form, note, known)
