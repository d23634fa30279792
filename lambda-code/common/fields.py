"""Dataclasses filled from strings or JSON values, with every fault named at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")
NEEDED: Any = dataclasses.MISSING


def whole(minimum: int, maximum: int, default: Any = NEEDED) -> Any:
    """Declare a whole number in minimum..maximum."""
    return dataclasses.field(default=default, metadata={"range": (minimum, maximum)})


def one_of(*choices: Any, default: Any = NEEDED) -> Any:
    """Declare a value that must be one of choices."""
    return dataclasses.field(default=default, metadata={"choices": choices})


class _Misfit(Exception):
    """A value is not what its field declares; the text ends the sentence "must be …"."""


def fill(
    cls: type[T],
    values: Mapping[str, Any],
    fail: Callable[[str], Exception],
    *,
    allow_unknown: bool = False,
) -> T:
    """Make a cls out of values, or raise fail(all faults in one line).

    An empty string counts as not given, so that a template may pass an optional parameter on as
    it is. Names are shown, and values only of fields that cls declares: never of unknown ones.
    """
    declared = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = get_type_hints(cls)
    given = {name: v for name, v in values.items() if name in declared and v != ""}
    needed = {name for name, field in declared.items() if _is_needed(field)}
    faults = []
    if missing := [name for name in declared if name in needed - given.keys()]:
        faults.append(f"lacks {_names(missing)} (got: {_names(sorted(given)) or 'nothing'})")
    if not allow_unknown and (unknown := sorted(set(values) - set(declared))):
        faults.append(f"has unknown {_names(unknown)} (known: {_names(declared)})")
    filled = {}
    for name, value in given.items():
        try:
            filled[name] = _cast(value, hints[name], declared[name].metadata)
        except _Misfit as error:
            faults.append(f"{name!r} must be {error}, got {_shown(value)}")
    if faults:
        raise fail("; ".join(faults))
    return cls(**filled)


def _is_needed(field: dataclasses.Field) -> bool:
    return field.default is NEEDED and field.default_factory is NEEDED


def _names(names: Any) -> str:
    return ", ".join(repr(name) for name in names)


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float) else type(value).__name__
    return text if len(text) <= 60 else text[:59] + "…"


def _cast(value: Any, kind: Any, metadata: Mapping[str, Any]) -> Any:
    cast = {int: _whole, float: _number, bool: _truth, str: _text, dict: _object, list: _list}
    result = cast[getattr(kind, "__origin__", kind)](value)
    low, high = metadata.get("range", (None, None))
    if low is not None and not low <= result <= high:
        raise _Misfit(f"a whole number from {low} to {high}")
    choices = metadata.get("choices")
    if choices and result not in choices:
        raise _Misfit(f"one of {_names(choices)}")
    return result


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _Misfit("a whole number")
    try:
        return int(value)
    except ValueError:
        raise _Misfit("a whole number") from None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _Misfit("a number")
    try:
        return float(value)
    except ValueError:
        raise _Misfit("a number") from None


def _truth(value: Any) -> bool:
    if value in (True, "true", "True"):
        return True
    if value in (False, "false", "False"):
        return False
    raise _Misfit("true or false")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Misfit("text")
    return value


def _object(value: Any) -> dict:
    if not isinstance(value, dict):
        raise _Misfit("a JSON object")
    return value


def _list(value: Any) -> list:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _Misfit("a list of texts")
    return value
