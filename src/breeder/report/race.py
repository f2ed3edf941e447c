"""How a measured run confirmed its champions: figures and words for every view."""

from __future__ import annotations

from collections import Counter

from breeder.archive.store import ChallengeOutcome, ChallengeRecord, Store
from breeder.racing import Race
from breeder.report.records import RaceSummary
from breeder.report.run_data import RunData


def summarise_race(store: Store, data: RunData) -> RaceSummary | None:
    """Return the figures of the race; None for a run of an exact task."""
    if data.measured is None:
        return None
    rivals = [row for row in data.challenges if row.number > 0]
    counts = Counter(row.outcome for row in rivals)
    first = next((row for row in data.challenges if row.number == 0), None)
    last = store.confirmed()
    costs = store.costs()
    heats, search = costs.get("confirm", (0.0, 0.0, 0, 0.0))[0], costs["search"][0]
    return RaceSummary(
        metric=data.measured,
        improved=bool(counts[ChallengeOutcome.CONFIRMED]),
        start=_figures(first),
        champion=_figures(last) if last and last.number else None,
        challengers=len(rivals),
        confirmed=counts[ChallengeOutcome.CONFIRMED],
        refuted=counts[ChallengeOutcome.REFUTED],
        lapsed=counts[ChallengeOutcome.LAPSED],
        open=counts[ChallengeOutcome.OPEN],
        heats=sum(1 for _ in store.evaluations(split="confirm")),
        cpu_seconds=heats,
        share=heats / (heats + search) if heats + search else 0.0,
    )


def race_in_words(race: RaceSummary) -> str:
    """Say what the race came to, e.g. `12 challengers: 1 confirmed, 11 refuted; ...`."""
    if race.start is None:
        return "the start is not confirmed yet"
    parts = {"confirmed": race.confirmed, "refuted": race.refuted}
    parts |= {"overtaken": race.lapsed} if race.lapsed else {}
    parts |= {"undecided": race.open} if race.open else {}
    outcome = ", ".join(f"{count} {name}" for name, count in parts.items())
    noun = "challenger" if race.challengers == 1 else "challengers"
    return (
        f"{race.challengers} {noun}: {outcome}; {race.heats} heats on fresh samples, "
        f"{100 * race.share:.0f} % of the CPU time of evaluations"
    )


def live_words(race: Race | None) -> str:
    """Say where the race of a run under way stands; empty for an exact task."""
    if race is None:
        return ""
    if race.champion is None:
        return "confirming the start"
    confirmed = race.outcomes[ChallengeOutcome.CONFIRMED]
    refuted = race.outcomes[ChallengeOutcome.REFUTED]
    found = f"{confirmed} confirmed" if confirmed else "no improvement found"
    return f"{found}, {refuted} refuted" + (f", {len(race.open)} racing" if race.open else "")


def _figures(row: ChallengeRecord | None) -> tuple[float, float, float] | None:
    if row is None or row.value is None or row.interval is None:
        return None
    return (row.value, *row.interval)
