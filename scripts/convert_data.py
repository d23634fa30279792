#!/usr/bin/env python3
"""Turn a public set of faces into the folders that the data bucket takes.

Usage: convert_data.py utkface|fairface|kaggle SOURCE OUT [--drop-label NAME] [--share S] [--whole]

  utkface   UTKFace: a tar or a folder of its JPEG files, whose names say age, gender and label
  fairface  FairFace: the folder of fairface_label_{train,val}.csv and the images they name
  kaggle    the "age, gender and ethnicity" CSV: age,ethnicity,gender,img_name,pixels

OUT gets train/, validation/ and smoketest/. An image's part follows from its bytes, so that equal
images lie in the same part, in any order and on every machine; FairFace's own two parts are kept,
and its smoke test is some of its validation. These sets are photographs of people, labelled by
somebody's guess, mostly for research only: they stay out of this repository.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

UTKFACE_LABELS = ("White", "Black", "Asian", "Indian", "Other")  # by UTKFace's documentation
UTKFACE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\S*\.jpg")  # age_gender_label_date
FAIRFACE_FILES = (
    ("fairface_label_train.csv", "train"),
    ("fairface_label_val.csv", "validation"),
)
FAIRFACE_COLUMNS = ("file", "age", "gender", "race")
KAGGLE_COLUMNS = ("age", "ethnicity", "gender", "img_name", "pixels")
PIXELS = 48 * 48
PIXEL_TEXTS = frozenset(str(value) for value in range(256))
VALIDATION, SMOKE = 0.15, 0.005  # shares of all images


class DataError(ValueError):
    """The source is not what it should be; says where, what was found, and what is needed."""


@dataclass(frozen=True)
class Face:
    """One labelled image; `part` is empty where the source leaves it to us."""

    label: str
    age: str
    gender: str
    name: str
    content: bytes  # a JPEG, or pixels as text
    part: str = ""


def utkface(source: Path) -> Iterator[Face | None]:
    """Read the names of the files; None for each that does not say all of it."""
    for path, content in _jpegs(source):
        name = PurePosixPath(path).name
        match = UTKFACE_NAME.fullmatch(name)
        if match:
            age, gender, label = match.groups()
            yield Face(UTKFACE_LABELS[int(label)], age, gender, name, content)
        else:
            yield None


def _jpegs(source: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of every JPEG file in a tar or a folder."""
    if source.is_dir():
        for path in sorted(source.rglob("*.jpg")):
            yield path.relative_to(source).as_posix(), path.read_bytes()
        return
    try:
        with tarfile.open(source) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.name.endswith(".jpg") else None
                if content is not None:
                    yield member.name, content.read()
    except (OSError, tarfile.ReadError) as error:
        raise DataError(f"{source} is neither a folder nor a tar: {error}") from error


def fairface(source: Path) -> Iterator[Face | None]:
    """Read both label files and the images they name."""
    for listing, part in FAIRFACE_FILES:
        for where, row in _csv_rows(source / listing, FAIRFACE_COLUMNS):
            try:
                content = (source / row["file"]).read_bytes()
            except OSError as error:
                raise DataError(f"{where}: the image {row['file']} cannot be read") from error
            name = row["file"].replace("/", "-")
            yield Face(row["race"], row["age"], row["gender"], name, content, part)


def kaggle(source: Path) -> Iterator[Face | None]:
    """Read the rows; a row that training would refuse is refused here."""
    for where, row in _csv_rows(source, KAGGLE_COLUMNS):
        pixels = row["pixels"].split()
        wrong = next((p for p in pixels if p not in PIXEL_TEXTS), None)
        if wrong is not None or len(pixels) != PIXELS:
            fault = f"a pixel is {wrong[:20]!r}" if wrong else f"there are {len(pixels)} pixels"
            raise DataError(f"{where}: {fault}; it takes {PIXELS} numbers from 0 to 255")
        if row["ethnicity"] not in ("0", "1", "2", "3", "4"):
            raise DataError(f"{where}: ethnicity is {row['ethnicity']!r}; it must be 0 to 4")
        content = " ".join(pixels).encode()
        yield Face(row["ethnicity"], row["age"], row["gender"], row["img_name"], content)


