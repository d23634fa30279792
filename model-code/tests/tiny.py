"""A tiny data set that is learnt in a second."""

import csv
import json
from pathlib import Path

import numpy as np

WORDS = ("bars", "beams", "flat")
TINY = {"width": "4", "epochs": "8", "batch_size": "16", "augment": "0", "learning_rate": "0.01"}


def pattern(label: str, rng: np.random.Generator) -> np.ndarray:
    """Upright bars, lying beams or nothing, with noise, uint8 [48, 48]."""
    stripes = (np.arange(48) // 6 % 2) * 120.0 + rng.uniform(20, 100)
    image = {
        "bars": np.tile(stripes, (48, 1)),
        "beams": np.tile(stripes[:, None], (1, 48)),
        "flat": np.full((48, 48), rng.uniform(40, 200)),
    }[label]
    return np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8)


def write_pixel_csv(
    path: Path, rows: list[tuple[str, np.ndarray]], people: tuple[tuple[int, int], ...] = ((30, 0),)
) -> None:
    """The rows' ages and genders are those of `people`, one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "ethnicity", "gender", "img_name", "pixels"])
        for i, (label, image) in enumerate(rows):
            age, gender = people[i % len(people)]
            writer.writerow([age, label, gender, "x.jpg", " ".join(map(str, image.ravel()))])


def draw(rows: int, seed: int = 0, words: tuple[str, ...] = WORDS) -> list[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [(words[i % len(words)], pattern(words[i % len(words)], rng)) for i in range(rows)]


def prepare(root: Path, train: int, validation: int, **hyperparameters: str) -> None:
    """Lay a job out as SageMaker does."""
    write_pixel_csv(root / "input/data/train/train.csv", draw(train))
    if validation:
        write_pixel_csv(root / "input/data/validation/validation.csv", draw(validation, seed=1))
    config = root / "input/config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps(TINY | hyperparameters))
