"""The architecture: a compact residual network."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

BATCH = 256  # images at once when many are predicted
AUXILIARY = "auxiliary."  # what the weights of a training's further tasks are called; not served
ZOOMED_OFF = 48  # one pixel of so many, at each border, is not in a zoomed view


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            # Averaged, then 1 x 1: every pixel counts. Besides, torch 2.13's CPU kernel of a 1 x 1
            # convolution with stride 2 writes out of bounds for few channels and odd batches.
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class Network(nn.Module):
    """float [N, channels, size, size] in [-1, 1] -> logits [N, labels].

    While it trains, the logits of `auxiliary` further classes follow, [N, labels + auxiliary].
    """

    def __init__(
        self, labels: int, channels: int, width: int, dropout: float, auxiliary: int = 0
    ) -> None:
        super().__init__()
        stem = [
            nn.Conv2d(channels, width, 5, 2, 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        plan = [(1, 1, 1), (2, 2, 2), (4, 2, 2), (8, 1, 2)]  # width factor, blocks, first stride
        blocks, inputs = [], width
        for factor, count, stride in plan:
            for i in range(count):
                blocks.append(Block(inputs, width * factor, stride if i == 0 else 1))
                inputs = width * factor
        self.features = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, labels))
        self.auxiliary = nn.Linear(inputs, auxiliary) if auxiliary else None

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)
        logits = self.head(features)
        if self.auxiliary is None or not self.training:
            return logits
        return torch.cat([logits, self.auxiliary(features)], dim=1)


def normalise(images: Tensor) -> Tensor:
    """uint8 [N, size, size, channels] -> float [N, channels, size, size] in [-1, 1]."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def zoomed(x: Tensor) -> Tensor:
    """The middle of images float [N, C, S, S], as large as they are."""
    side = x.shape[-1]
    off = max(1, side // ZOOMED_OFF)
    middle = x[:, :, off : side - off, off : side - off]
    return functional.interpolate(middle, (side, side), mode="bilinear", align_corners=False)


class Classifier(nn.Module):
    """What is served: uint8 images in, probabilities out; nothing is left to the caller.

    What is answered is the mean over the first `views` of these: the image, its mirror image, and
    both once more, zoomed in a little. `offset` float [labels] and `temperature` are the operating
    point.
    """

    def __init__(
        self,
        network: Network,
        views: int = 1,
        offset: Tensor | None = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.network, self.views, self.temperature = network, views, temperature
        self.offset: Tensor
        self.register_buffer("offset", torch.zeros(1) if offset is None else offset.float())

    def forward(self, images: Tensor) -> Tensor:
        return torch.softmax((self.logits(images) - self.offset) / self.temperature, dim=1)

    def logits(self, images: Tensor) -> Tensor:
        """Logarithms of the probabilities, before the operating point."""
        x = normalise(images)
        if self.views == 1:
            return torch.log_softmax(self.network(x), dim=1)
        answers = torch.softmax(self.network(torch.cat(self._seen(x))), dim=1)
        return torch.stack(answers.chunk(self.views)).mean(dim=0).log()

    def _seen(self, x: Tensor) -> list[Tensor]:
        sights = [x] if self.views < 3 else [x, zoomed(x)]
        return [view for sight in sights for view in (sight, sight.flip(3))][: self.views]

    @torch.no_grad()
    def predict_logits(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 [N, size, size, channels] -> float32 [N, labels]."""
        starts = range(0, len(images), BATCH)
        batches = (torch.from_numpy(images[i : i + BATCH]) for i in starts)
        return np.concatenate([self.logits(batch).numpy() for batch in batches])
