"""The embedded data set: reproducible, balanced, beyond a linear model, without people."""

import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from draw_glyphs import (
    NAMES,
    SEED,
    TEST_IMAGES,
    draw_many,
    outline,
    write_data,
    write_test_images,
)
from PIL import Image
from sklearn.linear_model import LogisticRegression

COMMITTED = Path(__file__).resolve().parents[2] / "notebooks/test-data"
SMALL = {"train": 20, "validation": 10, "smoketest": 5}


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    return draw_many(1500, np.random.default_rng(SEED))


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_data(tmp_path / name, seed, SMALL)
        write_test_images(tmp_path / name / "images", seed)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert not set(digests(tmp_path / "a").values()) & set(
        v for k, v in digests(tmp_path / "c").items() if k.endswith((".jpg", ".csv"))
    )


def test_the_layout_is_the_pipelines(tmp_path: Path):
    write_data(tmp_path, SEED, SMALL)
    for part, count in SMALL.items():
        rows = read(tmp_path / part / f"{part}.csv")
        assert len(rows) == count
        assert list(rows[0]) == ["age", "ethnicity", "gender", "img_name", "pixels"]
        pixels = [[int(p) for p in row["pixels"].split()] for row in rows]
        assert all(len(p) == 48 * 48 and min(p) >= 0 and max(p) <= 255 for p in pixels)
        assert len(set(Counter(row["ethnicity"] for row in rows).values())) == 1
    naming = json.loads((tmp_path / "train/labels.json").read_text())
    assert naming == {"names": {str(i): n for i, n in enumerate(NAMES)}, "sensitive": False}


def test_parts_share_no_picture(tmp_path: Path):
    write_data(tmp_path, SEED, SMALL)
    pixels = [row["pixels"] for part in SMALL for row in read(tmp_path / part / f"{part}.csv")]
    assert len(set(pixels)) == len(pixels)


@pytest.mark.parametrize("name", NAMES)
def test_every_outline_has_the_area_of_the_unit_circle(name):
    x, y = outline(name).T
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert area == pytest.approx(np.pi)


def accuracy(features: np.ndarray, classes: np.ndarray) -> float:
    """Of a logistic regression on the last third after learning the first two."""
    cut = len(classes) * 2 // 3
    scaled = ((features - 128) / 255).astype(np.float32)
    model = LogisticRegression(C=1e-3)  # weaker regularisation takes long and gains nothing
    return float(model.fit(scaled[:cut], classes[:cut]).score(scaled[cut:], classes[cut:]))


def test_a_linear_model_of_the_pixels_fails(drawn):
    images, classes = drawn
    assert accuracy(images.reshape(len(images), -1).astype(float), classes) <= 0.30


def test_brightness_and_contrast_tell_nothing(drawn):
    images, classes = drawn
    flat = images.reshape(len(images), -1).astype(float)
    tones = np.stack([flat.mean(1), flat.std(1), *np.percentile(flat, [5, 50, 95], axis=1)], 1)
    assert accuracy(tones, classes) <= 0.30


def test_the_committed_test_images_are_those_of_the_seed(tmp_path: Path):
    """Compared as pictures, for JPEG libraries differ; the labels to the letter."""
    write_test_images(tmp_path, SEED)
    assert (tmp_path / "labels.csv").read_text() == (COMMITTED / "labels.csv").read_text()
    for i in range(TEST_IMAGES):
        mine, theirs = (
            Image.open(folder / f"download-{i}.jpg") for folder in (tmp_path, COMMITTED)
        )
        assert mine.size == theirs.size == (192, 192)
        assert mine.mode == theirs.mode == ("RGB" if i % 2 else "L")
        difference = np.abs(np.asarray(mine).astype(int) - np.asarray(theirs))
        assert difference.mean() < 1


def test_the_test_images_show_every_class():
    labels = Counter(row["label"] for row in read(COMMITTED / "labels.csv"))
    assert set(labels) == set(NAMES)
    assert sum(labels.values()) == TEST_IMAGES
