"""Reads files of constructions, .json and .npy, that may be hostile. Nothing is unpickled."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Never

import numpy as np

from breeder.maths.refusal import RefusedError

LARGEST_FILE = 16 << 20  # bytes; the longest published step functions take a few MB


def load(path: Path) -> object:
    """Return the data in a file, unchecked otherwise: lists, numbers, mappings, or an array.

    Raises:
        RefusedError: it is too large, or neither JSON nor an array of numbers.
        OSError: it cannot be read.
    """
    if not path.is_file():
        raise RefusedError(f"{path}: is no file")
    with path.open("rb") as file:
        content = file.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise RefusedError(f"{path}: is larger than {LARGEST_FILE >> 20} MiB")
    try:
        return _array(content) if content.startswith(b"\x93NUMPY") else parsed(content)
    except RefusedError as error:
        raise RefusedError(f"{path}: {error}") from None


def parsed(content: bytes) -> object:
    """Return the JSON data in some bytes.

    Raises:
        RefusedError: it is no JSON, or holds NaN or Infinity (which JSON does not have).
    """
    try:
        data: object = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise RefusedError("is neither JSON nor a NumPy array") from None
    except RecursionError:
        raise RefusedError("is nested too deeply") from None
    except ValueError as error:  # also an integer of more digits than Python converts
        raise RefusedError(f"is no JSON: {error}") from None
    return data


def _refuse_constant(name: str) -> Never:
    raise RefusedError(f"{name} is no number")


def _array(content: bytes) -> object:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    except Exception as error:  # a hostile header fails in many ways, the tokeniser's among them
        raise RefusedError(f"is a damaged NumPy file: {type(error).__name__}") from None
    if dtype.kind not in "iuf":
        raise RefusedError(f"is an array of {dtype}, not of integers or floats")
    # Checked before anything is allocated: a header may promise any size.
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise RefusedError("is a NumPy file of another length than its header says")
    stream.seek(0)
    return np.load(stream, allow_pickle=False)
