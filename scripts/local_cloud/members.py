"""Refuses, by name, each member of a request that an emulated operation would not honour.

An emulator that ignores what it does not know turns a mistake into a green run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from local_cloud.errors import ApiError

ANY: None = None
Members = Mapping[str, Any] | None
"""What is honoured of a value: None for all of it, else member → what is honoured of that."""


def members(*names: str, **nested: Members) -> dict[str, Members]:
    """Describe a structure: plain names are honoured whole, keywords go deeper."""
    return {**dict.fromkeys(names, ANY), **nested}


def unhonoured(honoured: Members, value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each member that `honoured` does not list; lists are looked into."""
    if honoured is None:
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unhonoured(honoured, item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            where = f"{path}.{name}" if path else name
            if name not in honoured:
                yield where
            else:
                yield from unhonoured(honoured[name], item, where)


def refuse_unhonoured(what: str, honoured: Members, value: Any) -> None:
    """Raise 501 NotImplemented that names every member of `value` outside `honoured`."""
    if refused := list(unhonoured(honoured, value)):
        raise ApiError(
            "NotImplemented",
            f"the local cloud does not emulate {', '.join(refused)} of {what}; leave it out, "
            "or run against AWS",
            501,
        )
