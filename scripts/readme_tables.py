#!/usr/bin/env python3
"""Writes the documents' tables, between their markers: names, parameters, hyperparameters.

A name or a default has its home in a template or in the program; `tests/contract/test_readme.py`
compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cfn_template import Resolver, load

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "model-code"))

from ethnicity_prediction.config import Hyperparameters  # noqa: E402

STACK_NAMES = {"01-prep.yml": "PREP_STACK", "02-build-pipeline.yml": "PIPELINE_STACK"}
YOURS = {
    "UniqueID": "<id>",
    "AWS::Region": "<region>",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackId": "arn:aws:cloudformation:r:a:stack/name/<hash>-",
    "PredictApi": "<api>",
}
NAMES = (  # what; template; resource (or output) and the property that names it
    ("CodeCommit repository", "01-prep.yml", "Repository", "RepositoryName"),
    ("bucket of the Lambda zips", "01-prep.yml", "LambdaCodeBucket", "BucketName"),
    ("notebook instance", "01-prep.yml", "NotebookInstance", "NotebookInstanceName"),
    ("data bucket", "02-build-pipeline.yml", "DataBucket", "BucketName"),
    ("model bucket", "02-build-pipeline.yml", "ModelArtifactsBucket", "BucketName"),
    ("pipeline's bucket", "02-build-pipeline.yml", "CodePipelineArtifactsBucket", "BucketName"),
    ("ECR repository", "02-build-pipeline.yml", "ImageRepository", "RepositoryName"),
    ("CodeBuild project", "02-build-pipeline.yml", "BuildProject", "Name"),
    ("pipeline", "02-build-pipeline.yml", "Pipeline", "Name"),
    ("dev endpoint", "02-build-pipeline.yml", "DevEndpointName", "Value"),
    ("prod endpoint", "02-build-pipeline.yml", "ProdEndpointName", "Value"),
    ("group in the model registry", "02-build-pipeline.yml", "ModelPackageGroupName", "Value"),
    ("API, dev", "02-build-pipeline.yml", "DevPredictUrl", "Value"),
    ("API, prod", "02-build-pipeline.yml", "ProdPredictUrl", "Value"),
)
Templates = Mapping[str, Mapping[str, Any]]


def templates() -> dict[str, dict[str, Any]]:
    """Return both templates by file name."""
    return {name: load(ROOT / name) for name in STACK_NAMES}


def names(loaded: Templates) -> Iterator[tuple[str, str]]:
    """Yield (what, its name) for all that people meet by name."""
    makefile = (ROOT / "Makefile").read_text()
    for file, variable in STACK_NAMES.items():
        match = re.search(rf"^{variable} \?= (\S+)$", makefile, re.MULTILINE)
        if match is None:
            raise ValueError(f"the Makefile does not set {variable}")
        yield f"stack of `{file}`", match[1]
    for what, file, thing, key in NAMES:
        template = loaded[file]
        owner = template["Resources"].get(thing, {}).get("Properties") or template["Outputs"][thing]
        yield what, str(Resolver(template, YOURS)(owner[key]))
    for folder in sorted((ROOT / "lambda-code").glob("Ethnicity-Pred-*")):
        yield "Lambda zip", f"{folder.name}.py.zip"


def name_table(loaded: Templates) -> str:
    """Return the table of names."""
    return _table(("thing", "name"), ((what, f"`{name}`") for what, name in names(loaded)))


def parameter_table(template: Mapping[str, Any]) -> str:
    """Return a template's parameters in the console's order; the default, and what it decides."""
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    ordered = [name for group in groups for name in group["Parameters"]]
    declared = template["Parameters"]
    rows = ((f"`{n}`", _default(declared[n]), _sentence(declared[n])) for n in ordered)
    return _table(("parameter", "default", "what it decides"), rows)


def hyperparameter_table() -> str:
    """Return the container's hyperparameters in their order: kind, range, default, meaning."""
    rows = []
    for spec in fields(Hyperparameters):
        kind = "whole number" if isinstance(spec.default, int) else "number"
        form = "," if isinstance(spec.default, int) else "g"
        limits = f"{spec.metadata['low']:{form}} to {spec.metadata['high']:{form}}"
        if (step := spec.metadata["step"]) > 1:
            limits += f" in steps of {step}"
        rows.append((f"`{spec.name}`", kind, limits, f"{spec.default:g}", spec.metadata["doc"]))
    return _table(("name", "type", "range", "default", "meaning"), rows)


def tables() -> dict[Path, dict[str, str]]:
    """Return every table by its document and its marker."""
    loaded = templates()
    parameters = {f"parameters of {file}": parameter_table(t) for file, t in loaded.items()}
    return {
        ROOT / "README.md": {"names": name_table(loaded), **parameters},
        ROOT / "model-code/README.md": {"hyperparameters": hyperparameter_table()},
    }


def fill(document: str, made: Mapping[str, str]) -> str:
    """Return the document with every table between its markers made afresh."""
    for name, table in made.items():
        begin, end = f"<!-- begin: {name} -->\n", f"<!-- end: {name} -->"
        if document.count(begin) != 1 or document.count(end) != 1:
            raise ValueError(f"the document must hold {begin!r} and {end!r} once each")
        before, _, rest = document.partition(begin)
        after = rest.partition(end)[2]
        document = f"{before}{begin}{table}{end}{after}"
    return document


def _default(parameter: Mapping[str, Any]) -> str:
    if "Default" not in parameter:
        return "must be given"
    return f"`{parameter['Default']}`" if parameter["Default"] != "" else "empty"


def _sentence(parameter: Mapping[str, Any]) -> str:
    """Return the first sentence of the description; the console shows the rest."""
    text = " ".join(parameter["Description"].split())
    first = re.split(r"(?<=[\w)])\. (?=[A-Z\"])", text, maxsplit=1)[0].rstrip(".")
    return re.sub(r"(\S*[<{|][^ ]*( \S*})?)", r"`\1`", first)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Rewrite the documents in place."""
    for path, made in tables().items():
        path.write_text(fill(path.read_text(), made))


if __name__ == "__main__":
    main()
