"""The seed's network and how it prepares pixels: a small Keras CNN, as such notebooks have it."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

SIDE, LABELS = 48, 5


def network() -> Any:
    """Return the network, untrained: float [N, 48, 48, 1] in [-1, 1] -> probabilities [N, 5]."""
    net = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(LABELS, activation="softmax"),
        ]
    )
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


def scaled(pixels: np.ndarray) -> np.ndarray:
    """Return pixels [N, 2304] of 0-255 as the network wants them."""
    return pixels.astype("float32").reshape(-1, SIDE, SIDE, 1) / 127.5 - 1


def read_training(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a training CSV as the seed does: pandas, and a list of numbers for every row."""
    import pandas as pd

    frame = pd.read_csv(path)
    pixels = frame["pixels"].apply(lambda text: np.array(text.split(), dtype="float32"))
    return scaled(np.stack(pixels.to_list())), frame["ethnicity"].to_numpy()
