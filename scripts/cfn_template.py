"""CloudFormation templates as plain data, and what their intrinsic functions come to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cfnlint.decode import decode  # type: ignore[import-untyped]  # cfn-lint ships no types

_VARIABLE = re.compile(r"\$\{(!?)([^}]+)\}")


class TemplateError(ValueError):
    """A template cannot be read, or a value in it cannot be worked out; says which and why."""


def load(path: Path) -> dict[str, Any]:
    """Return the template with its intrinsic functions in their long form ({"Fn::Sub": …})."""
    template, faults = decode(str(path))
    if faults or template is None:
        raise TemplateError(f"{path} cannot be read: {'; '.join(str(f) for f in faults)}")
    return _plain(template)


class Resolver:
    """Works values out as CloudFormation does, from what parameters and resources come to.

    `values` maps what Ref and Fn::Sub name ("UniqueID", "AWS::Region", "DataBucket"), what
    Fn::GetAtt names ("DataKey.Arn") and exports ("import:NAME") to their values. Parameters that
    it leaves out have their defaults; `otherwise` is asked for anything else.
    """

    def __init__(
        self,
        template: Mapping[str, Any],
        values: Mapping[str, Any],
        otherwise: Callable[[str], Any] | None = None,
    ) -> None:
        self.otherwise = otherwise
        parameters = template.get("Parameters", {})
        defaults = {n: p["Default"] for n, p in parameters.items() if "Default" in p}
        self.values = {**defaults, **values}
        self.conditions = template.get("Conditions", {})

    def __call__(self, node: Any) -> Any:
        """Return node with every intrinsic function in it worked out."""
        if isinstance(node, list):
            kept = [self(item) for item in node]
            return [item for item in kept if item != {"Ref": "AWS::NoValue"}]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(name, argument)] = node.items()
            function = getattr(self, "_" + name.removeprefix("Fn::").lower(), None)
            if name in {"Ref", "Condition"} or name.startswith("Fn::"):
                if function is None:
                    raise TemplateError(f"{name} is not known here; add it to {__file__}")
                return function(argument)
        resolved = {key: self(value) for key, value in node.items()}
        return {k: v for k, v in resolved.items() if v != {"Ref": "AWS::NoValue"}}

    def holds(self, condition: str) -> bool:
        """Tell whether a named condition of the template is true."""
        return bool(self(self.conditions[condition]))

    def _value(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if self.otherwise is None:
            raise TemplateError(f"nothing says what {name!r} comes to")
        return self.otherwise(name)

    def _ref(self, name: str) -> Any:
        return {"Ref": name} if name == "AWS::NoValue" else self._value(name)

    def _getatt(self, argument: list[str] | str) -> Any:
        return self._value(argument if isinstance(argument, str) else ".".join(argument))

    def _importvalue(self, argument: Any) -> Any:
        return self._value(f"import:{self(argument)}")

    def _sub(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument
        own = {name: self(value) for name, value in own.items()}

        def value(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            return str(own[name] if name in own else self._value(name))

        return _VARIABLE.sub(value, text)

    def _if(self, argument: list[Any]) -> Any:
        condition, yes, no = argument
        return self(yes if self.holds(condition) else no)

    def _condition(self, name: str) -> bool:
        return self.holds(name)

    def _equals(self, argument: list[Any]) -> bool:
        first, second = self(argument)
        return str(first) == str(second)

    def _not(self, argument: list[Any]) -> bool:
        return not self(argument[0])

    def _select(self, argument: list[Any]) -> Any:
        index, values = argument
        return self(values)[int(self(index))]

    def _split(self, argument: list[Any]) -> list[str]:
        separator, text = argument
        return str(self(text)).split(separator)

    def _base64(self, argument: Any) -> Any:
        return self(argument)  # the text itself: that is what everybody here wants to read


def _plain(node: Any) -> Any:
    """Turn cfn-lint's own dict, list and str types, which know their line, into Python's."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return str(node) if isinstance(node, str) else node
