"""Certificates as files: round trip, and everything that is refused."""

import json

import msgspec
import pytest
from tests.verification.made_up import HONEST, certificate

from breeder.admission import program_id
from breeder.errors import CertificateError
from breeder.verification import certificate as certificates


def resealed(data):
    """The text of a certificate whose content was changed by somebody who sealed it anew."""
    return json.dumps({**data, "sha256": certificates.content_hash(data)}).encode()


@pytest.fixture
def data():
    return json.loads(certificates.to_json(certificate()))


def test_round_trip(tmp_path):
    path = tmp_path / "certificate.json"
    made = certificate()
    path.write_bytes(certificates.to_json(made))
    assert certificates.read(path) == made


def test_layout_of_the_file_does_not_count(data):
    assert certificates.parse(json.dumps(data).encode()) == certificate()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(verdict="does not hold"),
        lambda d: d["trials"][0]["metrics"].update(error=9.0),
        lambda d: d["program"]["files"].update({"squares.py": "import os\n"}),
        lambda d: d["effect"].update(low=7.0),
        lambda d: d.update(seeds=[1, 2, 3]),
        lambda d: d.pop("sha256"),
    ],
)
def test_any_change_is_noticed(data, change):
    change(data)
    with pytest.raises(CertificateError, match="was changed after it was written"):
        certificates.parse(json.dumps(data).encode())


def test_a_program_that_does_not_fit_its_hash_is_noticed_even_when_sealed_anew(data):
    data["program"]["files"]["squares.py"] = HONEST + "# more\n"
    with pytest.raises(CertificateError, match="the hash of its program"):
        certificates.parse(resealed(data))
    data["program"]["id"] = program_id(data["program"]["files"])
    with pytest.raises(CertificateError, match="the hash of its program"):
        certificates.parse(resealed(data))


def test_newer_formats_are_named(data):
    data["format"] = certificates.FORMAT + 1
    with pytest.raises(CertificateError, match=f"has format {certificates.FORMAT + 1}"):
        certificates.parse(resealed(data))


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b"{}", b'{"format": "1"}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_certificate_is_told_in_one_line(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_bytes(text)
    with pytest.raises(CertificateError, match="is no certificate") as caught:
        certificates.read(path)
    assert "\n" not in str(caught.value)


def test_unknown_and_missing_fields_are_refused(data):
    with pytest.raises(CertificateError, match="surprise"):
        certificates.parse(resealed({**data, "surprise": 1}))
    del data["trials"]
    with pytest.raises(CertificateError, match="trials"):
        certificates.parse(resealed(data))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(CertificateError, match="no such file"):
        certificates.read(tmp_path / "c.json")


def test_hashes_depend_on_names_and_texts():
    one = certificates.files_hash({"a": "x", "b": "y"})
    assert one == certificates.files_hash({"b": "y", "a": "x"})
    others = [{"a": "y", "b": "x"}, {"a": "xy", "b": ""}, {"a": "x"}, {"ab": "xy"}]
    assert len({one, *map(certificates.files_hash, others)}) == 5


def test_caveats_name_what_is_wrong():
    good = certificate()
    assert certificates.caveats(good) == ()
    open_ = msgspec.structs.replace(good.selection, sandbox="none")
    changed = msgspec.structs.replace(good.selection, task_digest="e" * 64)
    assert "during the run" in certificates.bars(certificate(selection=open_))[0]
    assert "self-reported" in certificates.bars(certificate(trusted=False))[0]
    assert certificates.bars(certificate(selection=changed)) == ()
    assert "has changed since" in certificates.caveats(certificate(selection=changed))[0]
