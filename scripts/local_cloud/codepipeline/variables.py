"""Puts values in place of #{namespace.key} in an action's configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

REFERENCE = re.compile(r"#\{([A-Za-z0-9@_-]+)\.([A-Za-z0-9@_-]+)\}")


class UnresolvedVariable(Exception):
    """A reference names a variable that no action has set; names it."""


def references(text: str) -> Iterator[tuple[str, str]]:
    """Yield (namespace, key) of each reference."""
    for match in REFERENCE.finditer(text):
        yield match[1], match[2]


def resolve(
    configuration: Mapping[str, str], known: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Return the configuration with every reference resolved; raises UnresolvedVariable.

    `known` maps a namespace to its variables; `codepipeline` and `variables` are the service's.
    """

    def value(match: re.Match[str]) -> str:
        namespace, key = match[1], match[2]
        if key not in known.get(namespace, {}):
            raise UnresolvedVariable(f"the variable {match[0]} has no value")
        return known[namespace][key]

    return {name: REFERENCE.sub(value, text) for name, text in configuration.items()}
