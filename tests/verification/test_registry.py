"""What the registry takes in, keeps, and calls current."""

import json

import msgspec
import pytest
from tests.verification.made_up import HONEST, OVERFITTED, START, certificate, record, trials

from breeder.errors import CertificateError
from breeder.verification import certificate as certificates
from breeder.verification.registry import Registry

TASK = certificate().task
BETTER = HONEST.replace("p * p", "p ** 2")


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def adopt(registry, made):
    return registry.adopt(made, made.program.files)


def small(text=BETTER, **fields):
    """A certificate of a smaller improvement than the usual one."""
    return certificate(text, trials((8.0, 9.0, 8.5), (7.0, 8.1, 7.4)), **fields)


def test_an_empty_registry_has_nothing(registry):
    assert registry.adopted() == ()
    assert registry.current("toys/squares") is None


def test_what_holds_is_adopted(registry):
    made = certificate()
    adoption = adopt(registry, made)
    assert registry.adopted() == (adoption,)
    assert registry.current("toys/squares") == adoption
    assert adoption.certificate == made
    assert adoption.folder == registry.folder / "toys" / "squares" / made.program.id
    assert (adoption.folder / "program" / "squares.py").read_text() == HONEST
    left = {p.name for p in registry.folder.iterdir()}
    assert left == {"toys"}


def test_an_adoption_is_never_overwritten(registry):
    first = adopt(registry, certificate())
    again = adopt(registry, certificate(created_at="2026-12-01T00:00:00+00:00"))
    assert again == first
    assert registry.adopted() == (first,)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (certificate(trusted=False), "self-reported"),
        (certificate(outcome=trials((8.0, 8.0), (8.0, 8.0))), "does not hold"),
        (certificate(outcome=trials((8.0,), (1.0,))), "not decided"),
        (certificate(outcome=trials((8.0, 8.0), (9.0, 9.0)), verdict="holds"), "does not follow"),
        (
            certificate(task=msgspec.structs.replace(certificate().task, name="a/../../b")),
            "no name",
        ),
    ],
)
def test_what_does_not_earn_it_is_refused(registry, made, words):
    with pytest.raises(CertificateError, match=words):
        adopt(registry, made)
    assert registry.adopted() == ()


@pytest.mark.parametrize("where", ["selection", "environment"])
def test_without_a_sandbox_nothing_is_adopted(registry, where):
    key = "sandbox" if where == "selection" else "sandbox_kind"
    part = msgspec.structs.replace(getattr(certificate(), where), **{key: "none"})
    with pytest.raises(CertificateError, match="no sandbox"):
        adopt(registry, certificate(**{where: part}))


def test_another_program_than_the_certified_one_is_refused(registry):
    with pytest.raises(CertificateError, match="not the certified one"):
        registry.adopt(certificate(), {"squares.py": OVERFITTED})


def test_files_cannot_leave_the_registry(registry, tmp_path):
    files = {"../../../escaped.py": "x = 1\n"}
    bad = record(START)
    bad = msgspec.structs.replace(bad, files=files, sha256=certificates.files_hash(files))
    with pytest.raises(CertificateError, match="outside"):
        adopt(registry, certificate(program=bad))
    assert not list(tmp_path.rglob("escaped.py"))
    assert registry.adopted() == ()


def test_the_larger_established_improvement_is_current(registry):
    large = adopt(registry, certificate())
    adopt(registry, small())
    assert registry.current("toys/squares") == large
    assert len(registry.adopted()) == 2


def test_a_newer_better_one_takes_over_and_history_stays(registry):
    old = adopt(registry, small())
    new = adopt(registry, certificate())
    assert registry.current("toys/squares") == new
    assert registry.adopted() == (old, new)


def test_improvements_on_another_version_of_the_task_are_not_compared(registry):
    large = adopt(registry, certificate())
    task = msgspec.structs.replace(large.certificate.task, digest="e" * 64)
    newer = adopt(registry, small(task=task))
    assert registry.current("toys/squares") == newer
    assert registry.current("toys/squares", "d" * 64) == large
    assert registry.current("toys/squares", "f" * 64) is None


def test_damage_is_told(registry):
    adoption = adopt(registry, certificate())
    path = adoption.folder / "certificate.json"
    data = json.loads(path.read_text())
    data["verdict"] = "does not hold"
    path.write_text(json.dumps(data))
    with pytest.raises(CertificateError, match="was changed"):
        registry.adopted()


def test_a_swapped_certificate_is_told(registry):
    adoption = adopt(registry, certificate())
    other = certificate(created_at="2027-01-01T00:00:00+00:00")
    (adoption.folder / "certificate.json").write_bytes(certificates.to_json(other))
    with pytest.raises(CertificateError, match="does not hold what was adopted"):
        registry.adopted()


def test_what_an_interrupted_adoption_left_is_not_seen(registry):
    adoption = adopt(registry, certificate())
    leftover = registry.folder / ".adopting-x" / "entry"
    leftover.mkdir(parents=True)
    (leftover / "adoption.json").write_text("{")
    assert registry.adopted() == (adoption,)


def test_where_the_users_registry_is(monkeypatch, tmp_path):
    monkeypatch.delenv("BREEDER_REGISTRY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Registry.default().folder == tmp_path / "breeder" / "registry"
    monkeypatch.setenv("BREEDER_REGISTRY", str(tmp_path / "own"))
    assert Registry.default().folder == tmp_path / "own"


def test_an_unwritable_registry_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match="cannot be written"):
        adopt(Registry(tmp_path / "file"), certificate())
