#!/usr/bin/env python3
"""Draw the embedded data set: glyph faces whose class is the outline of the head, nothing else.

Size, tone, contrast, background, tilt, place, eyes, mouth and noise are drawn from the same
distributions for every class, and all outlines have the same area, so neither brightness nor any
single pixel tells the class. The same seed gives the same bytes. Needs NumPy and Pillow only.
"""

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

NAMES = ("Round", "Square", "Hexagon", "Triangle", "Star")
SIDE = 48  # pixels of a CSV row's square image
SUPERSAMPLING = 4  # drawn this much larger, then averaged: smooth edges
ROWS = {"train": 3000, "validation": 600, "smoketest": 20}
TEST_IMAGES = 14
TEST_SIDE = 192
SEED = 2024


@dataclass(frozen=True)
class Look:
    """Everything about a face but its outline; lengths in units of half the image's side."""

    radius: float  # of the circle with the same area
    centre: tuple[float, float]
    tilt: float  # radians
    head: float  # tones 0-255
    background: float
    slope: tuple[float, float]  # the background's gradient, tone per unit
    eye: tuple[float, float, float]  # half distance, height, radius; in units of the head's radius
    mouth: tuple[float, float, float]  # half width, drop, bend
    noise: float  # standard deviation, in tones


def random_look(rng: np.random.Generator) -> Look:
    """A look that owes nothing to a class: this function is never told one."""
    head = rng.uniform(40, 215)
    contrast = rng.choice([-1, 1]) * rng.uniform(45, 110)
    if not 0 <= head + contrast <= 255:
        contrast = -contrast
    return Look(
        radius=rng.uniform(0.46, 0.66),
        centre=(rng.uniform(-0.14, 0.14), rng.uniform(-0.14, 0.14)),
        tilt=rng.uniform(-0.5, 0.5),
        head=head,
        background=float(np.clip(head + contrast, 5, 250)),
        slope=(rng.uniform(-25, 25), rng.uniform(-25, 25)),
        eye=(rng.uniform(0.18, 0.32), rng.uniform(0.05, 0.25), rng.uniform(0.06, 0.13)),
        mouth=(rng.uniform(0.12, 0.3), rng.uniform(0.18, 0.36), rng.uniform(-0.14, 0.14)),
        noise=rng.uniform(2, 12),
    )


def outline(name: str) -> np.ndarray:
    """The corners of a head around the origin with the unit circle's area, float64 [K, 2]."""
    corners = {"Round": 72, "Square": 4, "Hexagon": 6, "Triangle": 3, "Star": 10}[name]
    angles = np.arange(corners) * (2 * np.pi / corners) - np.pi / 2
    if name == "Square":
        angles += np.pi / 4
    radii = np.where(np.arange(corners) % 2, 0.48, 1.0) if name == "Star" else np.ones(corners)
    points = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    x, y = points.T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    return points * np.sqrt(np.pi / area)


def place(points: np.ndarray, look: Look, side: int) -> list[tuple[float, float]]:
    """Points in units of the head, [K, 2] -> tilted, scaled and shifted, in pixels."""
    c, s = np.cos(look.tilt), np.sin(look.tilt)
    turned = points @ np.array([[c, s], [-s, c]]) * look.radius + np.array(look.centre)
    return [(float(x), float(y)) for x, y in (turned + 1) * (side / 2)]


def face_features(look: Look) -> list[np.ndarray]:
    """Eyes and mouth as polygons in units of the head."""
    half, height, radius = look.eye
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    eyes = [circle + np.array([side * half, -height]) for side in (-1, 1)]
    width, drop, bend = look.mouth
    x = np.linspace(-1, 1, 9)
    upper = np.stack([x * width, drop + bend * x**2], axis=1)
    return [*eyes, np.concatenate([upper, upper[::-1] + np.array([0, 0.09])])]


def draw(name: str, look: Look, rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
    """One face, uint8 [side, side]."""
    large = side * SUPERSAMPLING
    axis = np.linspace(-1, 1, large)
    ground = look.background + look.slope[0] * axis[None, :] + look.slope[1] * axis[:, None]
    image = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    pen.polygon(place(outline(name), look, large), fill=round(look.head))
    ink = round((look.head + 128) % 256)
    for polygon in face_features(look):
        pen.polygon(place(polygon, look, large), fill=ink)
    small = np.asarray(image.reduce(SUPERSAMPLING), dtype=np.float64)
    noisy = small + rng.normal(0, look.noise, small.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def draw_many(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [rows, SIDE, SIDE] and their classes uint8 [rows], balanced, in random order."""
    classes = rng.permutation(np.arange(rows) % len(NAMES)).astype(np.uint8)
    images = [draw(NAMES[c], random_look(rng), rng) for c in classes]
    return np.stack(images), classes


def write_pixel_csv(path: Path, rows: int, rng: np.random.Generator) -> None:
    """A pixel CSV in the workshop's own layout; age and gender are random and mean nothing."""
    images, classes = draw_many(rows, rng)
    ages, genders = rng.integers(1, 90, rows), rng.integers(0, 2, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["age", "ethnicity", "gender", "img_name", "pixels"])
        for i, (image, label) in enumerate(zip(images, classes, strict=True)):
            pixels = " ".join(map(str, image.ravel().tolist()))
            writer.writerow([ages[i], label, genders[i], f"{path.stem}-{i}.png", pixels])


def write_data(out: Path, seed: int, rows: dict[str, int]) -> None:
    """The three parts and the names of the labels, which live with the training data."""
    for part, count in rows.items():
        rng = np.random.default_rng([seed, sorted(ROWS).index(part)])
        write_pixel_csv(out / part / f"{part}.csv", count, rng)
    names = {str(i): name for i, name in enumerate(NAMES)}
    text = json.dumps({"names": names, "sensitive": False}, indent=2)
    (out / "train" / "labels.json").write_text(text + "\n")


def write_test_images(out: Path, seed: int) -> None:
    """download-0.jpg ... -13.jpg, gray and tinted by turns, and labels.csv with their classes."""
    rng = np.random.default_rng([seed, len(ROWS)])
    out.mkdir(parents=True, exist_ok=True)
    classes = rng.permutation(np.arange(TEST_IMAGES) % len(NAMES))
    lines = ["file,label"]
    for i, label in enumerate(classes):
        gray = draw(NAMES[label], random_look(rng), rng, TEST_SIDE)
        tint = rng.uniform(0.8, 1.0, 3)
        colour = np.rint(gray[:, :, None] * tint).astype(np.uint8)
        image = Image.fromarray(colour if i % 2 else gray)
        image.save(out / f"download-{i}.jpg", quality=90)
        lines.append(f"download-{i}.jpg,{NAMES[label]}")
    (out / "labels.csv").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="folder to write into")
    parser.add_argument("--seed", type=int, default=SEED)
    for part, count in ROWS.items():
        parser.add_argument(f"--{part}-rows", type=int, default=count)
    parser.add_argument(
        "--test-images", action="store_true", help="write the 14 test images instead of the CSVs"
    )
    args = parser.parse_args()
    if args.test_images:
        write_test_images(args.out, args.seed)
        return
    rows = {part: getattr(args, f"{part}_rows") for part in ROWS}
    write_data(args.out, args.seed, rows)
    print(f"{args.out}: " + ", ".join(f"{part} {count} rows" for part, count in rows.items()))


if __name__ == "__main__":
    main()
