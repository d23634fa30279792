"""A channel's files -> images, their labels, and the people's groups where the data tells them."""

import csv
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .data import SIDE, parse_pixels, parse_rows
from .errors import BadInputError, MalformedError
from .images import InputSpec, decode, fit_pixels

GROUPS = ("gender", "age")  # columns that may be missing, and blank
ROWS_AT_ONCE = 16  # parsed together; more would not stay in the processor's cache
FILES_AT_ONCE = 64  # given to a thread together; one by one the giving would cost a third


@dataclass(frozen=True)
class Dataset:
    images: np.ndarray  # uint8 [N, size, size, channels]
    values: list[str]  # N label values, as they stand in the data
    digest: str  # SHA-256 of all that was read
    groups: Mapping[str, list[str]] = field(default_factory=dict)  # of GROUPS, N each; "": unknown

    def codes(self, values: Iterable[str]) -> np.ndarray:
        """Positions of the rows' labels in `values`, int64 [N]; -1 where a label is not in it."""
        position = {value: i for i, value in enumerate(values)}
        return np.array([position.get(v, -1) for v in self.values], dtype=np.int64)

    def take(self, rows: np.ndarray) -> "Dataset":
        """Some of the rows, by position; the digest stays that of all."""
        values = [self.values[row] for row in rows]
        groups = {name: [texts[row] for row in rows] for name, texts in self.groups.items()}
        return Dataset(self.images[rows], values, self.digest, groups)


class Row(NamedTuple):
    number: int  # from 1, as errors name it
    image: bytes  # its pixels as text, or its file's name
    label: str
    groups: tuple[str, ...]  # in the order of GROUPS


@dataclass(frozen=True)
class Table:
    """A CSV file that is open: its columns, and the lines below the header."""

    path: Path
    columns: list[str]
    lines: Iterable[bytes]

    @property
    def has_pixels(self) -> bool:
        return "pixels" in self.columns

    def rows(self) -> Iterator[Row]:
        """All lines that are not blank."""
        image, label = map(
            self.columns.index, ("pixels", "ethnicity") if self.has_pixels else ("file", "label")
        )
        told = [self.columns.index(name) if name in self.columns else -1 for name in GROUPS]
        for number, line in enumerate((line for line in self.lines if line.strip()), start=1):
            fields = _fields(line)
            if len(fields) != len(self.columns):
                wanted = len(self.columns)
                raise self.fault(number, f"{len(fields)} fields, the header has {wanted}")
            if not (name := _text(fields[label])):
                raise self.fault(number, "the label is empty")
            groups = tuple(_text(fields[at]) if at >= 0 else "" for at in told)
            yield Row(number, fields[image], name, groups)

    def fault(
        self, number: int, text: object, kind: type[BadInputError] = MalformedError
    ) -> BadInputError:
        return kind(f"{self.path.name}: row {number}: {text}")


def read_channel(folder: Path, spec: InputSpec) -> Dataset:
    """All CSV files of a channel: pixel CSVs, lists of image files, or both."""
    parts = [_read_csv(path, spec) for path in _csv_files(folder)]
    values = [value for part in parts for value in part.values]
    if not values:
        raise MalformedError(f"the channel {folder.name!r} has no rows, only headers")
    if len(parts) == 1:
        return parts[0]
    return Dataset(
        np.concatenate([part.images for part in parts]),
        values,
        joined_digest([part.digest for part in parts]),
        {name: [text for part in parts for text in part.groups[name]] for name in GROUPS},
    )


def channel_digest(folder: Path) -> str:
    """The digest that read_channel gives, without the work of parsing and decoding."""
    return joined_digest([_digest_of(path) for path in _csv_files(folder)])


def _csv_files(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".csv")
    if not paths:
        raise MalformedError(f"no .csv file in the channel {folder.name!r} ({folder})")
    return paths


def joined_digest(digests: list[str]) -> str:
    """One file's digest as it is, that of several from theirs in the order of their names."""
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        file.seek(0)
        table = _table(path, file)
        if not table.has_pixels:
            for each in _of_files(table, list(table.rows()), lambda row, data: None):
                digest.update(each)
    return digest.hexdigest()


