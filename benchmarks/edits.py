"""Reading answers of models: which of a corpus are used, why others are not, and what it costs.

The corpus lies in tests/data/answers: hand-written after what models were seen to answer, each with
what must become of it. CPU per answer is the median over the corpus, fingerprint and parse of the
child included, with its bootstrap interval over answers; caches are cold for every answer.
"""

from __future__ import annotations

import runpy
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from breeder.proposers import trees
from breeder.proposers.llm.edits import apply
from breeder.proposers.llm.verdicts import Applied, Form
from record import header, interval, table

READER = Path(__file__).parents[1] / "tests" / "proposers" / "llm" / "recorded_answers.py"
RECORDED: Callable[[], list[Any]] = runpy.run_path(str(READER))["recorded"]


def main() -> None:
    corpus = RECORDED()
    seconds: list[float] = []
    used: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    crossed = [0, 0]
    wrong = 0
    for case in corpus:
        files, grammar = case.parent_files, case.grammar
        trees.read.cache_clear()
        trees.raw_tree.cache_clear()
        begin = time.process_time()
        result = apply(
            case.answer,
            parent_files=files,
            grammar=grammar,
            form=case.form,
            truncated=case.truncated,
        )
        seconds.append(time.process_time() - begin)
        if isinstance(result, Applied):
            used[result.form] += 1
            wrong += (case.outcome, case.kind) != ("applied", result.form)
        else:
            rejected[result.reason] += 1
            wrong += (case.outcome, case.kind) != ("rejected", result.reason)
        if case.outcome == "applied":
            for form in Form:
                other = apply(case.answer, parent_files=files, grammar=grammar, form=form)
                crossed[0] += isinstance(other, Applied)
                crossed[1] += 1
    print(header("Answers of models: used and rejected"))
    rows = [["used as " + kind, count, _share(count, len(corpus))] for kind, count in used.items()]
    rows += [
        ["rejected: " + kind, count, _share(count, len(corpus))]
        for kind, count in rejected.most_common()
    ]
    print(table(["what became of it", "answers", "share"], rows))
    print(f"\n{len(corpus)} answers, {wrong} not as expected.")
    print(
        f"Usable answers in another form than the one asked for, all forms: {crossed[0]} of"
        f" {crossed[1]} used."
    )
    milliseconds = [1000 * s for s in seconds]
    middle = interval(milliseconds, middle=True)
    print(f"CPU per answer: {middle} ms; most {max(milliseconds):.1f} ms.")


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}"


if __name__ == "__main__":
    main()
