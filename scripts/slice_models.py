#!/usr/bin/env python3
"""Cuts what our functions call out of botocore's models of AWS's services.

Usage: slice_models.py   (writes lambda-code/common/models, in the layout of botocore's own data)

A client of SageMaker reads 2 MB of JSON to make one of its 400 calls, and every client reads where
all of AWS's services are: a tenth of a second of CPU, and a function has a part of one. Besides,
AWS's runtime brings a botocore of its own, which may not know what the tested one knows.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore import xform_name
from botocore.loaders import Loader

CODE = Path(__file__).resolve().parent.parent / "lambda-code"
FOLDER = CODE / "common/models"
SERVICES = ("codepipeline", "s3", "sagemaker", "sagemaker-runtime")
WORDS = ("documentation", "documentationUrl")  # for people; botocore's clients do not read them


def main() -> None:
    """Write every slice afresh; what is there and no slice any more is deleted."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for path, text in slices(called(CODE)).items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(text)


def called(code: Path) -> set[str]:
    """Every word of the functions that could be a method of a client, such as list_tags."""
    text = "\n".join(path.read_text() for path in code.rglob("*.py"))
    return set(re.findall(r"\b[a-z]+(?:_[a-z0-9]+)+\b", text))


def slices(methods: set[str]) -> dict[str, str]:
    """Return the JSON files by their paths: the operations with such methods, and the endpoints."""
    loader = Loader()
    files = {}
    for service in SERVICES:
        version = loader.determine_latest_version(service, "service-2")
        model = loader.load_service_model(service, "service-2", version)
        files[f"{service}/{version}/service-2.json"] = _written(sliced(model, methods))
    prefixes = {_endpoint_prefix(loader, service) for service in SERVICES}
    files["endpoints.json"] = _written(_endpoints(loader.load_data("endpoints"), prefixes))
    return files


def sliced(model: Mapping[str, Any], methods: set[str]) -> dict[str, Any]:
    """Return the model with these methods' operations, and the shapes that they reach."""
    operations = {n: o for n, o in model["operations"].items() if xform_name(n) in methods}
    reached: set[str] = set()
    for operation in operations.values():
        sides = [operation[side] for side in ("input", "output") if side in operation]
        _reach(model["shapes"], [*sides, *operation.get("errors", ())], reached)
    shapes = {name: model["shapes"][name] for name in sorted(reached)}
    kept = _without_words({"operations": operations, "shapes": shapes})
    return {**model, **kept}


def _reach(shapes: Mapping[str, Any], references: Iterable[Any], reached: set[str]) -> None:
    for name in {reference["shape"] for reference in references} - reached:
        reached.add(name)
        _reach(shapes, _references(shapes[name]), reached)


def _references(shape: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from shape.get("members", {}).values()
    yield from (shape[part] for part in ("member", "key", "value") if part in shape)


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_words(v) for k, v in value.items() if k not in WORDS}
    return [_without_words(v) for v in value] if isinstance(value, list) else value


def _endpoint_prefix(loader: Loader, service: str) -> str:
    prefix: str = loader.load_service_model(service, "service-2")["metadata"]["endpointPrefix"]
    return prefix


def _endpoints(endpoints: Mapping[str, Any], prefixes: set[str]) -> dict[str, Any]:
    """Return all partitions and regions, with these services."""
    partitions = [
        {**part, "services": {n: s for n, s in part["services"].items() if n in prefixes}}
        for part in endpoints["partitions"]
    ]
    return {**endpoints, "partitions": partitions}


def _written(content: Mapping[str, Any]) -> str:
    """JSON with a line for each operation, shape and partition, so that a change can be read."""
    lines = []
    for name, value in content.items():
        if isinstance(value, dict) and name in ("operations", "shapes"):
            inner = ",\n".join(f"{json.dumps(n)}:{_packed(v)}" for n, v in value.items())
            lines.append(f"{json.dumps(name)}:{{\n{inner}\n}}")
        elif isinstance(value, list):
            inner = ",\n".join(map(_packed, value))
            lines.append(f"{json.dumps(name)}:[\n{inner}\n]")
        else:
            lines.append(f"{json.dumps(name)}:{_packed(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _packed(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
