from __future__ import annotations

import contextlib
import math
from collections import OrderedDict, namedtuple
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breeder.evaluation import wire

DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(DATA)
@settings(max_examples=100, deadline=None)
def test_data_comes_back_equal(value: Any) -> None:
    assert wire.decode(wire.encode(value)) == value


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_data_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        assert wire.decode(wire.encode(wire.decode(data))) is not ...


@pytest.mark.parametrize("code", ["?", "i1", ">i4", "u8", "f2", "f4", ">f8", "c8", "c16"])
def test_arrays_come_back_equal_fresh_and_writable(code: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(code)
    back = wire.decode(wire.encode(array.T))
    np.testing.assert_array_equal(back, array.T)
    assert back.dtype == array.dtype.newbyteorder("=")
    back[0, 0] = 1


def test_subclasses_of_plain_types_come_back_plain() -> None:
    point = namedtuple("point", "x y")
    value = [OrderedDict(a=1), point(1, 2), np.float64(0.5), np.str_("s"), bytearray(b"b")]
    back = wire.decode(wire.encode(value))
    assert back == [{"a": 1}, [1, 2], 0.5, "s", b"b"]
    assert {type(item) for item in back} == {dict, list, float, str, bytes}


@pytest.mark.parametrize(
    "value",
    [{1, 2}, object(), {1: 2}, {"a": {None: 1}}, 2**64, -(2**63) - 1, "\ud800", 1j,
     np.array(["a"]), np.array([None]), np.zeros(2, dtype="M8[s]"), np.longdouble(1)],
)  # fmt: skip
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(wire.WireError):
        wire.encode([value])


def test_what_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(wire.WireError, match="deeply"):
        wire.encode(loop)


def _extension(dtype: str, shape: tuple[int, ...], body: bytes) -> bytes:
    head = msgspec.msgpack.encode((dtype, shape))
    packed = len(head).to_bytes(2, "little") + head + body
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(wire.ARRAY_CODE, packed))


@pytest.mark.parametrize(
    "data",
    [
        _extension("|O", (1,), bytes(8)),
        _extension("<f8", (2,), bytes(8)),
        _extension("<f8", (-1,), b""),
        _extension("<f8", (2**62, 2**62), b""),
        _extension("<f8", (0, 2**63), b""),
        _extension("|b1", (1,) * 33, b"\0"),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(wire.ARRAY_CODE, b"")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(wire.ARRAY_CODE, b"\xff\xff")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(7, b"x")),
        b"\xd6\xff\0\0\0\0",  # a time stamp
        b"\x91" * 100_000,
        b"\x81\x90\x01",  # a dict with a list as its key
        b"\x81\x01\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\x01\x01",
        b"\xc1",
        b"",
    ],
)
def test_forged_messages_are_wire_errors(data: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.decode(data)


def test_millions_of_tiny_values_are_refused() -> None:
    data = b"\xdd" + (8 << 20).to_bytes(4, "big") + b"\x80" * (8 << 20)
    with pytest.raises(wire.WireError, match="as numpy arrays"):
        wire.decode(data)


def test_long_arrays_texts_and_lists_pass_the_count() -> None:
    value = [np.zeros(1 << 20), "x" * (1 << 20), b"y" * (1 << 17), [0.5] * 1000, {"a": -300}]
    back = wire.decode(wire.encode(value))
    assert back[1:] == value[1:]
    assert math.isclose(back[0].sum(), 0.0)
