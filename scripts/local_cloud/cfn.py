"""Turns the properties of a CloudFormation resource into the request of the API behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.model import OperationModel

from local_cloud import seams
from local_cloud.service import Call
from local_cloud.shapes import request_faults
from local_cloud.strict import caller


class PropertyError(ValueError):
    """A property of a template has no place in the API's request; says which."""


def stack_call() -> Call:
    """Return the call of whoever asked for the stack operation: CloudFormation acts as them."""
    return Call(caller.access_key(), *seams.account_and_region())


def to_request(properties: dict[str, Any], operation: OperationModel, what: str) -> dict[str, Any]:
    """Spell properties as the API does (`RoleArn` → `roleArn`) and type them as its model says.

    A template's numbers and booleans may be strings. Raises PropertyError for a property that the
    API does not know, and for a request that it would refuse.
    """
    request = _structure(properties, operation.input_shape, what)
    if faults := request_faults(operation, request):
        raise PropertyError(f"{what}: {'; '.join(faults)}")
    return request


def _convert(value: Any, shape: Any, path: str) -> Any:
    convert = CONVERTERS.get(shape.type_name)
    return convert(value, shape, path) if convert else value


def _structure(value: Any, shape: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PropertyError(f"{path} is {type(value).__name__}, a structure is needed")
    members = {name.lower(): name for name in shape.members}
    converted = {}
    for name, item in value.items():
        member = members.get(name.lower())
        if member is None:
            raise PropertyError(f"{path} has no property {name!r}")
        converted[member] = _convert(item, shape.members[member], f"{path}.{name}")
    return converted


def _list(value: Any, shape: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise PropertyError(f"{path} is {type(value).__name__}, a list is needed")
    return [_convert(item, shape.member, f"{path}[{i}]") for i, item in enumerate(value)]


def _map(value: Any, shape: Any, path: str) -> dict[str, Any]:
    return {name: _convert(item, shape.value, f"{path}.{name}") for name, item in value.items()}


def _string(value: Any, _shape: Any, _path: str) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _integer(value: Any, _shape: Any, path: str) -> Any:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise PropertyError(f"{path} is {value!r}, a number is needed") from None


def _boolean(value: Any, _shape: Any, path: str) -> bool:
    if str(value).lower() not in ("true", "false"):
        raise PropertyError(f"{path} is {value!r}, true or false is needed")
    return str(value).lower() == "true"


CONVERTERS: dict[str, Callable[[Any, Any, str], Any]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "boolean": _boolean,
}
