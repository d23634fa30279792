"""Rows of pixels and folders of images -> arrays; the same parser for training and serving."""

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import BadInputError, MalformedError, OutOfRangeError
from .images import InputSpec, decode, fit_pixels

SIDE = 48  # of the image in a row of pixels
PIXELS = SIDE * SIDE
_ZERO, _SPACE, _COMMA = np.frombuffer(b"0 ,", dtype=np.uint8)
_TEN, _HUNDRED = np.uint8(10), np.uint8(100)


@dataclass(frozen=True)
class Dataset:
    images: np.ndarray  # uint8 [N, size, size, channels]
    values: list[str]  # N label values, as they stand in the data
    digest: str  # SHA-256 of the files read, in the order of their names

    def codes(self, values: Iterable[str]) -> np.ndarray:
        """Positions of the rows' labels in `values`, int64 [N]; -1 where a label is not in it."""
        position = {value: i for i, value in enumerate(values)}
        return np.array([position.get(v, -1) for v in self.values], dtype=np.int64)


def parse_pixels(text: bytes) -> np.ndarray:
    """'p p p …' or 'p,p,p,…' -> uint8 [2304]; values over 255 are refused, never wrapped.

    Works on all characters at once: each takes its value from itself and the two before it, and
    the last digits of the numbers are kept. A few cheap passes beat one pass with look-ups.
    """
    codes = np.frombuffer(b"   " + text + b" ", dtype=np.uint8)
    digits = codes - _ZERO  # wraps for what is no digit, to 10 or more
    is_digit = digits < _TEN
    ends = np.flatnonzero(is_digit[2:-1] > is_digit[3:])  # the last digits of the numbers
    if ends.size != PIXELS or not (is_digit | (codes == _SPACE) | (codes == _COMMA)).all():
        raise MalformedError(_what_is_wrong(text))
    digits *= is_digit
    low = digits[2:-1] + digits[1:-2] * _TEN
    is_third = is_digit[1:-2] & is_digit[2:-1]
    hundreds = digits[:-3] * is_third
    too_long = is_digit[:-3] & is_third & is_digit[3:]
    if (too_long | (hundreds > 2) | ((hundreds == 2) & (low > 55))).any():
        raise OutOfRangeError(_what_is_wrong(text))
    return (low + hundreds * _HUNDRED).take(ends)


def _what_is_wrong(text: bytes) -> str:
    """The first fault of a row that could not be parsed; slow, for error messages only."""
    tokens = text.decode("latin-1").replace(",", " ").split(" ")
    tokens = [token for token in tokens if token]
    for position, token in enumerate(tokens, start=1):
        if not (token.isascii() and token.isdecimal()):
            return f"pixel {position} is {token[:20]!r}, not a whole number"
        if len(token) > 3 or int(token) > 255:
            return f"pixel {position} is {token[:20]}, not in 0-255"
    return f"{len(tokens)} pixels, not {PIXELS} ({SIDE} x {SIDE})"


def parse_row(line: bytes) -> np.ndarray:
    """A row as the endpoint takes it, with or without a leading label column -> uint8 [2304]."""
    commas = line.count(b",")
    pixels = line if commas in (0, PIXELS - 1) else line.partition(b",")[2]
    return parse_pixels(pixels)


def read_channel(folder: Path, spec: InputSpec) -> Dataset:
    """All CSV files of a channel: pixel CSVs, lists of image files, or both."""
    paths = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    if not paths:
        raise MalformedError(f"no .csv file in the channel {folder.name!r} ({folder})")
    digest = hashlib.sha256()
    parts = [_read_csv(path, spec, digest) for path in paths]
    values = [value for _, part in parts for value in part]
    if not values:
        raise MalformedError(f"the channel {folder.name!r} has no rows, only headers")
    images = parts[0][0] if len(parts) == 1 else np.concatenate([images for images, _ in parts])
    return Dataset(images, values, digest.hexdigest())


def _read_csv(path: Path, spec: InputSpec, digest: "hashlib._Hash") -> tuple[np.ndarray, list[str]]:
    with path.open("rb", buffering=1 << 20) as file:
        lines = _hashed(file, digest)
        header = _fields(next(lines, b"").removeprefix(b"\xef\xbb\xbf"))
        names = [name.decode("utf-8", "replace").strip().lower() for name in header]
        if {"ethnicity", "pixels"} <= set(names):
            return _read_pixel_rows(path, lines, names, spec)
        if {"file", "label"} <= set(names):
            return _read_image_rows(path, lines, names, spec, digest)
    raise MalformedError(
        f"{path.name}: the header names the columns {names}; "
        "wanted are ethnicity and pixels, or file and label"
    )


def _hashed(lines: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for line in lines:
        digest.update(line)
        yield line


def _fields(line: bytes) -> list[bytes]:
    """The fields of one line; quotes are rare, so only they pay for the csv module."""
    line = line.rstrip(b"\r\n")
    if b'"' not in line:
        return line.split(b",")
    return [field.encode() for field in next(csv.reader([line.decode("utf-8", "replace")]))]


def _rows(
    path: Path, lines: Iterable[bytes], columns: list[str], wanted: tuple[str, str]
) -> Iterator[tuple[int, bytes, bytes]]:
    """(row number from 1, two wanted fields) of each line that is not blank."""
    first, second = map(columns.index, wanted)
    for number, line in enumerate((line for line in lines if line.strip()), start=1):
        fields = _fields(line)
        if len(fields) != len(columns):
            raise MalformedError(
                f"{path.name}: row {number} has {len(fields)} fields, the header {len(columns)}"
            )
        yield number, fields[first], fields[second]


def _read_pixel_rows(
    path: Path, lines: Iterable[bytes], columns: list[str], spec: InputSpec
) -> tuple[np.ndarray, list[str]]:
    """One pass; memory is the pixels themselves, one byte each."""
    pixels, values = bytearray(), []
    for number, label, text in _rows(path, lines, columns, ("ethnicity", "pixels")):
        try:
            pixels += parse_pixels(text).data
            values.append(_label(label))
        except BadInputError as error:
            raise type(error)(f"{path.name}: row {number}: {error}") from error
    squares = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, SIDE, SIDE)
    if not values:
        return np.zeros((0, spec.size, spec.size, spec.channels), np.uint8), []
    return fit_pixels(squares, spec), values


def _read_image_rows(
    path: Path,
    lines: Iterable[bytes],
    columns: list[str],
    spec: InputSpec,
    digest: "hashlib._Hash",
) -> tuple[np.ndarray, list[str]]:
    rows = [
        (number, _inside(path.parent, name, path.name, number), _label(label))
        for number, name, label in _rows(path, lines, columns, ("file", "label"))
    ]
    images = np.zeros((len(rows), spec.size, spec.size, spec.channels), np.uint8)

    def load(row: tuple[int, Path, str]) -> bytes:
        number, file, _ = row
        try:
            data = file.read_bytes()
            images[number - 1] = decode(data, spec)
        except (BadInputError, OSError) as error:
            raise MalformedError(f"{path.name}: row {number}: {file.name}: {error}") from error
        return hashlib.sha256(data).digest()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for each in pool.map(load, rows):
            digest.update(each)
    return images, [label for _, _, label in rows]


def _inside(folder: Path, name: bytes, csv_name: str, number: int) -> Path:
    path = (folder / name.decode("utf-8", "replace")).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise MalformedError(f"{csv_name}: row {number}: {path} lies outside the channel")
    return path


def _label(field: bytes) -> str:
    label = field.decode("utf-8", "replace").strip()
    if not label:
        raise MalformedError("the label is empty")
    return label
