"""Muon: momentum whose every step is an orthogonal matrix, for the kernels of a network."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

MOMENTUM = 0.9
# Newton-Schulz iteration of Jordan et al., "Muon: An optimizer for hidden layers", 2024: a quintic
# whose singular values come near 1 in a few steps, and need come no nearer.
STEPS = 4
A, B, C = 3.4445, -4.7750, 2.0315


class Muon(Optimizer):
    """Nesterov momentum, made orthogonal; a kernel [O, I, h, w] counts as a matrix [O, I h w].

    Weights decay decoupled from the gradient, as AdamW's.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step; `closure` is torch's interface and not used."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, group["lr"], group["weight_decay"])

    def _step(self, weight: Tensor, rate: float, decay: float) -> None:
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].mul_(MOMENTUM).add_(weight.grad)
        update = orthogonal(weight.grad.add(momentum, alpha=MOMENTUM).flatten(1))
        rows, columns = update.shape
        weight.mul_(1 - rate * decay)
        weight.add_(update.view(weight.shape), alpha=-rate * max(1.0, rows / columns) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """Singular values all near 1, singular vectors kept; float32 [rows, columns].

    A step multiplies x by A + B s + C s^2 with s = x x'. All these are polynomials of the first s
    and commute: the steps are taken on the short side alone, and x is multiplied once. Squares
    halve the digits: bfloat16 has too few.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    square = x @ x.T
    step = product = _polynomial(square)
    for _ in range(STEPS - 1):
        square = step @ square @ step
        step = _polynomial(square)
        product = step @ product
    x = product @ x
    return x if wide is matrix else x.T


def _polynomial(square: Tensor) -> Tensor:
    result = B * square + C * square @ square
    result.diagonal().add_(A)
    return result
