"""The workshop's data: drawn here, read to be looked at, and once with a group left out."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import draw_glyphs
import numpy as np

from lab.errors import LabError

SIDE = 48  # pixels of a row's square image
LABELS = "ethnicity"  # the column, as the workshop's data set calls it
csv.field_size_limit(sys.maxsize)


@dataclass(frozen=True)
class Part:
    """One pixel CSV in memory."""

    path: Path
    images: np.ndarray  # uint8 [N, 48, 48]
    labels: list[str]  # N names
    columns: dict[str, list[str]]  # every other column but the pixels


@dataclass(frozen=True)
class DataSet:
    """The parts on this disk, laid out as they will lie in the bucket."""

    folder: Path
    names: Mapping[str, str]  # label as it stands in the data → its name
    sensitive: bool

    def part_path(self, name: str) -> Path:
        """Return a part's CSV."""
        return self.folder / name / f"{name}.csv"

    def part(self, name: str) -> Part:
        """Read a part."""
        path = self.part_path(name)
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        pixels = [np.array(row.pop("pixels").split(), dtype=np.uint8) for row in rows]
        return Part(
            path,
            np.stack(pixels).reshape(-1, SIDE, SIDE),
            [self.names.get(row[LABELS], row[LABELS]) for row in rows],
            {key: [row[key] for row in rows] for key in rows[0] if key != LABELS},
        )


def draw_data(folder: Path = Path("data"), rows: Mapping[str, int] = draw_glyphs.ROWS) -> DataSet:
    """Draw the embedded glyphs into a folder that git does not see."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    draw_glyphs.write_data(folder, draw_glyphs.SEED, dict(rows))
    return open_data(folder)


def open_data(folder: Path) -> DataSet:
    """Return the data set in a folder; its label names stand in train/labels.json."""
    naming = json.loads((folder / "train/labels.json").read_text())
    return DataSet(folder, naming["names"], naming.get("sensitive", True))


def leave_out(data: DataSet, label: str) -> Path:
    """Write the training CSV without the rows of one label; return the file."""
    values = {value for value, name in data.names.items() if name == label}
    if not values:
        raise LabError(f"no label is called {label!r}; there are {', '.join(data.names.values())}")
    target = data.folder / f"train-without-{label}.csv"
    with (
        data.part_path("train").open(newline="") as source,
        target.open("w", newline="") as file,
    ):
        reader = csv.DictReader(source)
        writer = csv.DictWriter(file, reader.fieldnames or [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for row in reader if row[LABELS] not in values)
    return target
