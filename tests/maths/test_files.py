import io
import json

import numpy as np
import pytest

from breeder.maths import RefusedError
from breeder.maths.files import LARGEST_FILE, load, parsed


@pytest.fixture
def file(tmp_path):
    def write(content: bytes):
        path = tmp_path / "construction"
        path.write_bytes(content)
        return path

    return write


def saved(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def test_json_and_arrays_are_read(file):
    assert load(file(json.dumps({"h": [0.5, 1]}).encode())) == {"h": [0.5, 1]}
    for dtype in (np.float64, np.float32, np.int64):
        array = np.arange(6, dtype=dtype).reshape(2, 3)
        assert np.array_equal(load(file(saved(array))), array)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "neither JSON nor"),
        (b"[NaN]", "NaN is no number"),
        (b"[1, -Infinity]", "-Infinity is no number"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"7" * 5000 + b"]", "no JSON"),
        (b"{'h': 1}", "no JSON"),
        (b"\x93NUMPY", "damaged NumPy"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': [[[[[[", "damaged NumPy"),
        (b"\x93NUMPY\x09\x00\x10\x00{}", "damaged NumPy"),
        (saved(np.array([{}], dtype=object), allow_pickle=True), "not of integers or floats"),
        (saved(np.array([True])), "not of integers or floats"),
        (saved(np.array([1j])), "not of integers or floats"),
        (saved(np.array(["1"])), "not of integers or floats"),
        (saved(np.array([(1, 2.0)], dtype="i4,f8")), "not of integers or floats"),
        (saved(np.ones(8))[:-1], "another length"),
        (saved(np.ones(8)) + b"\0", "another length"),
        (saved(np.ones(8)).replace(b"(8,), }  ", b"(8000000000,), }"), "damaged|another length"),
    ],
)
def test_what_is_no_construction_is_refused_in_one_line(file, content, why):
    path = file(content)
    with pytest.raises(RefusedError, match=why) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count(str(path)) == 1


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "large.json"
    with path.open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)
    with pytest.raises(RefusedError, match="larger than 16 MiB"):
        load(path)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="is no file"):
        load(tmp_path)


def test_an_exponent_that_overflows_is_infinite_and_refused_later():
    assert parsed(b"[1e99999999]") == [float("inf")]
