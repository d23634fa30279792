"""How far a training has come: what is reported, and what a restarted job goes on from."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Epoch:
    epoch: int
    train_loss: float
    validation_accuracy: float
    validation_macro_recall: float
    images_per_s: float
    elapsed_s: float
    side: int  # of the images that it learnt from last and was measured on


@dataclass
class Progress:
    """All that a restarted job needs to go on at the next epoch."""

    weights: dict[str, Tensor]
    averaged: dict[str, Tensor]
    optimizers: list[dict[str, Any]]
    best: dict[str, Tensor]
    history: list[Epoch] = field(default_factory=list)
    step: int = 0
    elapsed_s: float = 0.0
    eta_s: float = 0.0  # as long as it may still take; patience can end it before

    @property
    def best_epoch(self) -> Epoch | None:
        """Of those on images as large as the last one's: others are another measure."""
        rivals = (epoch for epoch in self.history if epoch.side == self.history[-1].side)
        return max(rivals, key=lambda epoch: epoch.validation_macro_recall, default=None)

    @property
    def best_recall(self) -> float:
        return self.best_epoch.validation_macro_recall if self.best_epoch else -1.0

    @property
    def epochs_since_best(self) -> int:
        return self.history[-1].epoch - self.best_epoch.epoch if self.best_epoch else 0


def detached(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy of the weights on the CPU that further steps leave alone."""
    return {name: value.detach().cpu().clone() for name, value in state.items()}
