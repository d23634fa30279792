"""Training the seed's network: our loop beside Keras, an epoch in turns."""

from __future__ import annotations

from collections import defaultdict

from bench.figures import HIGHER, Figure, Row
from bench.setup import Bench, Contestant

KEYS = {
    "images_per_s": ("training", "images a second"),
    "images_per_cpu_s": ("training.cpu", "images a CPU second"),
}


def measure(bench: Bench) -> list[Row]:
    """Return images a second of both, and a CPU second: other work on the machine counts less."""
    csv = bench.training_csv
    commands = {
        "ours": bench.ours("train.py", csv, training=True),
        "seed": bench.seeds("train.py", "contest", csv),
    }
    contestants = {name: Contestant(command) for name, command in commands.items()}
    speeds: dict[tuple[str, str], list[float]] = defaultdict(list)
    try:
        for _ in range(bench.rounds):
            for name, contestant in contestants.items():
                for key, value in contestant.round().items():
                    speeds[key, name].append(value)
    finally:
        for contestant in contestants.values():
            contestant.end()
    bench.say("training was measured")
    return [_row(speeds, key) for key in KEYS]


def _row(speeds: dict[tuple[str, str], list[float]], key: str) -> Row:
    figures = {name: Figure(tuple(speeds[key, name])) for name in ("ours", "seed")}
    name, unit = KEYS[key]
    return Row(name, "training the seed's network", unit, HIGHER, figures)
