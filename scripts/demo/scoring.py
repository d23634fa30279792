"""True and predicted labels in, accuracy and recall per label out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """How a model did on rows that it never saw; recalls are in [0, 1]."""

    rows: int
    accuracy: float
    recall: dict[str, float]  # label → share of its rows that were answered right
    support: dict[str, int]  # label → rows

    @property
    def macro_recall(self) -> float:
        """The mean of the labels' recalls: every label counts alike."""
        return sum(self.recall.values()) / len(self.recall)


def score(truth: Sequence[str], predicted: Sequence[str]) -> Score:
    """Compare answers with the truth; ValueError if there are none or the lengths differ."""
    if not truth or len(truth) != len(predicted):
        raise ValueError(f"{len(truth)} true labels for {len(predicted)} answers")
    right = Counter(t for t, p in zip(truth, predicted, strict=True) if t == p)
    support = Counter(truth)
    return Score(
        rows=len(truth),
        accuracy=right.total() / len(truth),
        recall={label: right[label] / support[label] for label in sorted(support)},
        support=dict(support),
    )
