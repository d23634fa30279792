"""Shares with their confidence intervals, and means and differences of such."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z_95 = 1.959964  # the normal distribution's quantile for a two-sided 95 % interval


@dataclass(frozen=True)
class Estimate:
    """A number and the interval that it lies in with the chosen confidence."""

    value: float
    low: float
    high: float


def wilson(hits: int, rows: int, z: float = Z_95) -> Estimate:
    """Return hits / rows with its Wilson score interval, which is honest at 0, at 1 and for few."""
    share, z2 = hits / rows, z * z
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = z / (1 + z2 / rows) * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows))
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half))


def mean(estimates: Sequence[Estimate], weights: Sequence[float] | None = None) -> Estimate:
    """Return the (weighted) mean of independent estimates; its interval by variance recovery.

    The distances of each estimate to its own bounds stand in for the standard errors ("MOVER",
    Zou and Donner 2008), so the mean of Wilson intervals stays honest where some are at 0 or 1.
    """
    weights = weights or [1.0] * len(estimates)
    total = sum(weights)
    parts = [(w / total, e) for w, e in zip(weights, estimates, strict=True)]
    value = sum(w * e.value for w, e in parts)
    below = math.sqrt(sum((w * (e.value - e.low)) ** 2 for w, e in parts))
    above = math.sqrt(sum((w * (e.high - e.value)) ** 2 for w, e in parts))
    return Estimate(value, value - below, value + above)


def difference(a: Estimate, b: Estimate) -> Estimate:
    """Return a - b of independent estimates, with Newcombe's interval."""
    value = a.value - b.value
    below = math.hypot(a.value - a.low, b.high - b.value)
    above = math.hypot(a.high - a.value, b.value - b.low)
    return Estimate(value, value - below, value + above)
