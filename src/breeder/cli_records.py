"""The commands `breeder records`, `records verify` and `records export`: parse, call, print."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from breeder.errors import UserError
from breeder.options import JsonOption, print_json

if TYPE_CHECKING:
    from breeder.maths import Problem, Verified
    from breeder.maths.achieved import Achievement

app = typer.Typer(
    invoke_without_command=True,
    rich_markup_mode=None,
    help="What is known of the mathematical problems, and what was reached here.",
)

DIGITS = 12  # decimal places that are printed


@app.callback()
def records(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """Print problem, best known value, ours, CPU hours, the plain baseline, and the gap.

    Every value of ours is verified anew, exactly, before it is printed. The baseline had the same
    CPU time. Below the table: which program found ours.
    """
    if context.invoked_subcommand is not None:
        return
    from breeder.maths import problems

    rows = [_row(problem) for problem in problems()]
    if as_json:
        print_json(rows)
        return
    columns = ("problem", "best known", "ours", "CPU hours", "baseline", "gap", "source")
    table = [columns, *([_cell(row, name) for name in columns] for row in rows)]
    widths = [max(len(line[i]) for line in table) for i in range(len(columns) - 1)]
    for line in table:
        cells = (cell.ljust(width) for cell, width in zip(line, [*widths, 0], strict=True))
        typer.echo("  ".join(cells).rstrip())
    for row in rows:
        if row["by"]:
            typer.echo(f"{row['problem']}: found by {row['by']}")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A construction: .json or .npy.", metavar="FILE")],
    *,
    problem: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which problem it solves.  [default: what FILE says]"),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Move it by the least sufficient amount first."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check anyone's construction exactly, with tolerance zero, and say what it is worth."""
    from breeder.maths import RefusedError
    from breeder.maths import problem as find
    from breeder.maths.files import load

    data = load(file)
    found = find(problem or _named(data, file))
    try:
        verified = found.verify(data, repair=repair)
    except RefusedError as error:
        raise UserError(f"{file}: refused as a construction of {found.name}: {error}") from None
    if as_json:
        print_json(_facts(found, verified))
        return
    for line in _lines(found, verified):
        typer.echo(line)


@app.command()
def export(
    problem: Annotated[str, typer.Argument(help="Which problem.", metavar="PROBLEM")],
    *,
    to: Annotated[
        Path, typer.Option("--to", help="A folder that is not there yet.", metavar="FOLDER")
    ],
    baseline: Annotated[
        bool, typer.Option("--baseline", help="The plain baseline's construction, not ours.")
    ] = False,
) -> None:
    """Write our construction, a verifier that needs nothing but Python, and the lineage."""
    from breeder.maths import problem as find
    from breeder.maths.exporting import export as write

    reached = write(find(problem), to, "baseline" if baseline else "ours")
    typer.echo(f"{to}: {problem}, value {_reached(reached)}; check it with python3 {to}/verify.py")


def _named(data: object, file: Path) -> str:
    name = data.get("problem") if isinstance(data, dict) else None
    if not isinstance(name, str):
        raise UserError(f"{file}: does not say which problem it solves; give --problem NAME")
    return name


def _lines(problem: Problem[Any], verified: Verified) -> list[str]:
    facts = _facts(problem, verified)
    lines = [f"{problem.name}: {problem.statement}", f"value {facts['value']} ({facts['kind']})"]
    if verified.moved:
        lines.append(f"after moving numbers by at most {float(verified.moved):.3g}")
    if problem.best is not None:
        best = problem.best
        lines.append(f"best known {best.value} ({best.source}, {best.date}); gap {facts['gap']}")
    lines.append(f"verifier {verified.version}, SHA-256 {verified.digest}")
    return lines


def _facts(problem: Problem[Any], verified: Verified) -> dict[str, Any]:
    from breeder.maths.exact import decimal

    value = verified.value
    return {
        "problem": problem.name,
        "value": value.decimal(DIGITS),
        "kind": "exact, rounded to the worse side" if value.exact else "certified",
        "lower": decimal(value.lower, 3 * DIGITS, up=False),
        "upper": decimal(value.upper, 3 * DIGITS, up=True),
        "moved": float(verified.moved),
        "gap": _gap(problem.gap(value)),
        "verifier": verified.version,
        "sha256": verified.digest,
    }


def _row(problem: Problem[Any]) -> dict[str, Any]:
    from breeder.maths.achieved import achievement

    ours, baseline = achievement(problem), achievement(problem, "baseline")
    best = problem.best
    claims = [record for record in problem.records if record.claim]
    source = "" if best is None else f"{best.source}, {best.date}"
    if claims:
        source += f"; claimed {claims[-1].value} ({claims[-1].source}, {claims[-1].date})"
    return {
        "problem": problem.name,
        "best known": "" if best is None else best.value,
        "ours": _reached(ours),
        "baseline": _reached(baseline),
        "gap": "" if ours is None else _gap(problem.gap(ours.verified.value)),
        "source": source,
        "by": "" if ours is None else ours.by,
        "cpu hours": None if ours is None else ours.cpu_seconds / 3600,
    }


def _cell(row: dict[str, Any], name: str) -> str:
    if name == "CPU hours":
        hours = row["cpu hours"]
        return "-" if hours is None else f"{hours:.3f}"
    text = row[name] or "-"
    beaten = name == "gap" and text.startswith("-") and len(text) > 1
    return f"{text} (better)" if beaten else str(text)


def _reached(reached: Achievement | None) -> str:
    return "" if reached is None else reached.verified.value.decimal(DIGITS)


def _gap(gap: Fraction | None) -> str:
    from breeder.maths.exact import float_above

    if gap is None:
        return ""
    return str(gap.numerator) if gap.denominator == 1 else f"{float_above(gap):.3g}"