def _csv_rows(path: Path, columns: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Where a row stands, and its fields, one row at a time."""
    if not path.is_file():
        raise DataError(f"{path} is not there")
    csv.field_size_limit(sys.maxsize)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise DataError(
                f"{path}: the columns are {reader.fieldnames}; {', '.join(missing)} is missing"
            )
        for number, row in enumerate(reader, start=1):
            where = f"{path}: row {number}"
            if any(row[name] is None for name in columns):
                raise DataError(f"{where} is cut short")
            yield where, row


class Parts:
    """The folders to be filled: images with labels.csv, or rows of pixels."""

    def __init__(self, out: Path, pixels: bool, whole: bool) -> None:
        self.out, self.pixels, self.whole = out, pixels, whole
        self.files = ExitStack()
        self.writers: dict[str, Any] = {}
        self.count: Counter[str] = Counter()

    def add(self, face: Face) -> None:
        part = "" if self.whole else face.part or _part(face.content)
        if part and face.part == "validation" and _unit(face.content) < SMOKE / VALIDATION:
            part = "smoketest"
        folder = self.out / part
        if part not in self.writers:
            self.writers[part] = self._open(folder, part or "data")
        self.count[part or "data"] += 1
        if self.pixels:
            row = [face.age, face.label, face.gender, face.name, face.content.decode()]
        else:
            (folder / "images" / face.name).write_bytes(face.content)
            row = [f"images/{face.name}", face.label, face.age, face.gender]
        self.writers[part].writerow(row)

    def _open(self, folder: Path, part: str) -> Any:
        name = f"{part}.csv" if self.pixels else "labels.csv"
        (folder if self.pixels else folder / "images").mkdir(parents=True, exist_ok=True)
        file = self.files.enter_context((folder / name).open("w", newline=""))
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(KAGGLE_COLUMNS if self.pixels else ("file", "label", "age", "gender"))
        return writer


def _unit(content: bytes, salt: bytes = b"") -> float:
    """A number from 0 to 1 that follows from an image's bytes and nothing else."""
    return int.from_bytes(hashlib.sha256(salt + content).digest()[:8]) / 2**64


def _part(content: bytes) -> str:
    place = _unit(content)
    if place < SMOKE:
        return "smoketest"
    return "validation" if place < SMOKE + VALIDATION else "train"


def convert(
    faces: Iterable[Face | None],
    out: Path,
    *,
    pixels: bool = False,
    drop: str | None = None,
    share: float = 1.0,
    whole: bool = False,
) -> Counter[str]:
    """Write the parts; return the images in each, and as "left out" those without a label."""
    parts = Parts(out, pixels, whole)
    with parts.files:
        for face in faces:
            if face is None:
                parts.count["left out"] += 1
            elif face.label != drop and (share >= 1 or _unit(face.content, b"share") < share):
                parts.add(face)
    if pixels and parts.writers:
        folder = out if whole else out / "train"
        names = {str(code): name for code, name in enumerate(UTKFACE_LABELS)}
        (folder / "labels.json").write_text(json.dumps({"names": names, "sensitive": True}) + "\n")
    return parts.count


def main() -> int:
    """Convert, and say what was done."""
    described, _, details = __doc__.partition("\n")
    parser = argparse.ArgumentParser(
        description=described, epilog=details, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=["utkface", "fairface", "kaggle"])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--drop-label", help="leave one label out, as the bias lesson does")
    parser.add_argument("--share", type=float, default=1.0, help="of the images, always the same")
    parser.add_argument("--whole", action="store_true", help="one part, for `make demo DATA=OUT`")
    given = parser.parse_args()
    if not 0 < given.share <= 1:
        parser.error(f"--share is {given.share}; it must be over 0 and at most 1")
    faces = {"utkface": utkface, "fairface": fairface, "kaggle": kaggle}[given.kind](given.source)
    options = {"drop": given.drop_label, "share": given.share, "whole": given.whole}
    try:
        count = convert(faces, given.out, pixels=given.kind == "kaggle", **options)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    told = ", ".join(f"{number} {part}" for part, number in sorted(count.items())) or "no images"
    print(f"{given.out}: {told}")
    return 0 if count.total() - count["left out"] else 1


if __name__ == "__main__":
    sys.exit(main())
