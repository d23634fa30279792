#!/usr/bin/env python3
"""Turn a public data set of faces into the parts of the data bucket, ready to upload.

    convert_data.py utkface  SOURCE OUT     a tar or a folder of UTKFace's JPEG files
    convert_data.py fairface SOURCE OUT     a folder with FairFace's two CSVs, train/ and val/
    convert_data.py kaggle   SOURCE OUT     the CSV "age, gender and ethnicity" of Kaggle

OUT gets train/, validation/, smoketest/ and test/, each label in the same share of each; pictures
with the same bytes are in one of them only. FairFace's val/ becomes test/, as its makers meant it.
The labels are somebody's guesses from photographs. Mind each data set's licence: UTKFace, and the
CSV that was made of it, are for non-commercial research. Neither they nor models made of them
belong in this repository.
"""

from __future__ import annotations

import argparse
import re
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from data_parts import (
    Choice,
    DataError,
    Dealt,
    Picture,
    deal_images,
    deal_pixels,
    read_picture,
    read_table,
    write_naming,
)

UTKFACE = ("White", "Black", "Asian", "Indian", "Other")
UTKFACE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+.*\.jpg")  # a few files lack a part
FAIRFACE = (
    "White",
    "Black",
    "Indian",
    "East Asian",
    "Southeast Asian",
    "Middle Eastern",
    "Latino_Hispanic",
)
FAIRFACE_CSVS = {"fairface_label_train.csv": "", "fairface_label_val.csv": "test"}  # → its part
FAIRFACE_COLUMNS = ("file", "age", "gender", "race")
KAGGLE = {str(code): name for code, name in enumerate(UTKFACE)}


def utkface(source: Path, below: str | None) -> Iterator[tuple[Picture, bytes]]:
    """Yield UTKFace's pictures, named age_gender_race_date.jpg; gender 0 is male, 1 female."""
    for path, content in _jpegs(source):
        *folders, name = PurePosixPath(path).parts
        if below is None or below in folders:
            yield utkface_picture(name), content


def utkface_picture(name: str) -> Picture:
    """Read a file's name; one that does not say all of it gives a picture without a label."""
    said = UTKFACE_NAME.fullmatch(name)
    if said is None:
        return Picture(f"images/{name}", "")
    age, gender, race = said.groups()
    return Picture(f"images/{name}", UTKFACE[int(race)], {"age": str(int(age)), "gender": gender})


def fairface(source: Path) -> Iterator[tuple[Picture, bytes]]:
    """Yield FairFace's pictures in the order of its two CSVs; DataError names a wrong row."""
    for name, part in FAIRFACE_CSVS.items():
        for where, row in read_table(source / name, FAIRFACE_COLUMNS):
            label = row["race"]
            if label not in FAIRFACE:
                raise DataError(f"{where}: race is {label!r}, not one of {', '.join(FAIRFACE)}")
            content = read_picture(source, row["file"], where)
            more = {"age": row["age"], "gender": row["gender"]}
            yield Picture(f"images/{row['file']}", label, more, part), content


def _jpegs(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of every JPEG file in a folder, by name, or in a tar, as they come."""
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
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{source} is no folder, and no tar that can be read: {error}") from error


def convert(given: argparse.Namespace) -> Dealt:
    """Write the parts and labels.json; DataError if the source is not what it should be."""
    choice = Choice(given.drop_label, given.rows, given.seed)
    if given.data_set == "kaggle":
        codes = {name: code for code, name in KAGGLE.items()}
        choice = replace(choice, drop_label=codes.get(given.drop_label))
        dealt = deal_pixels(given.source, given.out, choice, KAGGLE)
        write_naming(given.out, KAGGLE)
        return dealt
    reading = partial(utkface, below=given.below) if given.data_set == "utkface" else fairface
    dealt = deal_images(lambda: reading(given.source), given.out, choice)
    write_naming(given.out, {})
    return dealt


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    commands = parser.add_subparsers(dest="data_set", required=True, metavar="DATA_SET")
    for name, labels, what in (
        ("utkface", UTKFACE, "a tar or a folder of UTKFace's JPEG files"),
        ("fairface", FAIRFACE, "a folder with FairFace's two CSVs, train/ and val/"),
        ("kaggle", UTKFACE, 'the CSV "age, gender and ethnicity" of Kaggle'),
    ):
        command = commands.add_parser(name, help=what, description=f"SOURCE is {what}.")
        command.add_argument("source", type=Path, metavar="SOURCE")
        command.add_argument("out", type=Path, metavar="OUT", help="a folder that is not there yet")
        command.add_argument("--drop-label", choices=labels, help="leave one label out")
        command.add_argument("--rows", type=int, metavar="N", help="a seeded sample of N pictures")
        command.add_argument("--seed", type=int, default=0, help="of sample and split (default 0)")
        if name == "utkface":
            command.add_argument("--below", metavar="FOLDER", help="only files below such a folder")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Convert, and say what was done; 1 if the source is not what it should be."""
    given = _arguments(arguments)
    if given.out.exists():
        print(f"{given.out} exists; name a folder that is not there yet", file=sys.stderr)
        return 1
    try:
        dealt = convert(given)
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    for part, rows in dealt.rows.items():
        labels = ", ".join(f"{label} {count}" for label, count in sorted(rows.items()))
        print(f"{given.out / part}: {rows.total()} rows ({labels})")
    print(f"{dealt.left_out} left out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
