import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from breeder import capabilities, doctor
from breeder.capabilities import Capabilities
from breeder.doctor import Diagnosis, advice, cheat, consult
from breeder.errors import SandboxUnavailableError
from breeder.evaluation import sandboxes
from breeder.measurement.noise_floor import NoiseFloor
from breeder.measurement.workloads import Kind
from breeder.verification import cheats
from breeder.verification.cheats import CheatOutcome, CheatReport, HonestOutcome

FINE = Capabilities(
    cores=4,
    quota=None,
    load=0.1,
    virtual=False,
    governor="performance",
    turbo=False,
    simd=("avx2",),
    compilers={"gcc": "12.2.0", "g++": "12.2.0"},
    cpu_clock_seconds=1e-7,
    wall_clock_seconds=3e-8,
)


def floor(spread: float = 0.01, share: float = 1.0) -> NoiseFloor:
    rng = random.Random(1)
    ratios = tuple(rng.gauss(0, spread) for _ in range(200))
    return NoiseFloor(Kind.CACHE, "cpu", 1e-3, 0.01, spread, 0.0, share, ratios)


def diagnosis(
    found: Capabilities = FINE, *, problem: str = "", floors: Sequence[NoiseFloor] = ()
) -> Diagnosis:
    sandbox = "" if problem else "bubblewrap"
    return Diagnosis({"cores": found.cores}, found, sandbox, problem, tuple(floors))


def test_a_good_machine_needs_nothing() -> None:
    assert advice(diagnosis(floors=[floor()])) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"compilers": {}}, "install gcc"),
        ({"compilers": {"gcc": "12.2.0"}}, "install g++"),
        ({"simd": ()}, "SIMD"),
        ({"cores": 1}, "one core"),
        ({"quota": 1.5}, "1.5 of 4 cores"),
        ({"load": 7.0}, "load 7.0"),
        ({"governor": "powersave"}, "performance"),
        ({"turbo": True}, "turbo"),
        ({"virtual": True}, "virtual machine"),
        ({"cpu_clock_seconds": 0.01}, "10000 µs"),
    ],
)
def test_each_shortcoming_gets_one_line(change: dict[str, object], words: str) -> None:
    (line,) = advice(diagnosis(replace(FINE, **change)))  # type: ignore[arg-type]
    assert words in line
    assert "\n" not in line


def test_a_missing_sandbox_a_crowd_and_noise_get_a_line_each() -> None:
    (line,) = advice(diagnosis(problem="install bubblewrap"))
    assert line == "no sandbox: install bubblewrap"
    (line,) = advice(diagnosis(floors=[floor(), floor(share=0.5)]))
    assert "50%" in line
    (line,) = advice(diagnosis(floors=[floor(spread=1.0)]))
    assert "noisy" in line


def test_the_findings_are_data_too() -> None:
    short = replace(floor(), pair_seconds=0.5)  # six pairs in 3 s resolve nothing
    data = json.loads(json.dumps(diagnosis(floors=[short]).to_json(), allow_nan=False))
    assert (data["sandbox"], data["sandbox_problem"]) == ("bubblewrap", None)
    (measured,) = data["noise_floor"]
    assert measured["pairs"] == 200
    assert measured["resolvable"]["3"] is None
    assert 0 < measured["resolvable"]["60"] < measured["resolvable"]["15"] < 1


def told(seconds: float, *, as_json: bool = False) -> tuple[int, list[str]]:
    lines: list[str] = []
    return consult(seconds, lines.append, as_json=as_json), lines


@pytest.fixture
def no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "find", lambda: FINE)
    monkeypatch.setattr(sandboxes, "require", lambda kind: "bubblewrap: as if")
    monkeypatch.setattr(doctor, "measure", lambda kind, *_: replace(floor(), kind=kind))


@pytest.mark.usefixtures("no_look")
def test_every_kind_of_work_has_a_row() -> None:
    code, lines = told(1)
    assert code == 0
    assert lines[-1] == "\nnothing to mend"
    rows = [line for line in lines if line.startswith(tuple(Kind))]
    assert [row.split(" ")[0] for row in rows] == list(Kind)
    header = next(line for line in lines if line.startswith("work"))
    assert {len(line) for line in (header, *rows)} == {len(header)}
    assert all(len(line) <= 100 for line in lines)


@pytest.mark.usefixtures("no_look")
def test_without_a_sandbox_the_rest_is_told_and_the_code_is_2(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(kind: str) -> str:
        raise SandboxUnavailableError("install bubblewrap")

    monkeypatch.setattr(sandboxes, "require", missing)
    code, lines = told(1)
    assert code == 2
    assert lines[-1] == "- no sandbox: install bubblewrap"
    code, (text,) = told(0, as_json=True)
    assert code == 2
    assert json.loads(text)["sandbox_problem"] == "install bubblewrap"


@pytest.mark.usefixtures("no_look")
def test_work_that_cannot_be_measured_is_said_and_the_others_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(kind: Kind, *_: object) -> NoiseFloor:
        if kind is Kind.MEMORY:
            raise MemoryError
        return replace(floor(), kind=kind)

    monkeypatch.setattr(doctor, "measure", failing)
    code, lines = told(1)
    assert code == 0
    assert "memory-bound    cannot be measured: MemoryError" in lines
    assert sum(line.startswith(tuple(Kind)) for line in lines) == len(Kind)
    assert lines[-1].startswith("- memory-bound: MemoryError")


@pytest.mark.parametrize("passed", [True, False])
def test_the_cheat_suite_is_told_outcome_by_outcome(
    passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    caught = CheatOutcome("memoising", "kernels/x", "keeps answers", passed, "invalid", 0.5)
    honest = HonestOutcome("tiled", "kernels/x", "tiles", False, "", 0.25)

    def run_all(on_result: Callable[[CheatOutcome | HonestOutcome], None]) -> CheatReport:
        on_result(caught)
        on_result(honest)
        return CheatReport((caught,), (honest,))

    monkeypatch.setattr(cheats, "run_all", run_all)
    lines: list[str] = []
    assert cheat(lines.append) == (0 if passed else 1)
    assert lines[:2] == ["tried kernels/x: memoising, 0.5 s", "tried kernels/x: tiled, 0.2 s"]
    text: list[str] = []
    assert cheat(text.append, as_json=True) == (0 if passed else 1)
    assert json.loads(text[0])["passed"] is passed
