"""What a run's language models did: words and figures for every view."""

from __future__ import annotations

from collections.abc import Mapping

from breeder.archive.store import Store
from breeder.core import Cost
from breeder.proposers.llm.record import ModelRecord, TeamRecord, read_record

HEAD = ("model", "requests", "answers", "used", "lost", "tokens", "cached", "currency", "CPU s")


def read_models(store: Store) -> TeamRecord | None:
    """The models of a run; None for a run without any."""
    return read_record(store.state("models"))


def proposing_cost(team: TeamRecord) -> Cost:
    """What all requests used."""
    return Cost(
        cpu_seconds=sum(m.cpu_seconds for m in team.models),
        wall_seconds=sum(m.wall_seconds for m in team.models),
        tokens=sum(m.prompt_tokens + m.answer_tokens for m in team.models),
        currency=sum(m.currency for m in team.models),
    )


def row(model: ModelRecord) -> tuple[str, ...]:
    """The figures of a model, a column each of `HEAD`."""
    tokens = model.prompt_tokens + model.answer_tokens
    cached = model.cached_tokens / model.prompt_tokens if model.prompt_tokens else 0.0
    used = sum(form.applied for form in model.forms.values()) + model.mended
    return (
        model.name + (f" ({model.role})" if model.role else ""),
        f"{model.requests:,}",
        f"{model.answers:,}",
        f"{used:,}",
        f"{sum(model.losses.values()):,}",
        f"{'about ' if model.estimated else ''}{tokens:,}",
        f"{100 * cached:.0f} %",
        f"{model.currency:.4g}" if model.currency else "-",
        f"{model.cpu_seconds:.1f}" if model.cpu_seconds else "-",
    )


def in_words(team: TeamRecord) -> tuple[str, ...]:
    """Sentences on prefixes, losses, forms of edit and repairs; why nothing was asked, if so."""
    if not any(model.requests for model in team.models):
        return (team.outage,) if team.outage else ()
    said = [
        f"{100 * team.prefix_share:.0f} % of the prompts repeated the beginning of earlier ones"
    ]
    for model in team.models:
        parts = [_counts("lost", model.losses)]
        forms = {name: f"{f.applied} of {f.answers}" for name, f in model.forms.items()}
        parts.append(_counts("answers used", forms))
        if model.repairs:
            parts.append(f"{model.mended} of {model.repairs} mistakes mended")
        if told := "; ".join(part for part in parts if part):
            said.append(f"{model.name}: {told}")
    return tuple(said)


def live_words(team: TeamRecord) -> str:
    """Where the models of a run under way stand, in a line."""
    if team.outage:
        return team.outage
    cost = proposing_cost(team)
    losses = sum(sum(model.losses.values()) for model in team.models)
    parts = [
        f"{sum(model.answers for model in team.models):,} answers",
        f"{cost.tokens:,} tokens",
        f"{cost.currency:.4g} spent" if cost.currency else "",
        f"{losses:,} requests lost" if losses else "",
        f"{sum(model.buffered for model in team.models)} in stock",
    ]
    return ", ".join(part for part in parts if part)


def _counts(title: str, counts: Mapping[str, object]) -> str:
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"{title}: {listed}" if listed else ""
