"""A data set's class names: they live with the data and travel with the model."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import MalformedError

NAMING_FILE = "labels.json"


@dataclass(frozen=True)
class Naming:
    """What labels.json says; a data set without one is taken to be about people."""

    names: Mapping[str, str] = field(default_factory=dict)
    sensitive: bool = True

    def name(self, value: str) -> str:
        return self.names.get(value, value)


@dataclass(frozen=True)
class Labels:
    """The classes of a model in the order of its outputs."""

    values: tuple[str, ...]  # as they stand in the data
    names: tuple[str, ...]  # as they are shown
    sensitive: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "labels": list(self.names),
            "label_values": list(self.values),
            "sensitive": self.sensitive,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Labels":
        return cls(tuple(data["label_values"]), tuple(data["labels"]), bool(data["sensitive"]))


def read_naming(folder: Path) -> Naming:
    """The naming beside the data, or the default where there is none."""
    path = folder / NAMING_FILE
    if not path.exists():
        return Naming()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        names, sensitive = data.get("names", {}), data.get("sensitive", True)
    except (ValueError, AttributeError) as error:
        raise MalformedError(f"{NAMING_FILE} is not a JSON object: {error}") from error
    if not isinstance(names, dict) or not all(isinstance(n, str) for n in names.values()):
        raise MalformedError(f'{NAMING_FILE}: "names" must map label values to names, got {names}')
    if not isinstance(sensitive, bool):
        raise MalformedError(f'{NAMING_FILE}: "sensitive" must be true or false, got {sensitive}')
    if len(set(names.values())) != len(names):
        raise MalformedError(f"{NAMING_FILE}: two labels share a name: {names}")
    return Naming(names, sensitive)


def labels_of(values: Iterable[str], naming: Naming) -> Labels:
    """The labels that occur, numbers by size and before words."""
    ordered = sorted(
        set(values), key=lambda v: (not v.isdecimal(), int(v) if v.isdecimal() else 0, v)
    )
    return Labels(tuple(ordered), tuple(map(naming.name, ordered)), naming.sensitive)
