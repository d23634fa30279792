"""Finds the two stacks of this notebook, and holds what they gave out."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

from lab.errors import LabError

PREP_STACK = "MLOps-Ethnicity-Prediction"
PIPELINE_STACK = "MLOps-BYO-BuildPipeline"
METADATA = Path(
    "/opt/ml/metadata/resource-metadata.json"
)  # SageMaker's own file about the instance
# A ROLLBACK_COMPLETE is a stack whose creation failed: it has no outputs, and can only be deleted.
READY = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"}
_NOTEBOOK = re.compile(r"Ethnicity-Prediction-Notebook-([a-z][a-z0-9]{2})")
_ROLE = re.compile(r":assumed-role/(.+)-NotebookRole-[A-Za-z0-9]+/")


@dataclass(frozen=True)
class Workshop:
    """The outputs of both stacks, stack 2's parameters, and the session that found them."""

    session: Any
    unique_id: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service, made once."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service)
        return self._clients[service]

    @property
    def pipeline(self) -> str:
        """Return the pipeline's name."""
        return self.outputs["PipelineName"]

    @property
    def is_signed(self) -> bool:
        """Say whether the API wants signed requests."""
        return self.parameters.get("ApiAuthorization") != "NONE"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(key)}</td><td>{html.escape(value)}</td></tr>"
            for key, value in self.outputs.items()
        )
        return f"<b>UniqueID {html.escape(self.unique_id)}</b><table>{rows}</table>"


def find(
    session: Any = None,
    prep_stack: str = "",
    pipeline_stack: str = "",
    metadata: Path = METADATA,
) -> Workshop:
    """Return the workshop that this notebook belongs to; the stacks' names are found out.

    On the instance its own name tells the UniqueID and its role the name of stack 1. Two people in
    one account cannot both use the default names: then a name may end in the UniqueID, or be given.
    """
    unique_id, region = _own_name(metadata)
    session = session or boto3.session.Session(region_name=boto3.Session().region_name or region)
    cloudformation = session.client("cloudformation")
    own = _ROLE.search(session.client("sts").get_caller_identity()["Arn"])
    prep_names = (
        [prep_stack] if prep_stack else [own[1] if own else "", *_names(PREP_STACK, unique_id)]
    )
    pipeline_names = [pipeline_stack] if pipeline_stack else _names(PIPELINE_STACK, unique_id)
    prep = _stack(cloudformation, prep_names, unique_id)
    unique_id = _values(prep, "Parameter")["UniqueID"]
    pipeline = _stack(cloudformation, pipeline_names, unique_id)
    outputs = _values(prep, "Output") | _values(pipeline, "Output")
    return Workshop(session, unique_id, outputs, _values(pipeline, "Parameter"))


def _own_name(metadata: Path) -> tuple[str, str | None]:
    """Return UniqueID and region of this notebook instance, '' and None elsewhere."""
    if not metadata.is_file():
        return "", None
    content = json.loads(metadata.read_text())
    found = _NOTEBOOK.fullmatch(content.get("ResourceName", ""))
    return found[1] if found else "", content.get("ResourceArn", ":::").split(":")[3] or None


def _names(default: str, unique_id: str) -> list[str]:
    return [default, f"{default}-{unique_id}"] if unique_id else [default]


def _stack(cloudformation: Any, names: Iterable[str], unique_id: str) -> dict[str, Any]:
    """Return the first of the stacks that exists and is this UniqueID's; LabError if none is."""
    seen = []
    for name in filter(None, names):
        try:
            stack: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            seen.append(f"{name}: {error.response['Error']['Message']}")
            continue
        other = _values(stack, "Parameter").get("UniqueID")
        if unique_id and other != unique_id:
            seen.append(f"{name} is of UniqueID {other}, not {unique_id}")
        elif stack["StackStatus"] not in READY:
            seen.append(f"{name} is {stack['StackStatus']}")
        else:
            return stack
    raise LabError(
        f"no stack of this workshop was found ({'; '.join(seen)}). Create it first, or give its "
        "name: find(prep_stack=…, pipeline_stack=…)"
    )


def _values(stack: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Return the stack's 'Parameter's or 'Output's by their keys."""
    return {item[f"{kind}Key"]: item[f"{kind}Value"] for item in stack.get(f"{kind}s", [])}
