"""The embedded data learnt with the default hyperparameters: how right, and how soon."""

from __future__ import annotations

import json
import time
from pathlib import Path

import draw_glyphs
import numpy as np

from bench.figures import HIGHER, LOWER, Figure, Row
from bench.servers import MODEL_CODE
from bench.setup import Bench

TEST_ROWS = 2_000
TEST_SEED = draw_glyphs.SEED + 1  # rows that no training has seen


def measure(bench: Bench) -> list[Row]:
    """Return the accuracy on test rows, and the seconds from the program's start to its end."""
    test = bench.scratch / "glyphs-test"
    random = np.random.default_rng(TEST_SEED)
    draw_glyphs.write_pixel_csv(test / "test.csv", TEST_ROWS, random)
    seconds, models = [], []
    for seed in range(min(3, bench.rounds)):
        root = bench.scratch / f"glyphs-{seed}"
        seconds.append(_train(bench, root, seed))
        models.append(root / "model")
        bench.say(f"glyph faces were learnt, seed {seed}")
    scored = json.loads(bench.run(bench.ours("score.py", test, *models, training=True)))
    right = [each["accuracy"] for each in scored["models"]]
    what = "glyph faces, default hyperparameters"
    return [
        Row(
            "glyphs.accuracy",
            f"{what}: accuracy on {TEST_ROWS:,} test rows",
            "share",
            HIGHER,
            {"ours": Figure(tuple(right))},
        ),
        Row(
            "glyphs.seconds",
            f"{what}: `train`, start to end",
            "s",
            LOWER,
            {"ours": Figure(tuple(seconds))},
        ),
    ]


def _train(bench: Bench, root: Path, seed: int) -> float:
    draw_glyphs.write_data(root / "input/data", draw_glyphs.SEED, draw_glyphs.ROWS)
    (root / "input/config").mkdir()
    (root / "input/config/hyperparameters.json").write_text(json.dumps({"seed": str(seed)}))
    program = [str(bench.train_environment / "bin/python"), str(MODEL_CODE / "train")]
    begun = time.perf_counter()
    bench.run(program, ML_ROOT=str(root))
    return time.perf_counter() - begun
