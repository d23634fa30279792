"""Loading a training CSV as large as the public one: 23,705 rows, 199 MB."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from bench.figures import LOWER, Figure, Row
from bench.setup import Bench

ROWS, PIXELS = 23_705, 2_304
BLOCK = 500  # rows that are drawn at once


def measure(bench: Bench) -> list[Row]:
    """Return seconds of a first and a later loading, and the memory."""
    samples: dict[str, list[float]] = defaultdict(list)
    for number in range(min(2, bench.rounds)):
        csv = write(bench.scratch / f"large-{number}" / "train.csv")
        cache = bench.scratch / f"cache-{number}"  # the first loading fills it
        samples["limit.first"].append(_plain_read(csv))
        for name in ("first", "cached"):
            ours = bench.measured(bench.ours("read_csv.py", csv, cache, training=True))
            samples[f"ours.{name}"].append(ours["seconds"])
            if name == "first":
                samples["ours.memory"].append(ours["mb"])
        seeds = bench.measured(bench.seeds("read_csv.py", csv))
        samples["seed.first"].append(seeds["seconds"])
        samples["seed.memory"].append(seeds["mb"])
        csv.unlink()
        bench.say(f"loading, round {number + 1}")
    samples["seed.cached"] = samples["seed.first"]  # it has no other
    size = "the 199 MB CSV"
    return [
        _row(samples, "first", f"loading {size}, first", "s"),
        _row(samples, "cached", f"loading {size} again", "s"),
        _row(samples, "memory", f"most memory while loading {size}, first", "MB"),
    ]


def _plain_read(path: Path) -> float:
    """Seconds of it, in pieces: a child's peak of memory would count what this process holds."""
    piece = bytearray(2**20)
    begun = time.perf_counter()
    with path.open("rb", buffering=0) as file:
        while file.readinto(piece):
            pass
    return time.perf_counter() - begun


def _row(samples: dict[str, list[float]], name: str, what: str, unit: str) -> Row:
    who = [each for each in ("ours", "limit", "seed") if f"{each}.{name}" in samples]
    figures = {each: Figure(tuple(samples[f"{each}.{name}"])) for each in who}
    return Row(f"read.{name}", what, unit, LOWER, figures)


def write(path: Path, rows: int = ROWS) -> Path:
    """Write a pixel CSV of noise whose digits are as many as a photograph's."""
    random = np.random.default_rng(0)
    words = np.array([str(value) for value in range(256)], dtype=object)
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        file.write("age,ethnicity,gender,img_name,pixels\n")
        for start in range(0, rows, BLOCK):
            pixels = words[random.integers(0, 256, (min(BLOCK, rows - start), PIXELS))]
            file.writelines(
                f"30,{number % 5},0,x.jpg,{' '.join(row)}\n" for number, row in enumerate(pixels)
            )
    return path
