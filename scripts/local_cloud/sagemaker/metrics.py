"""Metrics that a training program prints, found by the job's MetricDefinitions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reading:
    """One value of a metric, with the time (epoch seconds) at which it was printed."""

    name: str
    value: float
    at: float


class MetricLog:
    """Reads log lines; keeps the last value of each metric, as FinalMetricDataList does."""

    def __init__(self, definitions: Iterable[dict[str, str]]) -> None:
        self._patterns = [(entry["Name"], re.compile(entry["Regex"])) for entry in definitions]
        self._last: dict[str, Reading] = {}

    def read(self, line: str, at: float) -> list[Reading]:
        """Return the readings in a line; a match that is no number gives none."""
        found = []
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                value = _number(match.group(1) if pattern.groups else match.group(0))
                if value is not None:
                    found.append(Reading(name, value, at))
        self._last.update({reading.name: reading for reading in found})
        return found

    def final(self) -> list[dict[str, Any]]:
        """Return FinalMetricDataList."""
        return [
            {"MetricName": reading.name, "Value": reading.value, "Timestamp": reading.at}
            for reading in self._last.values()
        ]


def bad_patterns(definitions: Iterable[dict[str, str]]) -> list[str]:
    """Name the definitions whose Regex does not compile."""
    bad = []
    for entry in definitions:
        try:
            re.compile(entry["Regex"])
        except re.error as error:
            bad.append(f"{entry['Name']}: {error}")
    return bad


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
