"""Checks a request or a response against botocore's service model.

botocore's own ParamValidator looks at names, types and minimum lengths only; the real services
also refuse wrong enum values, patterns, maximum lengths and ranges, and so does this module.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
from botocore.model import OperationModel, ServiceModel, Shape

JAVA_CLASSES = {
    r"\p{L}": "A-Za-z\u00aa-\U0010ffff",  # inside [...]
    r"\p{Z}": r"\s",
    r"\p{N}": r"\d",
    r"\p{M}": "",
    r"\p{P}": "!-/:-@\\[-`{-~",
    r"\p{S}": "$+<=>^`|~",
}
EMPTY_LIST = "(items) is 0, at least"


@functools.cache
def service_model(name: str) -> ServiceModel:
    """Load botocore's model of a service, such as `sagemaker`."""
    return botocore.session.get_session().get_service_model(name)


def request_faults(operation: OperationModel, request: dict[str, Any]) -> list[str]:
    """List what AWS would refuse in a request; empty when it is well formed."""
    return list(_faults(operation.input_shape, request, "")) if operation.input_shape else []


def response_faults(operation: OperationModel, response: dict[str, Any]) -> list[str]:
    """List what a client of AWS would never see in a response; empty when it is well formed.

    AWS answers empty lists where its models demand an item (ListImages, ListBuildsForProject), so
    those are no fault.
    """
    if not operation.output_shape:
        return []
    found = _faults(operation.output_shape, response, "")
    return [fault for fault in found if EMPTY_LIST not in fault]


def _faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    check = CHECKS.get(shape.type_name)
    if check is None:
        return
    yield from check(shape, value, path)


def _structure(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path or 'body'} is {type(value).__name__}, a structure is needed"
        return
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"{path}.{name} is missing".lstrip(".")
    for name, member in value.items():
        if name not in shape.members:
            yield f"{path}.{name} is unknown, one of {', '.join(shape.members)}".lstrip(".")
        elif member is not None:
            yield from _faults(shape.members[name], member, f"{path}.{name}".lstrip("."))


def _list(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        yield f"{path} is {type(value).__name__}, a list is needed"
        return
    yield from _bounds(shape, len(value), f"{path} (items)")
    for index, item in enumerate(value):
        yield from _faults(shape.member, item, f"{path}[{index}]")


def _map(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is {type(value).__name__}, a map is needed"
        return
    yield from _bounds(shape, len(value), f"{path} (entries)")
    for key, item in value.items():
        yield from _faults(shape.key, key, f"{path} key {key!r}")
        yield from _faults(shape.value, item, f"{path}.{key}")


def _string(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{path} is {type(value).__name__}, a string is needed"
        return
    yield from _bounds(shape, len(value), f"{path} (characters)")
    if shape.enum and value not in shape.enum:
        yield f"{path} is {value!r}, one of {', '.join(shape.enum)} is needed"
    pattern = _pattern(shape.metadata.get("pattern", ""))
    if pattern and not pattern.fullmatch(value):
        yield f"{path} is {value!r}, which does not match {shape.metadata['pattern']}"


def _number(kinds: Any) -> Callable[[Any, Any, str], Iterator[str]]:
    def check(shape: Any, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, kinds) or isinstance(value, bool):
            yield f"{path} is {type(value).__name__}, a number is needed"
            return
        yield from _bounds(shape, value, path)

    return check


def _of_type(kinds: tuple[type, ...], needed: str) -> Callable[[Any, Any, str], Iterator[str]]:
    def check(_shape: Any, value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, kinds):
            yield f"{path} is {type(value).__name__}, {needed} is needed"

    return check


def _bounds(shape: Any, number: float, what: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and number < low:
        yield f"{what} is {number}, at least {low} is needed"
    if high is not None and number > high:
        yield f"{what} is {number}, at most {high} is allowed"


@functools.cache
def _pattern(source: str) -> re.Pattern[str] | None:
    """Compile a model's Java pattern; None for one that Python cannot express.

    Some end in a bound on the end of the text, `${1,256}`, which says what min and max say, too.
    """
    source = re.sub(r"\$\{\d+,\d+\}$", "", source)
    for java, python in JAVA_CLASSES.items():
        source = source.replace(java, python)
    try:
        return re.compile(source, re.DOTALL) if source and r"\p{" not in source else None
    except re.error:
        return None


CHECKS: dict[str, Callable[[Any, Any, str], Iterator[str]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _number((int,)),
    "long": _number((int,)),
    "float": _number((int, float)),
    "double": _number((int, float)),
    "boolean": _of_type((bool,), "a boolean"),
    "timestamp": _of_type((int, float, datetime.datetime), "a timestamp (epoch seconds)"),
    "blob": _of_type((bytes, str), "bytes"),
}
