"""The commands `verify` and `adopt`: parse, call, say what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from breeder.errors import CertificateError, RunError, UserError
from breeder.options import JsonOption, SandboxOption, print_json, sandbox_kind

if TYPE_CHECKING:
    from breeder.verification.certificate import Certificate, Trial
    from breeder.verification.registry import Adoption, Registry

Source = Annotated[
    Path,
    typer.Argument(
        help="A run's directory, an exported champion, or a certificate.json.",
        metavar="RUN|FOLDER|CERTIFICATE",
    ),
]
RegistryOption = Annotated[
    Path | None,
    typer.Option(
        help="The registry's folder.  [default: BREEDER_REGISTRY, else the user's data folder]"
    ),
]


def verify(
    source: Source,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Where to write.  [default: beside what is verified]")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Trials of each program.  [default: as the task says]")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Folder or name of the task, where it is not found.")
    ] = None,
    sandbox: SandboxOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a champion again by rules that selection did not see; certify it.

    Writes certificate.json and certificate.html. Exit codes: 0 it holds, 1 it does not hold or
    nothing is decided, 2 a mistake to mend, 3 stopped by a signal.
    """
    from breeder.report.certificate_page import page
    from breeder.verification.certificate import bars, read
    from breeder.verification.verify import Settings, output_path, write
    from breeder.verification.verify import verify as run

    def show(trial: Trial, number: int, total: int) -> None:
        if not as_json:
            typer.echo(_trial(trial, number, total))

    settings = Settings(seeds, sandbox_kind(sandbox), task, on_trial=show)
    certificate = run(source, settings)
    original = read(source) if source.is_file() else None
    path = output_path(source, out)
    write(certificate, path)
    html = path.with_suffix(".html")
    _write_page(html, page(certificate, original, path.name))
    if as_json:
        print_json({**_summary(certificate), "certificate": str(path), "page": str(html)})
    else:
        _show(certificate, original)
        typer.echo(f"wrote {path} and {html.name}")
        if certificate.verdict == "holds" and not bars(certificate):
            typer.echo(f"use it with: breeder adopt {path}")
    if certificate.verdict != "holds":
        raise typer.Exit(1)


def adopt(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="A verified run, an exported champion, or a certificate.json.",
            metavar="RUN|FOLDER|CERTIFICATE",
        ),
    ] = None,
    *,
    registry: RegistryOption = None,
    listed: Annotated[bool, typer.Option("--list", help="List what was adopted.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a certified champion into the registry that later layers read."""
    from breeder.verification.registry import Registry

    chosen = Registry(registry) if registry is not None else Registry.default()
    if listed:
        if source is not None:
            raise UserError("--list: takes no RUN, FOLDER or CERTIFICATE; leave one of them out")
        _list(chosen, as_json=as_json)
        return
    if source is None:
        raise UserError("adopt: name a run, an exported champion or a certificate; or use --list")
    known = {entry.folder for entry in chosen.adopted()}
    adoption = adopt_source(chosen, source)
    current = chosen.current(adoption.task)
    now = current is not None and current.folder == adoption.folder
    if as_json:
        print_json({**_entry(adoption), "current": now})
        return
    what = "was adopted before:" if adoption.folder in known else "adopted"
    typer.echo(f"{what} {adoption.program_id} for {adoption.task}: {adoption.folder}")
    if not now and current is not None:
        typer.echo(f"{current.program_id} stays current: its improvement is the larger one")


def adopt_source(registry: Registry, source: Path) -> Adoption:
    """Adopt a verified run, an exported champion or a certificate.

    Raises:
        RunError: there is no such thing.
        CertificateError: it does not earn an adoption; says why.
    """
    from breeder.verification.certificate import FILE_NAME, read
    from breeder.verification.subject import offered_files

    if source.is_file():
        certificate = read(source)
        return registry.adopt(certificate, certificate.program.files)
    if not source.is_dir():
        raise RunError(f"{source}: does not exist")
    files = offered_files(source)
    path = source / FILE_NAME
    if not path.is_file():
        raise CertificateError(f"{source}: holds no certificate; run breeder verify {source} first")
    certificate = read(path)
    if certificate.program.files != files:
        raise CertificateError(
            f"{path}: certifies another program; run breeder verify {source} first"
        )
    return registry.adopt(certificate, files)


def _list(registry: Registry, *, as_json: bool) -> None:
    found = registry.adopted()
    current = {
        entry.folder
        for task in {adoption.task for adoption in found}
        if (entry := registry.current(task)) is not None
    }
    if as_json:
        print_json([{**_entry(a), "current": a.folder in current} for a in found])
        return
    if not found:
        typer.echo(f"nothing adopted in {registry.folder}; see breeder verify and breeder adopt")
    for a in found:
        mark = "*" if a.folder in current else " "
        typer.echo(f"{mark} {a.task:<28} {a.program_id}  {_effect(a.certificate)}  {a.adopted_at}")


def _entry(adoption: Adoption) -> dict[str, Any]:
    return {
        "task": adoption.task,
        "program": adoption.program_id,
        "adopted_at": adoption.adopted_at,
        "folder": str(adoption.folder),
        "effect": _effect(adoption.certificate),
        "certificate": adoption.certificate.sha256,
    }


def _effect(certificate: Certificate) -> str:
    from breeder.verification.judgement import describe

    return "" if certificate.effect is None else describe(certificate.effect)


def _summary(certificate: Certificate) -> dict[str, Any]:
    import msgspec

    from breeder.verification.certificate import caveats

    effect = certificate.effect
    return {
        "verdict": certificate.verdict,
        "reason": certificate.reason,
        "task": certificate.task.name,
        "program": certificate.program.id,
        "method": certificate.method,
        "seeds": list(certificate.seeds),
        "effect": None if effect is None else msgspec.to_builtins(effect),
        "caveats": list(caveats(certificate)),
        "sha256": certificate.sha256,
        "repeats": certificate.repeats,
    }


def _show(certificate: Certificate, original: Certificate | None) -> None:
    from breeder.verification.certificate import HOW, caveats

    typer.echo(f"{certificate.task.name}, program {certificate.program.id}")
    typer.echo(f"how: {HOW[certificate.method]}")
    for caveat in caveats(certificate):
        typer.echo(f"mind: {caveat}")
    if original is not None:
        typer.echo(f"certified: {original.verdict}: {original.reason}")
    here = " here" if original is not None else ""
    typer.echo(f"{certificate.verdict}{here}: {certificate.reason}")


def _trial(trial: Trial, number: int, total: int) -> str:
    seed = "checked alone" if trial.seed is None else f"seed {trial.seed}"
    figures = ", ".join(f"{name} {value:.8g}" for name, value in trial.metrics.items())
    return f"[{number}/{total}] {trial.side:<8} {seed}: {trial.failure or figures}"


def _write_page(path: Path, html: str) -> None:
    try:
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise CertificateError(f"{path}: cannot be written: {error.strerror or error}") from None
