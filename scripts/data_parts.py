"""Deals labelled pictures into the parts of the data bucket: seeded, each label alike in all.

Pictures with the same bytes stay together, so that none is learnt from in one part and asked about
in another. Sources are read twice, to decide and to write, and never held in memory.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

SHARES = {"train": 0.70, "validation": 0.14, "smoketest": 0.01, "test": 0.15}
PARTS = tuple(SHARES)
PIXEL_COLUMNS = ("ethnicity", "pixels")
PIXELS = 48 * 48  # of a row's image
csv.field_size_limit(sys.maxsize)


class DataError(ValueError):
    """A source is no data set; says where, what was found, and what is needed."""


@dataclass(frozen=True)
class Picture:
    """One file of an image folder: where it goes below its part, and its row in labels.csv."""

    file: str
    label: str  # "" if the source does not tell it: the picture is left out
    more: Mapping[str, str] = field(default_factory=dict)  # further columns: age, gender
    part: str = ""  # given by the source; else it is dealt


@dataclass(frozen=True)
class Dealt:
    """Rows by part and label, and how many were left out."""

    rows: Mapping[str, Counter[str]]
    left_out: int = 0


@dataclass(frozen=True)
class Choice:
    """What of a source is taken, and how it is dealt."""

    drop_label: str | None = None
    rows: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class _Fact:
    """What is remembered of an example between the two readings."""

    label: str
    digest: bytes
    part: str = ""


Pictures = Callable[[], Iterable[tuple[Picture, bytes]]]
Naming = Mapping[str, str]
WHOLE = Choice()


def read_table(path: Path, needed: Collection[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each row of a CSV after its place in words; rows count from 1 below the header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            names = rows.fieldnames or []
            if not set(names) >= set(needed):
                raise DataError(f"{path} has the columns {names}; {', '.join(needed)} are needed")
            for number, row in enumerate(rows, start=1):
                where = f"{path}: row {number}"
                if None in row or None in row.values():
                    raise DataError(f"{where}: not one cell for each of the {len(names)} columns")
                yield where, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is no CSV that can be read: {error}") from error


def read_picture(folder: Path, file: str, where: str) -> bytes:
    """Return the bytes of a file that a row of a CSV names."""
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{where}: file is {file!r}, not a name below {folder}")
    try:
        return (folder / path).read_bytes()
    except OSError as error:
        raise DataError(f"{where}: {folder / path}: {error.strerror}") from error


def deal_images(pictures: Pictures, out: Path, choice: Choice = WHOLE) -> Dealt:
    """Write OUT/<part>/ with the files and labels.csv; `pictures` gives them anew at every call."""
    facts: dict[str, _Fact] = {}
    for picture, content in pictures():
        if picture.file in facts:
            raise DataError(f"two pictures are called {picture.file}; names must differ")
        facts[picture.file] = _Fact(picture.label, _digest(content), picture.part)
    parts = dict(zip(facts, _parts(list(facts.values()), choice), strict=True))
    rows: dict[str, list[Picture]] = {part: [] for part in PARTS}
    for picture, content in pictures():
        if part := parts[picture.file]:
            path = out / part / picture.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            rows[part].append(picture)
    for part, chosen in rows.items():
        _write_labels(out / part, chosen)
    counts = {part: Counter(p.label for p in chosen) for part, chosen in rows.items()}
    return Dealt(counts, len(facts) - sum(map(len, rows.values())))


def deal_pixels(
    source: Path, out: Path, choice: Choice = WHOLE, labels: Naming | None = None
) -> Dealt:
    """Write OUT/<part>/<part>.csv with a pixel CSV's rows; `labels` are those that it may have."""
    facts = []
    for where, row in read_table(source, PIXEL_COLUMNS):
        label = row["ethnicity"]
        if not label or (labels is not None and label not in labels):
            known = f"one of {', '.join(labels)}" if labels else "a label"
            raise DataError(f"{where}: ethnicity is {label!r}, not {known}")
        facts.append(_Fact(label, _digest(_pixels(row["pixels"], where))))
    parts = _parts(facts, choice)
    columns: Sequence[str] = ()
    counts: dict[str, Counter[str]] = {part: Counter() for part in PARTS}
    with ExitStack() as files:
        writers = {part: files.enter_context(_writer(out / part / f"{part}.csv")) for part in PARTS}
        for part, (_, row) in zip(parts, read_table(source, PIXEL_COLUMNS), strict=True):
            if not columns:
                columns = list(row)
                for writer in writers.values():
                    writer.writerow(columns)
            if part:
                writers[part].writerow(row.values())
                counts[part][row["ethnicity"]] += 1
    return Dealt(counts, parts.count(""))


