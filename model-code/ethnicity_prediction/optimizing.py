"""Which optimizer gets which weights, and how fast each goes when."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer

from .config import Hyperparameters
from .muon import Muon

WARM_UP = 0.04  # of the training …
WARM_UP_STEPS = 50  # … but, for momentum has to settle, so many steps at least …
WARM_UP_MOST = 0.2  # … unless they are too much of a short training


def optimizers(net: nn.Module, config: Hyperparameters) -> list[Optimizer]:
    """Muon for the kernels if wanted, AdamW for the rest; biases and normalisation never decay."""
    rate, decay = config.learning_rate, config.weight_decay
    muon_rate = config.muon_learning_rate
    kernels = [p for p in net.parameters() if p.ndim == 4 and muon_rate]
    matrices = [p for p in net.parameters() if p.ndim > 1 and not (p.ndim == 4 and muon_rate)]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    adamw = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": decay, "peak": rate},
            {"params": vectors, "weight_decay": 0.0, "peak": rate},
        ],
        lr=rate,
    )
    if not kernels:
        return [adamw]
    muon = Muon(kernels, muon_rate, decay)
    muon.param_groups[0]["peak"] = muon_rate
    return [muon, adamw]


def set_rates(optimizers: Iterable[Optimizer], done: float, step: int, steps: int) -> None:
    """A linear warm-up by steps, so that it is the same on a slow machine, then a cosine to 0."""
    warm_up = max(WARM_UP * steps, min(WARM_UP_STEPS, WARM_UP_MOST * steps))
    share = min(1.0, step / warm_up) * (0.5 + 0.5 * math.cos(math.pi * done))
    for optimizer in optimizers:
        for part in optimizer.param_groups:
            part["lr"] = part["peak"] * share