def _read_csv(path: Path, spec: InputSpec) -> Dataset:
    digest = hashlib.sha256()
    with path.open("rb", buffering=1 << 20) as file:
        table = _table(path, _hashed(file, digest))
        if table.has_pixels:
            images, rows = _read_pixels(table, spec)
        else:
            images, rows = _read_images(table, spec, digest)
    groups = {name: [row.groups[i] for row in rows] for i, name in enumerate(GROUPS)}
    return Dataset(images, [row.label for row in rows], digest.hexdigest(), groups)


def _table(path: Path, lines: Iterator[bytes]) -> Table:
    header = _fields(next(lines, b"").removeprefix(b"\xef\xbb\xbf"))
    columns = [_text(name).lower() for name in header]
    if not ({"ethnicity", "pixels"} <= set(columns) or {"file", "label"} <= set(columns)):
        raise MalformedError(
            f"{path.name}: the header names the columns {columns}; "
            "wanted are ethnicity and pixels, or file and label"
        )
    return Table(path, columns, lines)


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


def _text(field: bytes) -> str:
    return field.decode("utf-8", "replace").strip()


def _read_pixels(table: Table, spec: InputSpec) -> tuple[np.ndarray, list[Row]]:
    """One pass; memory is the pixels themselves, one byte each."""
    _keep_freed_memory()
    pixels, kept, rows = bytearray(), list[Row](), table.rows()
    while some := list(islice(rows, ROWS_AT_ONCE)):
        pixels += _parsed(table, some).data
        kept += [row._replace(image=b"") for row in some]
    squares = np.frombuffer(pixels, dtype=np.uint8).reshape(-1, SIDE, SIDE)
    if not kept:
        return np.zeros((0, spec.size, spec.size, spec.channels), np.uint8), []
    return fit_pixels(squares, spec), kept


def _keep_freed_memory() -> None:
    """Halve the time of parsing, by page faults that do not happen.

    glibc gives back to the kernel what parse_rows frees, only to get it anew for the next rows,
    until it has seen a block freed that is larger than all of that.
    """
    np.empty(2 << 20, np.uint8)


def _parsed(table: Table, rows: list[Row]) -> np.ndarray:
    """Pixels uint8 [N, 2304]; where they cannot be parsed, the error names the row."""
    try:
        return parse_rows([row.image for row in rows])
    except BadInputError:
        for row in rows:
            try:
                parse_pixels(row.image)
            except BadInputError as error:
                raise table.fault(row.number, error, type(error)) from error
        raise


def _read_images(
    table: Table, spec: InputSpec, digest: "hashlib._Hash"
) -> tuple[np.ndarray, list[Row]]:
    rows = list(table.rows())
    images = np.zeros((len(rows), spec.size, spec.size, spec.channels), np.uint8)

    def place(row: Row, data: bytes) -> None:
        images[row.number - 1] = decode(data, spec)

    for each in _of_files(table, rows, place):
        digest.update(each)
    return images, rows


def _of_files(table: Table, rows: list[Row], use: Callable[[Row, bytes], None]) -> Iterator[bytes]:
    """The digests of the rows' image files, in their order; threads read and use the bytes."""
    folder = os.path.realpath(table.path.parent)

    def load(row: Row) -> bytes:
        path = os.path.realpath(f"{folder}/{_text(row.image)}")  # pathlib's takes 65 us, not 25
        if not path.startswith(f"{folder}/"):
            raise table.fault(row.number, f"{path} lies outside the channel")
        try:
            data = Path(path).read_bytes()
            use(row, data)
        except (BadInputError, OSError) as error:
            raise table.fault(row.number, f"{Path(path).name}: {error}") from error
        return hashlib.sha256(data).digest()

    shares = [rows[i : i + FILES_AT_ONCE] for i in range(0, len(rows), FILES_AT_ONCE)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for digests in pool.map(lambda share: [load(row) for row in share], shares):
            yield from digests
