"""What the store must hold and find. Subclass `StoreConformance`, give `create` and `open`."""

from dataclasses import replace
from pathlib import Path

import pytest

from breeder.archive.store import (
    BaselineRecord,
    ChallengeOutcome,
    ChallengeRecord,
    EvaluationRecord,
    RunRecord,
    Store,
)
from breeder.core import Cost, Evaluation, Failure, FailureKind, Placement, Program

RUN = RunRecord(
    breeder_version="0.1",
    task_name="maths/größe",
    task_kind="breeder",
    task_folder="/a folder/with spaces",
    task_digest="ab" * 32,
    task_json='{"task": "ζ"}',
    config_json="{}",
    sandbox="bubblewrap",
    trusted=True,
    machine_json='{"cores": 2}',
    started_at="2026-01-02T03:04:05+00:00",
)


def program(name: str, *parents: str, text: str = "x = 1\n", proposer: str = "syntax") -> Program:
    return Program(name, {"program.py": text}, parents, proposer, "note", f"print-{name}", 7, 1)


def success(name: str, fitness: float, **fields) -> EvaluationRecord:
    evaluation = Evaluation(
        metrics={"score": fitness}, cost=Cost(1.0, 2.0, 3, 0.5), stage="full", stages_run=1
    )
    fields = {"draw": 0, "island": 0, "placement": Placement.NEW, **fields}
    return EvaluationRecord(name, evaluation, fitness=fitness, **fields)


def failed(name: str, kind: FailureKind, **fields) -> EvaluationRecord:
    evaluation = Evaluation(failure=Failure(kind, "why", "quick"), stage="quick", stages_run=1)
    return EvaluationRecord(name, evaluation, **{"draw": 0, "island": 0, **fields})


class StoreFixtures:
    def create(self, folder: Path, run: RunRecord) -> Store:
        raise NotImplementedError

    def open(self, folder: Path, *, readonly: bool = False) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def folder(self, tmp_path):
        return tmp_path / "run"

    @pytest.fixture
    def store(self, folder):
        with self.create(folder, RUN) as store:
            yield store


class RaceConformance(StoreFixtures):
    """What the store must keep of a measured task."""

    @pytest.fixture
    def measured(self, folder):
        task = '{"measured": {"metric": "score"}, "objective": []}'
        with self.create(folder, replace(RUN, task_json=task)) as store:
            yield store

    def test_who_measures(self, store, tmp_path):
        assert store.measured() is None
        task = '{"measured": {"metric": "score"}}'
        with self.create(tmp_path / "other", replace(RUN, task_json=task)) as other:
            assert other.measured() == "score"

    def test_the_best_of_the_search_is_no_champion_until_it_is_confirmed(self, measured):
        store = measured
        store.record(
            program("start"), success("start", 1.0, draw=-1), challenge=ChallengeRecord(0, 0)
        )
        store.record(program("a"), success("a", 3.0), challenge=ChallengeRecord(1, 0, against=1.0))
        store.record(program("b"), success("b", 2.0), challenge=ChallengeRecord(2, 0, against=1.0))
        assert [row.evaluation for row in store.challenges()] == [1, 2, 3]
        assert {row.outcome for row in store.challenges()} == {ChallengeOutcome.OPEN}
        assert (store.champion(), store.confirmed()) == (None, None)
        self.conclude(store, 0, "start", ChallengeOutcome.CONFIRMED, 1.02)
        assert store.champion() is None
        self.conclude(store, 1, "a", ChallengeOutcome.REFUTED, 0.9)
        assert store.champion() is None
        self.conclude(store, 2, "b", ChallengeOutcome.CONFIRMED, 1.5)
        champion, last = store.champion(), store.confirmed()
        assert champion == store.evaluation(3)
        assert champion.gain == 0.5
        assert (last.number, last.value, last.interval) == (2, 1.5, (1.4, 1.6))
        revised = last.revise(champion.evaluation, "score")
        assert (revised.metrics, revised.intervals) == ({"score": 1.5}, {"score": (1.4, 1.6)})
        # Heats belong to who ran them, and are no search.
        assert [heat.program_id for heat in store.heats(last)] == ["b"]
        assert store.counts()["evaluations"] == 3
        assert store.costs()["confirm"] == (3.0, 6.0, 9, 1.5)

    def conclude(self, store, number, name, outcome, value):
        heat = store.record(
            program(name), success(name, value, split="confirm", draw=-1, island=-1)
        )
        row = next(row for row in store.challenges() if row.number == number)
        row = replace(row, outcome=outcome, value=value, low=value - 0.1, high=value + 0.1)
        gain = 0.5 if outcome is ChallengeOutcome.CONFIRMED and number else 0.0
        store.conclude(replace(row, heats=1, decided=heat, elapsed=9.5), gain=gain)
        found = next(row for row in store.challenges() if row.number == number)
        assert (found.outcome, found.decided, found.elapsed) == (outcome, heat, 9.5)

    def test_a_challenge_that_failed_has_no_value(self, measured):
        row = ChallengeRecord(1, 0, ChallengeOutcome.REFUTED, against=1.0, heats=1)
        measured.record(program("a"), success("a", 3.0), challenge=row)
        (found,) = measured.challenges()
        assert (found.value, found.interval) == (None, None)
        assert found.revise(success("a", 3.0).evaluation, "score") is None
        with pytest.raises(ValueError, match="finite"):
            measured.conclude(replace(found, value=float("nan")), gain=0.0)
        assert measured.challenges() == (found,)


