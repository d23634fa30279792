#!/usr/bin/env python3
"""Turn UTKFace (a tar or a folder of its JPEG files) into an image folder with labels.csv.

Usage: convert_utkface.py SOURCE OUT [--split train|test] [--drop-label NAME] [--rows N]

The names of the files say age, gender (0 male, 1 female) and label, as somebody guessed them; the
five labels are those of UTKFace's documentation. The data is for non-commercial research only and
stays out of this repository. A folder above the files, such as train/, can be chosen by --split.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

LABELS = ("White", "Black", "Asian", "Indian", "Other")
NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\S*\.jpg")  # a few files lack a part: left out


@dataclass(frozen=True)
class Face:
    """What a file's name says."""

    file: str
    label: str
    age: int
    gender: int


def parse_name(name: str) -> Face | None:
    """Read age_gender_race_date.jpg; None for a name that does not say all of it."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    age, gender, race = (int(part) for part in match.groups())
    return Face(name, LABELS[race], age, gender)


def files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of every JPEG file in a tar or a folder, by name."""
    if source.is_dir():
        for path in sorted(source.rglob("*.jpg")):
            yield path.relative_to(source).as_posix(), path.read_bytes()
        return
    with tarfile.open(source) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            content = archive.extractfile(member) if member.name.endswith(".jpg") else None
            if content is not None:
                yield member.name, content.read()


def convert(
    source: Path, out: Path, split: str | None, drop: str | None, rows: int | None
) -> tuple[int, int]:
    """Write the images and labels.csv; return how many were written and how many left out."""
    found = [
        (parse_name(PurePosixPath(path).name), content)
        for path, content in files(source)
        if split is None or split in PurePosixPath(path).parts[:-1]
    ]
    faces = [(face, content) for face, content in found if face is not None and face.label != drop]
    if rows is not None and rows < len(faces):
        faces = [faces[i] for i in sorted(random.Random(0).sample(range(len(faces)), rows))]  # noqa: S311
    (out / "images").mkdir(parents=True, exist_ok=True)
    with (out / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "label", "age", "gender"])
        for face, content in faces:
            (out / "images" / face.file).write_bytes(content)
            writer.writerow([f"images/{face.file}", face.label, face.age, face.gender])
    return len(faces), len(found) - len(faces)


def main() -> int:
    """Convert, and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", help="only files below a folder of this name")
    parser.add_argument("--drop-label", choices=LABELS, help="leave one label out")
    parser.add_argument("--rows", type=int, help="a seeded random sample of this many")
    given = parser.parse_args()
    written, left = convert(given.source, given.out, given.split, given.drop_label, given.rows)
    print(f"{given.out}: {written} images, {left} left out")
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())
