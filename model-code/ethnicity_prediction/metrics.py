"""Arrays -> numbers, for each label as well as overall."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Z_95 = 1.959964  # the normal distribution's quantile for a two-sided 95 % interval


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
    return float(label_recalls(truth, predicted).mean())


def label_recalls(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Recall of each code that occurs in the truth, in their order; int [N] each."""
    return np.array([(predicted[truth == code] == code).mean() for code in np.unique(truth)])


def reliability(
    probabilities: np.ndarray, codes: np.ndarray, bins: int = 15
) -> list[dict[str, Any]]:
    """How often the model is right where it is how sure: rows, confidence, accuracy by bin.

    Probabilities float [N, L], codes int [N]; bins of equal width over the confidence, as by Guo
    et al., "On calibration of modern neural networks", 2017; those without rows are left out.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == codes
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        {
            "from": b / bins,
            "to": (b + 1) / bins,
            "rows": int((place == b).sum()),
            "right": int(right[place == b].sum()),
            "confidence": float(confidence[place == b].mean()),
        }
        for b in np.unique(place).tolist()
    ]


def calibration_error(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Expected calibration error: the gap between confidence and accuracy, weighted by rows."""
    found = reliability(probabilities, codes)
    return sum(abs(b["right"] - b["rows"] * b["confidence"]) for b in found) / len(codes)


def wilson(hits: int, rows: int) -> dict[str, float | None]:
    """The share with Wilson's 95 % interval, honest at 0, at 1 and for few; None for no rows."""
    if not rows:
        return {"value": None, "low": None, "high": None}
    share, z2 = hits / rows, Z_95 * Z_95
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    spread = math.sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows))
    half = Z_95 / (1 + z2 / rows) * spread
    return {"value": share, "low": max(0.0, centre - half), "high": min(1.0, centre + half)}
