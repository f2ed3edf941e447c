"""The page of a certificate: what a sceptic wants to see, on one screen and without a network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.resources import files as resources

from breeder.core import Program
from breeder.report.charts import tick_text, ticks
from breeder.report.comparison import compare_files
from breeder.report.markup import Markup, badge, files, paragraph, safe, section, table
from breeder.report.terminal import duration
from breeder.report.verdict import number
from breeder.verification.certificate import HOW, Certificate, ProgramRecord, Trial, caveats
from breeder.verification.judgement import describe, improvements

_STYLES = {"holds": "good", "does not hold": "warn", "not decided": ""}
_WIDTH, _ROW, _LEFT, _RIGHT, _BOTTOM = 720, 26, 130, 20, 46
_MOST_ROWS = 40  # seeds drawn one by one


def page(
    certificate: Certificate, original: Certificate | None = None, name: str = "certificate.json"
) -> str:
    """Return the page of a certificate as HTML that loads nothing.

    Args:
        certificate: what to show.
        original: the certificate that it repeats, shown beside it; None otherwise.
        name: file name of the certificate, for the command that repeats it.
    """
    style = resources("breeder.report").joinpath("page.css").read_text(encoding="utf-8")
    title = f"{certificate.task.name}: {certificate.verdict}"
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title><style>{style}</style></head><body><main>"
        f"{_header(certificate, original)}{''.join(_sections(certificate, original, name))}"
        "</main></body></html>\n"
    )


def _header(certificate: Certificate, original: Certificate | None) -> str:
    here = " here" if original is not None else ""
    style = _STYLES[certificate.verdict]
    verdict = badge(certificate.verdict + here, style)
    alerts = "".join(f"<div class=alert>{safe(line)}</div>" for line in caveats(certificate))
    words = f"{certificate.verdict[:1].upper()}{certificate.verdict[1:]}{here}"
    how = f"How: {HOW[certificate.method]}."
    cost = sum(trial.cpu_seconds for trial in certificate.trials)
    tiles = [
        (certificate.program.id[:10], "champion"),
        (str(len(certificate.trials)), "trials"),
        (str(len(certificate.seeds)) if certificate.seeds else "none needed", "fresh seeds"),
        (duration(cost), "CPU time of trials"),
        (certificate.created_at[:10], "written"),
    ]
    boxes = "".join(f"<div><b>{safe(v)}</b><span>{safe(k)}</span></div>" for v, k in tiles)
    return (
        f"<header><h1>{safe(certificate.task.name)} {verdict}</h1></header>{alerts}"
        f"<div class=outcome>"
        f"{paragraph(f'{words}: {certificate.reason}.', f'headline {style}')}"
        f"{paragraph(how)}<div class=tiles>{boxes}</div></div>"
    )


def _sections(
    certificate: Certificate, original: Certificate | None, name: str
) -> Iterator[Markup]:
    if original is not None:
        yield section("original", "Beside the certificate that this repeats", _beside(
            certificate, original
        ))  # fmt: skip
    yield section("improvement", "Improvement over the start", _interval(certificate))
    yield section("trials", "Trials", _trials(certificate))
    yield section("selection", "What the search had seen", _selection(certificate))
    yield section("change", "What changed from the start", _change(certificate))
    yield section("program", "The program", _program(certificate.program))
    yield section("machine", "Made with", _made_with(certificate))
    yield section("repeat", "How to repeat it", _repeat(certificate, name))


def _beside(certificate: Certificate, original: Certificate) -> str:
    rows = [
        (what, one.verdict, "" if one.effect is None else describe(one.effect),
         one.environment.machine.get("processor", ""), one.created_at)
        for what, one in (("certified", original), ("here", certificate))
    ]  # fmt: skip
    return table(("", "verdict", "improvement", "machine", "written"), rows)


def _interval(certificate: Certificate) -> str:
    effect = certificate.effect
    if effect is None:
        return ""
    kind = "ratio to the start" if effect.scale == "ratio" else "difference to the start"
    words = (
        f"{describe(effect)}; {kind}, signed so that more than {effect.neutral:g} is better. "
        f"{effect.basis[:1].upper()}{effect.basis[1:]}."
    )
    return _drawing(certificate) + paragraph(words, "note")


def _drawing(certificate: Certificate) -> str:
    """One row per seed with a dot, and one with the interval of the whole."""
    effect = certificate.effect
    assert effect is not None, "drawn only where there is an effect"
    points = list(improvements(certificate).items())[:_MOST_ROWS]
    ends = [v for v in (effect.low, effect.high, effect.neutral, effect.centre) if v is not None]
    values = [*ends, *(value for _, value in points)]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.5
    low, high = low - room, high + room

    def x(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    bottom = _ROW * (len(points) + 1) + 10
    parts = [f'<svg viewBox="0 0 {_WIDTH} {bottom + _BOTTOM}" role=img aria-label="improvement">']
    marks = ticks(low, high, 6)
    step = marks[1] - marks[0] if len(marks) > 1 else 0.0
    for mark in marks:
        parts.append(f'<path class=grid d="M{x(mark):.1f} 4V{bottom}"/>')
        parts.append(_text(x(mark), bottom + 18, tick_text(mark, step), "middle"))
    parts.append(f'<path class=axis d="M{_LEFT} {bottom}H{_WIDTH - _RIGHT}"/>')
    parts.append(f'<path class="reference accent" d="M{x(effect.neutral):.1f} 4V{bottom}"/>')
    for row, (seed, value) in enumerate(points):
        at = 4 + _ROW * row + _ROW / 2
        parts.append(_text(_LEFT - 10, at + 4, "exact" if seed is None else f"{seed}", "end"))
        parts.append(f'<circle class="marker c0" cx="{x(value):.1f}" cy="{at:.1f}" r="4"/>')
    at = 4 + _ROW * len(points) + _ROW / 2
    parts.append(_text(_LEFT - 10, at + 4, "together", "end", "class=label"))
    if effect.low is not None and effect.high is not None:
        wide = max(x(effect.high) - x(effect.low), 1.0)
        parts.append(
            f'<rect class="bar c2" x="{x(effect.low):.1f}" y="{at - 5:.1f}" '
            f'width="{wide:.1f}" height="10" rx="3"/>'
        )
    parts.append(f'<circle class="marker c5" cx="{x(effect.centre):.1f}" cy="{at:.1f}" r="5"/>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    label = f"improvement over the start ({effect.scale}); dashed: none"
    parts.append(_text(middle, bottom + _BOTTOM - 6, label, "middle", "class=label"))
    title = "Each seed, and the interval of all together"
    return (
        f"<figure><figcaption>{title}</figcaption><div class=scroll>{''.join(parts)}</svg></div>"
        "</figure>"
    )


def _text(x: float, y: float, text: str, anchor: str, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor={anchor} {extra}>{escape(text)}</text>'


def _trials(certificate: Certificate) -> str:
    objectives = [objective.name for objective in certificate.task.objectives]
    others = sorted({name for trial in certificate.trials for name in trial.metrics})
    names = [*objectives, *(name for name in others if name not in objectives)]

    def value(trial: Trial, name: str) -> str:
        if name not in trial.metrics:
            return ""
        # Constructions are compared to the last digit; measured values never get that far.
        shown = f"{trial.metrics[name]:.{17 if trial.seed is None else 10}g}"
        if name in trial.intervals:
            low, high = trial.intervals[name]
            shown += f" ({number(low)} to {number(high)})"
        return shown

    rows = [
        (
            "none" if trial.seed is None else trial.seed,
            trial.side,
            trial.failure or "passed",
            *(value(trial, name) for name in names),
        )
        for trial in certificate.trials
    ]
    note = "In the order of running, each in a process and a sandbox of its own."
    return paragraph(note, "note") + table(("seed", "program", "", *names), rows, numeric=3)


def _selection(certificate: Certificate) -> str:
    chosen = certificate.selection
    rows = [
        (name, number(value), number(chosen.start_metrics[name]) if name in chosen.start_metrics
         else "")
        for name, value in chosen.metrics.items()
    ]  # fmt: skip
    note = (
        f"The figures by which the champion was selected (split {chosen.split}, seed "
        f"{chosen.seed}). They are shown for comparison; the verdict does not rest on them."
    )
    return paragraph(note, "note") + table(("metric", "champion", "start"), rows)


def _change(certificate: Certificate) -> str:
    note = certificate.program.note
    how = f"Last changed by {certificate.program.proposer}: {note}" if note else ""
    diffs = compare_files(
        Program(certificate.start.id, certificate.start.files),
        Program(certificate.program.id, certificate.program.files),
    )
    return (paragraph(how, "note") if how else "") + files(diffs)


def _program(program: ProgramRecord) -> str:
    parts: list[str] = [paragraph(f"SHA-256 {program.sha256}", "note")]
    for name, text in sorted(program.files.items()):
        parts.append(
            f"<details><summary>{escape(name)}</summary>"
            f"<pre class='text long'>{escape(text)}</pre></details>"
        )
    return "".join(parts)


def _made_with(certificate: Certificate) -> str:
    made = certificate.environment
    rows = [
        ("breeder", made.breeder),
        ("Python", made.python),
        *made.packages.items(),
        *made.compilers.items(),
        *made.machine.items(),
        ("sandbox", made.sandbox),
        ("task digest", certificate.task.digest),
        ("certificate", certificate.sha256),
    ]
    return table(("", ""), rows, numeric=2)


def _repeat(certificate: Certificate, name: str) -> str:
    words = (
        "On this machine or another one with breeder and the task: it runs start and champion "
        "again with other seeds and says whether the improvement holds there. The certificate "
        "holds both programs. Its content hash shows accidental changes; it is no signature."
    )
    lines = [f"breeder verify {name}"]
    if certificate.verdict == "holds":
        lines.append(f"breeder adopt {name}")
    return paragraph(words) + f"<pre class=text>{escape(chr(10).join(lines))}</pre>"