class StoreConformance(StoreFixtures):
    # ---- round trips

    def test_the_run_row(self, store):
        assert store.run() == RUN
        store.update_run(
            status="stopped", detail="Ctrl-C — ok", finished_at="now", elapsed=1.5, engine_cpu=0.25
        )
        run = store.run()
        assert (run.status, run.detail, run.finished_at) == ("stopped", "Ctrl-C — ok", "now")
        assert (run.elapsed, run.engine_cpu, run.task_name) == (1.5, 0.25, RUN.task_name)

    @pytest.mark.parametrize(
        "text",
        ["", "plain\n", "ünï ζ 漢字 🚀\r\n\ttab", "nul\0inside", "'; DROP TABLE run; --"],
    )
    def test_every_field_of_a_program(self, store, text):
        made = Program(
            id="id-ζ",
            files={"a.py": text, "sub/b.c": "int x;"},
            parents=("main", "other"),
            proposer="recombination",
            note=text,
            fingerprint="f" * 64,
            size=123_456,
            generation=17,
        )
        store.record(made, success("id-ζ", 1.0))
        assert store.program("id-ζ") == made

    @pytest.mark.parametrize("construction", [None, b"", b"\x00\xff" * 1_500_000])
    def test_every_field_of_an_evaluation(self, store, construction):
        evaluation = Evaluation(
            metrics={"": -0.0, "big": 1.7976931348623157e308, "tiny": 5e-324, "ζ": 0.1 + 0.2},
            failure=Failure(FailureKind.CONSTRAINT, "line\nζ\0 'quoted'", "full"),
            cost=Cost(0.1, 0.2, 3, 0.4),
            stage="full",
            stages_run=3,
            artifacts={"stderr": "🚀\n", "": ""},
            construction=construction,
            trusted=False,
            seed=2**62 + 1,
        )
        row = EvaluationRecord(
            program_id="a",
            evaluation=evaluation,
            draw=5,
            island=3,
            fitness=0.1 + 0.2,
            placement=Placement.IMPROVED,
            gain=1e-17,
            elapsed=12.5,
        )
        number = store.record(program("a"), row)
        found = store.evaluation(number)
        assert found == EvaluationRecord(
            "a", evaluation, "search", 5, 3, 0.1 + 0.2, Placement.IMPROVED, 1e-17, 12.5, number
        )

    def test_intervals_of_an_evaluation(self, store):
        ends = {"score": (0.1 + 0.2, 1e300), "ζ": (-1.0, -1.0)}
        number = store.record(program("a"), EvaluationRecord("a", Evaluation(intervals=ends)))
        assert store.evaluation(number).evaluation.intervals == ends
        bad = EvaluationRecord("a", Evaluation(intervals={"score": (0.0, float("inf"))}))
        with pytest.raises(ValueError, match="finite"):
            store.record(program("a"), bad)

    @pytest.mark.parametrize("kind", list(FailureKind))
    def test_every_kind_of_failure(self, store, kind):
        store.record(program("a"), failed("a", kind))
        (found,) = store.evaluations()
        assert found.evaluation.failure == Failure(kind, "why", "quick")
        assert found.fitness is None

    def test_lone_surrogates_in_printed_text_are_escaped(self, store):
        evaluation = Evaluation(
            failure=Failure(FailureKind.EXCEPTION, "bad \udc80"), artifacts={"out": "\ud800"}
        )
        store.record(program("a"), EvaluationRecord("a", evaluation))
        (found,) = store.evaluations()
        assert found.evaluation.failure == Failure(FailureKind.EXCEPTION, "bad \\udc80")
        assert found.evaluation.artifacts == {"out": "\\ud800"}

    def test_states(self, store):
        assert store.state("absent") == b""
        store.save_state({"a": b"\x00\xff", "b": b""})
        store.save_state({"a": b"new"})
        assert (store.state("a"), store.state("b")) == (b"new", b"")

    def test_discards(self, store):
        store.save_discards({("syntax", "duplicate"): 3, ("tuning", "none"): 1})
        store.save_discards({("syntax", "duplicate"): 5})
        assert store.discards() == {("syntax", "duplicate"): 5, ("tuning", "none"): 1}

    def test_baselines(self, store):
        best = BaselineRecord("best fit", "task", "held_out", {"score": 1.0}, 1.0)
        tuned = BaselineRecord("tuning", "matched", "search", {}, None, 12.5, 40)
        store.save_baseline(BaselineRecord("best fit", "task", "held_out", {"score": 0.0}, 0.0))
        store.save_baseline(best)
        store.save_baseline(tuned)
        assert store.baselines() == (tuned, best)

    # ---- queries

    def test_a_program_is_stored_once_and_keeps_its_first_lineage(self, store):
        store.record(program("a", "first"), success("a", 1.0))
        store.record(program("a", "second"), success("a", 2.0))
        assert store.program("a").parents == ("first",)
        assert len(list(store.evaluations())) == 2

    def test_an_unknown_program_or_evaluation(self, store):
        with pytest.raises(KeyError):
            store.program("absent")
        with pytest.raises(KeyError):
            store.evaluation(1)

    def test_an_empty_store(self, store):
        assert store.start() is None
        assert store.champion() is None
        assert list(store.evaluations()) == list(store.placed()) == []
        assert store.counts() == {"evaluations": 0, "succeeded": 0}
        nothing = (0.0, 0.0, 0, 0.0)
        assert store.costs() == {"search": nothing, "held_out": nothing}

    def test_start_champion_and_held_out(self, store):
        store.record(program("s", proposer="initial"), success("s", 1.0, draw=-1))
        store.record(program("old"), success("old", 3.0))
        store.record(program("young"), success("young", 3.0))
        store.record(program("bad"), failed("bad", FailureKind.CRASH))
        store.record(program("old"), success("old", 9.0, split="held_out", draw=-1))
        newest = store.record(program("old"), success("old", 8.0, split="held_out", draw=-1))
        start, champion, held = store.start(), store.champion(), store.held_out("old")
        assert start is not None
        assert champion is not None
        assert held is not None
        assert (start.program_id, champion.program_id, held.id) == ("s", "old", newest)
        assert store.held_out("young") is None

    def test_evaluations_in_order_across_pages(self, store):
        ids = []
        for number in range(150):
            split = "held_out" if number % 10 == 9 else "search"
            ids.append(store.record(program("a"), success("a", float(-number), split=split)))
        assert ids == sorted(set(ids))
        search = [number for index, number in enumerate(ids) if index % 10 != 9]
        assert [row.id for row in store.evaluations()] == search
        later = [row.id for row in store.evaluations(after=search[70])]
        assert later == search[71:]
        assert len(list(store.evaluations(split="held_out"))) == 15

    def test_rows_recorded_while_reading_are_read_too(self, store):
        for _ in range(40):
            store.record(program("a"), success("a", 1.0))
        reading = store.evaluations()
        next(reading)
        store.record(program("b"), success("b", 1.0))
        assert [row.program_id for row in reading][-1] == "b"

    def test_placed_leaves_out_failures_held_out_and_what_was_never_offered(self, store):
        store.record(program("a"), success("a", 1.0, island=1))
        store.record(program("b"), failed("b", FailureKind.CRASH))
        store.record(program("c"), success("c", 1.0, island=-1))
        store.record(program("a"), success("a", 1.0, split="held_out"))
        (placed,) = store.placed()
        assert (placed.program_id, placed.size, placed.island) == ("a", 7, 1)
        assert (placed.fitness, placed.metrics) == (1.0, {"score": 1.0})

    def test_counts_and_costs(self, store):
        store.record(program("a"), success("a", 1.0))
        store.record(program("a"), success("a", 1.0, split="held_out"))
        for kind in (FailureKind.CRASH, FailureKind.CRASH, FailureKind.MEMORY):
            store.record(program("b"), failed("b", kind))
        assert store.counts() == {
            "evaluations": 4,
            "succeeded": 1,
            "failed:crash": 2,
            "failed:memory": 1,
        }
        assert store.costs() == {"search": (1.0, 2.0, 3, 0.5), "held_out": (1.0, 2.0, 3, 0.5)}

    def test_lineage_follows_main_parents(self, store):
        store.record(program("s"), success("s", 1.0))
        store.record(program("x"), success("x", 1.0))
        store.record(program("a", "s", "x"), success("a", 1.0))
        store.record(program("b", "a", "x"), success("b", 1.0))
        assert [one.id for one in store.lineage("b")] == ["s", "a", "b"]
        with pytest.raises(KeyError):
            store.lineage("absent")

    def test_lineage_ends_where_a_parent_is_unknown_or_met_before(self, store):
        store.record(program("a", "b"), success("a", 1.0))
        store.record(program("c", "absent"), success("c", 1.0))
        store.record(program("b", "a"), success("b", 1.0))
        assert [one.id for one in store.lineage("c")] == ["c"]
        assert [one.id for one in store.lineage("b")] == ["a", "b"]

    def test_fingerprints(self, store):
        store.record(program("a"), success("a", 1.0))
        store.record(program("b"), failed("b", FailureKind.CRASH))
        assert store.fingerprints() == {"print-a", "print-b"}