def write_naming(out: Path, names: Naming, sensitive: bool = True) -> None:
    """Write train/labels.json: what the labels are called, and whether they are about people."""
    text = json.dumps({"names": dict(names), "sensitive": sensitive}, indent=2)
    (out / "train/labels.json").write_text(text + "\n")


def deal(
    labels: Sequence[str], digests: Sequence[bytes], shares: Mapping[str, float], seed: int
) -> list[str]:
    """Return a part for each example.

    In each label, pictures come in a seeded order, and each goes to the part that then lacks most
    to its share. The same bytes go to the same part, whatever their labels say.
    """
    copies = Counter(digests)
    label_of: dict[bytes, str] = {}
    for digest, label in zip(digests, labels, strict=True):
        label_of.setdefault(digest, label)
    by_label: dict[str, list[bytes]] = defaultdict(list)
    for digest in sorted(label_of):
        by_label[label_of[digest]].append(digest)
    dice, whole = random.Random(seed), sum(shares.values())  # noqa: S311 (a split, no secret)
    part_of: dict[bytes, str] = {}
    for _, pictures in sorted(by_label.items()):
        dice.shuffle(pictures)
        seen, dealt = 0, dict.fromkeys(shares, 0)
        for digest in pictures:
            seen += copies[digest]
            lacking = {part: seen * share / whole - dealt[part] for part, share in shares.items()}
            part_of[digest] = max(lacking, key=lacking.__getitem__)
            dealt[part_of[digest]] += copies[digest]
    return [part_of[digest] for digest in digests]


def _parts(facts: Sequence[_Fact], choice: Choice) -> list[str]:
    """Return a part for each example, '' for what is left out.

    Where the source gives some examples their part, that part is theirs alone: the others are dealt
    to the rest, and one with the same bytes as theirs is left out.
    """
    taken = [n for n, f in enumerate(facts) if f.label and f.label != choice.drop_label]
    if not taken:
        raise DataError(f"no picture to take: {len(facts)} were found")
    if choice.rows is not None and choice.rows < len(taken):
        taken = sorted(random.Random(choice.seed).sample(taken, choice.rows))  # noqa: S311
    parts = [""] * len(facts)
    given = {facts[n].digest for n in taken if facts[n].part}
    shares = {k: v for k, v in SHARES.items() if k not in {facts[n].part for n in taken}}
    dealt = [n for n in taken if facts[n].digest not in given]
    labels, digests = [facts[n].label for n in dealt], [facts[n].digest for n in dealt]
    for n, part in zip(dealt, deal(labels, digests, shares, choice.seed), strict=True):
        parts[n] = part
    for n in taken:
        parts[n] = parts[n] or facts[n].part
    return parts


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()


def _pixels(text: str, where: str) -> bytes:
    try:
        pixels = bytes(map(int, text.split()))
    except ValueError:
        raise DataError(f"{where}: a pixel is not a whole number from 0 to 255") from None
    if len(pixels) != PIXELS:
        raise DataError(f"{where}: {len(pixels)} pixels, not {PIXELS}")
    return pixels


def _write_labels(folder: Path, pictures: Sequence[Picture]) -> None:
    with _writer(folder / "labels.csv") as writer:
        writer.writerow(["file", "label", *(pictures[0].more if pictures else ())])
        for picture in pictures:
            writer.writerow([picture.file, picture.label, *picture.more.values()])


@contextmanager
def _writer(path: Path) -> Iterator[Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        yield csv.writer(file, lineterminator="\n")
