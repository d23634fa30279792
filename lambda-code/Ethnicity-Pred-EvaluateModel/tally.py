"""Counting answers: by true and predicted label, in all and in groups of people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

AGE_BANDS = (10, 20, 30, 40, 50, 60)  # years at which a new band begins


def age_band(age: str) -> str:
    """Return the band of an age in years; a data set's own bands ("20-29") stay as they are."""
    try:
        years = float(age)
    except ValueError:
        return age
    low = max((start for start in AGE_BANDS if start <= years), default=0)
    high = min((start for start in AGE_BANDS if start > years), default=None)
    return f"{low}-{high - 1}" if high else f"{low}+"


@dataclass
class Tally:
    """What has been counted so far; as JSON it travels from one invocation to the next.

    confusion is {true label: {predicted label: rows}}; groups is
    {"gender" | "age": {group: {true label: [rows, rows predicted rightly]}}}.
    """

    rows: int = 0
    labels: list[str] = field(default_factory=list)
    confusion: dict[str, dict[str, int]] = field(default_factory=dict)
    groups: dict[str, dict[str, dict[str, list[int]]]] = field(default_factory=dict)

    def add(
        self, label: str | None, predicted: str, gender: str | None = None, age: str | None = None
    ) -> None:
        """Count one row; without a label it can be neither right nor wrong."""
        self.rows += 1
        if label is None:
            return
        counts = self.confusion.setdefault(label, {})
        counts[predicted] = counts.get(predicted, 0) + 1
        for kind, group in (("gender", gender), ("age", age_band(age) if age else None)):
            if group:
                cell = self.groups.setdefault(kind, {}).setdefault(group, {})
                both = cell.setdefault(label, [0, 0])
                both[0] += 1
                both[1] += label == predicted

    def of_label(self, label: str) -> tuple[int, int]:
        """Return (rows of this true label, those predicted rightly)."""
        counts = self.confusion.get(label, {})
        return sum(counts.values()), counts.get(label, 0)

    @property
    def labelled(self) -> int:
        """Return the number of rows that have a label."""
        return sum(sum(counts.values()) for counts in self.confusion.values())

    @property
    def right(self) -> int:
        """Return the number of rows predicted rightly."""
        return sum(counts.get(label, 0) for label, counts in self.confusion.items())

    @property
    def unknown_labels(self) -> list[str]:
        """Return the labels of the data that the model does not know."""
        return sorted(set(self.confusion) - set(self.labels))

    def to_json(self) -> dict[str, Any]:
        """Return a copy that json can write."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Tally:
        """Return what to_json wrote."""
        return cls(**content)
