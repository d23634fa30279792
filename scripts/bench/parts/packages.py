"""What the serving images have to carry."""

from __future__ import annotations

from bench.figures import LOWER, Figure, Row
from bench.setup import Bench

NEEDED = ("onnxruntime", "numpy")  # no serving of ONNX does without


def measure(bench: Bench) -> list[Row]:
    """Return the size of both environments' packages, and of what ours cannot do without."""
    commands = {
        "ours": bench.ours("packages.py"),
        "limit": bench.ours("packages.py", *NEEDED),
        "seed": bench.with_seeds_python("packages.py"),
    }
    figures = {who: Figure((bench.measured(each)["mb"],)) for who, each in commands.items()}
    return [Row("packages", "site-packages of the server, as installed", "MB", LOWER, figures)]
