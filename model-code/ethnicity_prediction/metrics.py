"""Arrays -> numbers, for each label as well as overall."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def evaluate(truth: Sequence[str], predicted: Sequence[str]) -> dict[str, Any]:
    """Accuracy, macro recall, and recall and rows by label.

    Labels are those of the truth: one that the model never learnt has a recall of 0, not a gap.
    """
    right = np.array([t == p for t, p in zip(truth, predicted, strict=True)], dtype=bool)
    labels = list(dict.fromkeys(sorted(truth)))
    of_label = {label: np.array([t == label for t in truth]) for label in labels}
    recall = {label: float(right[mask].mean()) for label, mask in of_label.items()}
    return {
        "accuracy": float(right.mean()),
        "macro_recall": float(np.mean(list(recall.values()))),
        "recall": recall,
        "rows": {label: int(mask.sum()) for label, mask in of_label.items()},
    }


def macro_recall(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean recall over the codes that occur in the truth, int [N] each."""
    return float(np.mean([(predicted[truth == code] == code).mean() for code in np.unique(truth)]))


def calibration_error(probabilities: np.ndarray, codes: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: the gap between confidence and accuracy, weighted by rows.

    Probabilities float [N, L], codes int [N]; bins of equal width over the confidence, as by Guo
    et al., "On calibration of modern neural networks", 2017.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == codes
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(float((right[place == b] - confidence[place == b]).sum())) for b in range(bins)]
    return sum(gaps) / len(codes)
