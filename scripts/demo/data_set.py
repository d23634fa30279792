"""The data of a demo: four parts in the layout of the data bucket, from the embedded set or DATA=.

A part is a folder with `<part>.csv` (pixel CSV) or `labels.csv` and images. `heldout` is never
uploaded: the model is scored on it at the end.
"""

from __future__ import annotations

import csv
import json
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import draw_glyphs
import numpy as np
from PIL import Image

PARTS = ("train", "validation", "smoketest", "heldout")
SHARES = (0.70, 0.14, 0.01, 0.15)
HELD_OUT_GLYPHS = 600
HELD_OUT_SEED = 7
PIXEL_COLUMNS = {"pixels", "ethnicity"}
TEST_IMAGES = 14
SPLIT_SEED = 0


class DataError(ValueError):
    """DATA= names something that is no data set; says what was found and what is needed."""


@dataclass(frozen=True)
class Row:
    """One labelled example as the endpoint gets it."""

    label: str
    content_type: str  # text/csv or image/jpeg
    body: bytes


@dataclass(frozen=True)
class DataSet:
    """Where the parts lie on this disk, and the test images with their true labels."""

    folder: Path
    images: dict[str, str]  # file name → label
    names: dict[str, str]  # label as written in the data → label as the model says it

    def part(self, name: str) -> Path:
        """Return a part's folder."""
        return self.folder / name

    def held_out(self) -> Iterator[Row]:
        """Yield the rows that the pipeline never saw."""
        yield from read_rows(self.part("heldout"), self.names)


def embedded(folder: Path, test_data: Path) -> DataSet:
    """Draw the embedded glyphs; the test images are the committed ones."""
    draw_glyphs.write_data(folder, draw_glyphs.SEED, draw_glyphs.ROWS)
    unseen = np.random.default_rng(HELD_OUT_SEED)
    draw_glyphs.write_pixel_csv(folder / "heldout/heldout.csv", HELD_OUT_GLYPHS, unseen)
    shutil.copytree(test_data, folder / "images", dirs_exist_ok=True)
    with (test_data / "labels.csv").open(newline="") as file:
        images = {row["file"]: row["label"] for row in csv.DictReader(file)}
    return DataSet(folder, images, _names(folder / "train"))


def split(source: Path, folder: Path) -> DataSet:
    """Split a pixel CSV or an image folder into the four parts, seeded; else DataError."""
    csv.field_size_limit(sys.maxsize)
    if source.is_dir():
        return _split_images(source, folder)
    if not source.is_file():
        raise DataError(f"DATA={source} does not exist; give a pixel CSV or an image folder")
    return _split_pixels(source, folder)


def _split_pixels(source: Path, folder: Path) -> DataSet:
    with source.open(newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if not set(columns) >= PIXEL_COLUMNS:
            raise DataError(
                f"{source} has the columns {columns}; 'ethnicity' and 'pixels' are needed"
            )
        rows = [(part, row) for part, row in _deal(reader)]
    for part in PARTS:
        (folder / part).mkdir(parents=True, exist_ok=True)
        with (folder / part / f"{part}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(row for dealt, row in rows if dealt == part)
    names_file = source.with_name("labels.json")
    if names_file.is_file():
        shutil.copy(names_file, folder / "train/labels.json")
    names = _names(folder / "train")
    (folder / "images").mkdir(exist_ok=True)
    images = {}
    samples = [row for dealt, row in rows if dealt == "heldout"][:TEST_IMAGES]
    for number, row in enumerate(samples):
        pixels = np.array(row["pixels"].split(), dtype=np.uint8)
        side = int(len(pixels) ** 0.5)
        name = f"download-{number}.jpg"
        Image.fromarray(pixels.reshape(side, side)).save(folder / "images" / name, quality=95)
        images[name] = names.get(row["ethnicity"], row["ethnicity"])
    return DataSet(folder, images, names)


def _split_images(source: Path, folder: Path) -> DataSet:
    listing = source / "labels.csv"
    if not listing.is_file():
        raise DataError(f"{source} holds no labels.csv (columns file,label); see docs/data.md")
    with listing.open(newline="") as file:
        reader = csv.DictReader(file)
        columns = list(reader.fieldnames or [])
        if not {"file", "label"} <= set(columns):
            raise DataError(f"{listing} has the columns {columns}; 'file' and 'label' are needed")
        rows = list(_deal(reader))
    for part in PARTS:
        chosen = [row for dealt, row in rows if dealt == part]
        for row in chosen:
            target = folder / part / row["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / row["file"], target)
        with (folder / part / "labels.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(chosen)
    (folder / "images").mkdir(exist_ok=True)
    samples = [row for dealt, row in rows if dealt == "heldout"][:TEST_IMAGES]
    images = {}
    for number, row in enumerate(samples):
        name = f"download-{number}{Path(row['file']).suffix}"
        shutil.copy(source / row["file"], folder / "images" / name)
        images[name] = row["label"]
    return DataSet(folder, images, {})


def read_rows(part: Path, names: dict[str, str]) -> Iterator[Row]:
    """Yield a part's rows as the endpoint takes them."""
    listing = part / "labels.csv"
    if listing.is_file():
        with listing.open(newline="") as file:
            for row in csv.DictReader(file):
                yield Row(row["label"], "image/jpeg", (part / row["file"]).read_bytes())
        return
    with (part / f"{part.name}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            label = names.get(row["ethnicity"], row["ethnicity"])
            yield Row(label, "text/csv", row["pixels"].encode())


def _deal(rows: Iterator[dict[str, str]]) -> Iterator[tuple[str, dict[str, str]]]:
    dice = random.Random(SPLIT_SEED)  # noqa: S311 (a split, no secret)
    for row in rows:
        yield dice.choices(PARTS, SHARES)[0], row


def _names(train: Path) -> dict[str, str]:
    file = train / "labels.json"
    names: dict[str, str] = json.loads(file.read_text()).get("names", {}) if file.is_file() else {}
    return names
