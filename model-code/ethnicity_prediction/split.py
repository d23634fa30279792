"""A held-out part of the training data, for jobs without a validation channel."""

import numpy as np

from .errors import MalformedError


def stratified(
    codes: np.ndarray, fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers (kept, held out); each label gives its share, at least one row, never all."""
    held: list[np.ndarray] = []
    for code in np.unique(codes):
        rows = rng.permutation(np.flatnonzero(codes == code))
        if len(rows) < 2:
            raise MalformedError(
                "a label with a single row cannot be split: add rows or a validation channel"
            )
        held.append(rows[: min(len(rows) - 1, max(1, round(len(rows) * fraction)))])
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(codes)), out), out
