"""The data of a demo: four parts in the layout of the data bucket, from the embedded set or DATA=.

A part is a folder with `<part>.csv` (pixel CSV) or `labels.csv` and images. `test` is never
uploaded: the model is scored on it at the end.
"""

from __future__ import annotations

import csv
import json
import mimetypes
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import draw_glyphs
import numpy as np
from data_parts import PARTS, DataError, Picture, deal_images, deal_pixels, read_picture, read_table
from PIL import Image

HELD_OUT_GLYPHS = 600
HELD_OUT_SEED = 7
TEST_IMAGES = 14


@dataclass(frozen=True)
class Row:
    """One labelled example as the endpoint gets it."""

    label: str
    content_type: str  # text/csv, or that of an image
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
        yield from read_rows(self.part("test"), self.names)


def embedded(folder: Path, test_data: Path) -> DataSet:
    """Draw the embedded glyphs; the test images are the committed ones."""
    draw_glyphs.write_data(folder, draw_glyphs.SEED, draw_glyphs.ROWS)
    unseen = np.random.default_rng(HELD_OUT_SEED)
    draw_glyphs.write_pixel_csv(folder / "test/test.csv", HELD_OUT_GLYPHS, unseen)
    shutil.copytree(test_data, folder / "images", dirs_exist_ok=True)
    with (test_data / "labels.csv").open(newline="") as file:
        images = {row["file"]: row["label"] for row in csv.DictReader(file)}
    return DataSet(folder, images, _names(folder / "train"))


def split(source: Path, folder: Path) -> DataSet:
    """Deal a pixel CSV or an image folder into the four parts, or take the parts of a folder."""
    if not source.exists():
        raise DataError(f"DATA={source} does not exist; give a pixel CSV or an image folder")
    folder.mkdir(parents=True, exist_ok=True)
    if (source / "train").is_dir():
        if missing := [part for part in PARTS if not (source / part).is_dir()]:
            raise DataError(f"{source} holds train/, but not {', '.join(missing)}")
        for part in PARTS:
            (folder / part).symlink_to((source / part).resolve(), target_is_directory=True)
    else:
        if source.is_dir():
            deal_images(partial(_listed, source), folder)
        else:
            deal_pixels(source, folder)
        names_file = (source if source.is_dir() else source.parent) / "labels.json"
        if names_file.is_file():
            shutil.copy(names_file, folder / "train/labels.json")
    names = _names(folder / "train")
    return DataSet(folder, _test_images(folder, names), names)


def _listed(source: Path) -> Iterator[tuple[Picture, bytes]]:
    """Yield the pictures of an image folder; DataError names a row that is wrong."""
    for where, row in read_table(source / "labels.csv", ("file", "label")):
        file, label = row.pop("file"), row.pop("label")
        if not label:
            raise DataError(f"{where}: no label")
        yield Picture(file, label, row), read_picture(source, file, where)


def _test_images(folder: Path, names: dict[str, str]) -> dict[str, str]:
    """Write the first pictures of the part that nobody learns from; return file name → label."""
    images = {}
    (folder / "images").mkdir(exist_ok=True)
    for number, row in enumerate(islice(read_rows(folder / "test", names), TEST_IMAGES)):
        if row.content_type == "text/csv":
            name = f"download-{number}.jpg"
            pixels = np.array(row.body.split(), dtype=np.uint8)
            side = int(len(pixels) ** 0.5)
            Image.fromarray(pixels.reshape(side, side)).save(folder / "images" / name, quality=95)
        else:
            name = f"download-{number}{mimetypes.guess_extension(row.content_type)}"
            (folder / "images" / name).write_bytes(row.body)
        images[name] = row.label
    return images


def read_rows(part: Path, names: dict[str, str]) -> Iterator[Row]:
    """Yield a part's rows as the endpoint takes them."""
    listing = part / "labels.csv"
    if listing.is_file():
        with listing.open(newline="") as file:
            for row in csv.DictReader(file):
                kind, _ = mimetypes.guess_type(row["file"])
                label = names.get(row["label"], row["label"])
                yield Row(label, kind or "image/jpeg", (part / row["file"]).read_bytes())
        return
    with (part / f"{part.name}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            label = names.get(row["ethnicity"], row["ethnicity"])
            yield Row(label, "text/csv", row["pixels"].encode())


def _names(train: Path) -> dict[str, str]:
    file = train / "labels.json"
    names: dict[str, str] = json.loads(file.read_text()).get("names", {}) if file.is_file() else {}
    return names
