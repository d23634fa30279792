"""The seed's network in PyTorch, with the weights that Keras learnt, as our model artifact.

`seed_network.py WEIGHTS.npz OUT`
"""

import sys
from pathlib import Path

import numpy as np
import torch
from ethnicity_prediction import export
from ethnicity_prediction.convert import to_onnx
from ethnicity_prediction.images import InputSpec
from ethnicity_prediction.model import Classifier
from torch import Tensor, nn

NAMES = ["Round", "Square", "Hexagon", "Triangle", "Star"]


class SeedNetwork(nn.Module):
    """float [N, 1, 48, 48] in [-1, 1] -> logits [N, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(6400, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 5)),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


def with_weights(path: Path) -> SeedNetwork:
    """Return the network with Keras's weights, whose last axis is the channel."""
    with np.load(path) as file:
        arrays = [file[f"arr_{i}"] for i in range(len(file.files))]
    arrays[4] = arrays[4].reshape(10, 10, 64, 64).transpose(2, 0, 1, 3).reshape(6400, 64)
    turned = [a.transpose(3, 2, 0, 1) if a.ndim == 4 else a.T for a in arrays]
    network = SeedNetwork()
    with torch.no_grad():
        for parameter, array in zip(network.parameters(), turned, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    return network


def main() -> None:
    """Write model.onnx and model.json."""
    card = {
        **{"name": "seed-network", "version": "bench", "image_size": 48, "channels": 1},
        **{"labels": NAMES, "label_values": list("01234"), "sensitive": False},
    }
    graph = to_onnx(Classifier(with_weights(Path(sys.argv[1]))), InputSpec())
    export.save(Path(sys.argv[2]), graph, card, {})


if __name__ == "__main__":
    main()
