"""Weights as a safetensors file: names, shapes and plain numbers, with no code to run."""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import MalformedError

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1"}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


def to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the length of a JSON header (8 bytes), the header, and all numbers one by one."""
    header, parts, end = {}, [], 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        kind = NAMES[array.dtype]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [start, end]}
        parts.append(np.ascontiguousarray(array).tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *parts])


def from_bytes(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays by name; MalformedError where the bytes are not such a file."""
    try:
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        body = memoryview(data)[8 + length :]
        header.pop("__metadata__", None)
        return {name: _array(about, body) for name, about in header.items()}
    except (struct.error, ValueError, LookupError, TypeError, AttributeError) as error:
        raise MalformedError(f"not a safetensors file of numbers ({error!r})") from error


def _array(about: Mapping[str, Any], body: memoryview) -> np.ndarray:
    dtype, shape, (start, end) = (
        np.dtype(DTYPES[about["dtype"]]),
        about["shape"],
        about["data_offsets"],
    )
    if not 0 <= start <= end <= len(body) or end - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{shape} numbers do not lie from {start} to {end}")
    return np.frombuffer(body[start:end], dtype).reshape(shape)
