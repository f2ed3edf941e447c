"""Data that crosses the border to a candidate: MessagePack, numpy arrays as an extension type.

Reads what hostile processes wrote: `decode` either returns plain data or raises `WireError`, and
never allocates more than a small multiple of what it was given. This module runs on both sides, so
it imports nothing of breeder.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np

ARRAY_CODE = 1
HEADER = struct.Struct("<Q")
"""Frames are the length of their body in 8 bytes, then the body."""

TICKET_BYTES = 8
DONE, FAILED = b"\0", b"\1"
"""The word to run prepared calls is a ticket of 8 bytes; the answer is the ticket and `DONE`, or
the ticket, `FAILED` and a frame that says why."""

MAX_TOKENS = 1_000_000
"""Most values that a message of more than `UNCHECKED_BYTES` may hold (an array counts once)."""
UNCHECKED_BYTES = 4 << 20
"""An empty dict takes 1 byte here and 64 in memory; below this size that is bearable."""

_DTYPES = frozenset(
    np.dtype(code).newbyteorder("<").str
    for code in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
)
_PLAIN = frozenset({type(None), bool, int, float, str, bytes, np.ndarray})
_CONVERTIBLE = (int, float, str, bytes, bytearray, list, tuple, dict, np.ndarray, np.generic)
_MAX_DIMENSIONS = 32
_MAX_DEPTH = 200


class WireError(ValueError):
    """A value is not data, or bytes are not a message. The text says why in one line."""


def encode(value: Any) -> bytes:
    """Return `value` as MessagePack.

    Args:
        value: None, bool, int (64 bits), float, str, bytes, lists, tuples, dicts with string
            keys, numpy scalars and arrays of boolean, integer, real and complex dtypes.

    Raises:
        WireError: it holds anything else.
    """
    try:
        _check(value)
        return _encoder.encode(value)
    except WireError:
        raise
    except RecursionError:
        raise WireError("nested too deeply") from None
    except OverflowError:
        raise WireError("an integer does not fit into 64 bits") from None
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise WireError(str(error)[:200]) from None


def decode(data: bytes | bytearray | memoryview) -> Any:
    """Return the value that `data` holds; arrays are fresh and writable, tuples come as lists.

    Raises:
        WireError: it is damaged, nested too deeply, or holds too many values.
    """
    try:
        if len(data) > UNCHECKED_BYTES:
            _count_tokens(data)
        value = _decoder.decode(data)
        _check(value)
    except WireError:
        raise
    except RecursionError:
        raise WireError("nested too deeply") from None
    except (TypeError, ValueError, OverflowError, MemoryError, msgspec.MsgspecError) as error:
        raise WireError(str(error)[:200]) from None
    return value


def frame(body: bytes) -> bytes:
    """Return `body` with its length in front."""
    return HEADER.pack(len(body)) + body


def _check(value: Any) -> None:
    # Whole lists at a time: set(map(type, ...)) is what makes long ones cheap.
    pending: list[tuple[Any, int]] = [([value], 0)]
    while pending:
        items, depth = pending.pop()
        if depth > _MAX_DEPTH:
            raise WireError("nested too deeply")
        for kind in set(map(type, items)):
            if kind in _PLAIN:
                continue
            if not issubclass(kind, _CONVERTIBLE):
                raise WireError(f"a value of type {kind.__name__} is not data")
            if issubclass(kind, (list, tuple)):
                pending.extend((item, depth + 1) for item in items if type(item) is kind)
            elif issubclass(kind, dict):
                for item in items:
                    if type(item) is kind:
                        _check_keys(item)
                        pending.append((item.values(), depth + 1))


def _check_keys(mapping: dict[Any, Any]) -> None:
    for kind in set(map(type, mapping)):
        if kind is not str:
            raise WireError(f"a dict has keys of type {kind.__name__}; only strings are allowed")


def _encode_other(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic) and not isinstance(value, (str, bytes)):
        if value.dtype.newbyteorder("<").str not in _DTYPES or value.dtype.kind == "c":
            raise WireError(f"a value of type {type(value).__name__} is not data")
        return value.item()
    if isinstance(value, dict):
        return dict(value)
    for base in (str, int, float):
        if isinstance(value, base):
            return base(value)
    if isinstance(value, (list, tuple)):
        return list(value)
    return bytes(value)


def _array(value: np.ndarray[Any, Any]) -> msgspec.msgpack.Ext:
    dtype = value.dtype.newbyteorder("<")
    if dtype.str not in _DTYPES:
        raise WireError(f"an array of dtype {value.dtype} is not data")
    head = msgspec.msgpack.encode((dtype.str, value.shape))
    body = np.ascontiguousarray(value, dtype=dtype).tobytes()
    return msgspec.msgpack.Ext(ARRAY_CODE, len(head).to_bytes(2, "little") + head + body)


def _decode_extension(code: int, data: memoryview) -> Any:
    if code != ARRAY_CODE:
        raise WireError(f"extension type {code} is unknown")
    if len(data) < 2:
        raise WireError("an array is truncated")
    begin = 2 + int.from_bytes(data[:2], "little")
    dtype, shape = _array_head.decode(data[2:begin])
    if dtype not in _DTYPES or len(shape) > _MAX_DIMENSIONS or any(n < 0 for n in shape):
        raise WireError("an array has an impossible dtype or shape")
    size = np.dtype(dtype).itemsize
    for length in shape:
        size *= length
    if size != len(data) - begin:
        raise WireError("an array's shape does not fit its data")
    return np.frombuffer(data[begin:], dtype=dtype).reshape(shape).copy()


def _count_tokens(data: bytes | bytearray | memoryview) -> None:
    end = len(data)
    position = tokens = 0
    while position < end:
        tokens += 1
        if tokens > MAX_TOKENS:
            raise WireError(f"more than {MAX_TOKENS} values; answer large data as numpy arrays")
        fixed, width = _TOKENS[data[position]]
        if width:
            fixed += int.from_bytes(data[position + 1 : position + 1 + width], "big")
        position += fixed


def _token_table() -> list[tuple[int, int]]:
    """(bytes without the body, bytes of the body's length) for every first byte of a token."""
    table = [(1, 0)] * 256
    for short in range(32):
        table[0xA0 + short] = (1 + short, 0)
    for code, width, extra in (
        (0xC4, 1, 0), (0xC5, 2, 0), (0xC6, 4, 0),  # bin
        (0xC7, 1, 1), (0xC8, 2, 1), (0xC9, 4, 1),  # ext, with a type byte
        (0xD9, 1, 0), (0xDA, 2, 0), (0xDB, 4, 0),  # str
    ):  # fmt: skip
        table[code] = (1 + width + extra, width)
    for code, size in (
        (0xCA, 5), (0xCB, 9), (0xCC, 2), (0xCD, 3), (0xCE, 5), (0xCF, 9),  # floats, unsigned
        (0xD0, 2), (0xD1, 3), (0xD2, 5), (0xD3, 9),  # signed
        (0xD4, 3), (0xD5, 4), (0xD6, 6), (0xD7, 10), (0xD8, 18),  # fixed ext
        (0xDC, 3), (0xDD, 5), (0xDE, 3), (0xDF, 5),  # heads of lists and dicts
    ):  # fmt: skip
        table[code] = (size, 0)
    return table


_TOKENS = _token_table()
_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_other)
_decoder = msgspec.msgpack.Decoder(ext_hook=_decode_extension)
_array_head = msgspec.msgpack.Decoder(tuple[str, tuple[int, ...]])
