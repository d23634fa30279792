"""A function's settings: a frozen dataclass whose fields are its environment variables."""

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from common.failures import WrongConfiguration
from common.fields import fill

T = TypeVar("T")


def from_env(cls: type[T], environ: Mapping[str, str]) -> T:
    """Fill cls from the variables named like its fields in upper case; name all missing at once."""
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    values = {name: environ[name.upper()] for name in names if name.upper() in environ}

    def fail(faults: str) -> Exception:
        for name in names:
            faults = faults.replace(repr(name), name.upper())
        return WrongConfiguration(f"the function's environment {faults}; set it in the template")

    return fill(cls, values, fail)
