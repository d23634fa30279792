"""Keras trains: `train.py make CSV OUT` once; `train.py contest CSV` an epoch for each line read.

`make` leaves model.keras for the seed's server and weights.npz for the same network elsewhere.
"""

import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
from network import network, read_training

BATCH = 64


def make(csv: Path, out: Path) -> None:
    """Train two epochs and save."""
    keras.utils.set_random_seed(0)
    images, labels = read_training(csv)
    net = network()
    net.fit(images, labels, batch_size=BATCH, epochs=2, verbose=0)
    net.save(out / "model.keras")
    np.savez(out / "weights.npz", *net.get_weights())


def contest(csv: Path) -> None:
    """Train an epoch for each line, and print images a second; the first warms up."""
    images, labels = read_training(csv)
    net = network()
    net.fit(images, labels, batch_size=BATCH, epochs=1, verbose=0)
    print("ready", flush=True)
    for _ in sys.stdin:
        begun, used = time.perf_counter(), time.process_time()
        net.fit(images, labels, batch_size=BATCH, epochs=1, verbose=0)
        took, used = time.perf_counter() - begun, time.process_time() - used
        facts = {"images_per_s": len(images) / took, "images_per_cpu_s": len(images) / used}
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        contest(Path(sys.argv[2]))
