"""The two forms of labelled data: pixel CSV, and image folder with a labels CSV."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common.failures import WrongConfiguration

PIXELS = 48 * 48
PIXEL_TEXTS = frozenset(map(str, range(256)))


class BadData(WrongConfiguration):
    """The data set breaks the documented form; the message names place, row and fault."""


@dataclass(frozen=True)
class Layout:
    """Where a CSV keeps what; image is the column of the pixels or of the file name."""

    is_pixels: bool
    columns: int
    image: int
    label: int | None
    gender: int | None
    age: int | None


@dataclass(frozen=True)
class Row:
    """One labelled picture: its pixels as text, or its file's name."""

    image: str
    label: str | None = None
    gender: str | None = None
    age: str | None = None


def parse_header(line: str, where: str) -> Layout:
    """Recognise the form by the names in the first line; their order is free."""
    names = [name.strip().lower() for name in _cells(line.lstrip("\ufeff"), where)]
    at = {name: index for index, name in enumerate(names)}
    gender, age = at.get("gender"), at.get("age")
    if "pixels" in at:
        return Layout(True, len(names), at["pixels"], at.get("ethnicity"), gender, age)
    if "file" in at and "label" in at:
        return Layout(False, len(names), at["file"], at["label"], gender, age)
    raise BadData(
        f"{where}: the header must name 'pixels' (and 'ethnicity'), or 'file' and 'label'; "
        f"it names {', '.join(map(repr, names[:8]))}"
    )


def parse_row(layout: Layout, line: str, where: str) -> Row:
    """Read one line and check it: a wrong pixel found here would be the model's fault later."""
    cells = _cells(line, where)
    if len(cells) != layout.columns:
        raise BadData(f"{where}: {len(cells)} columns, the header has {layout.columns}")
    image = cells[layout.image].strip()
    if layout.is_pixels:
        _check_pixels(image, where)
    elif not image or image.startswith("/") or ".." in image.split("/"):
        raise BadData(f"{where}: 'file' must be a name below the CSV's folder, got {image[:60]!r}")
    return Row(
        image,
        _cell(cells, layout.label),
        _cell(cells, layout.gender),
        _cell(cells, layout.age),
    )


def label_names(content: Mapping | None) -> dict[str, str]:
    """Return the names of label values in labels.json's content, {} if it gives none."""
    names = (content or {}).get("names", {})
    if not isinstance(names, dict):
        raise BadData(f"labels.json: 'names' must be an object, not a {type(names).__name__}")
    return {str(value): str(name) for value, name in names.items()}


def _cells(line: str, where: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise BadData(f"{where}: not a CSV line ({error})") from None


def _cell(cells: Sequence[str], index: int | None) -> str | None:
    return (cells[index].strip() or None) if index is not None else None


def _check_pixels(text: str, where: str) -> None:
    pixels = text.split()
    if not PIXEL_TEXTS.issuperset(pixels):  # costs half of reading each, which "007" alone needs
        for number, value in enumerate(pixels, start=1):
            if not _is_pixel(value):
                raise BadData(
                    f"{where}: pixel {number} is {value[:20]!r}, "
                    "must be a whole number from 0 to 255"
                )
    if len(pixels) != PIXELS:
        raise BadData(f"{where}: {len(pixels)} pixels, must be {PIXELS}")


def _is_pixel(text: str) -> bool:
    try:
        return 0 <= int(text) <= 255
    except ValueError:
        return False
