"""CloudFormation's view of notebooks, their lifecycle configurations and model package groups.

CloudFormation calls SageMaker's own operations, with the caller's rights; Ref is the ARN.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore import xform_name

from local_cloud import identity, seams
from local_cloud.background import time_scale
from local_cloud.cfn import stack_call, to_request
from local_cloud.sagemaker.base import SageMakerBase
from local_cloud.sagemaker.honoured import refuse_the_rest
from local_cloud.sagemaker.notebook import TRANSITION_S
from local_cloud.strict import caller

Attributes = Callable[[dict[str, Any]], dict[str, Any]]
POLL_S = 0.1
PATIENCE = 10  # transitions of a notebook instance


class NotStabilized(RuntimeError):
    """A resource did not come to the status that its stack waits for."""


class MustReplace(ValueError):
    """An update needs a new resource under the old name, which CloudFormation refuses."""


@dataclass(frozen=True)
class ResourceType:
    """How one CloudFormation type maps to SageMaker's operations."""

    noun: str  # CreateX, DescribeX …
    name: str  # the property that names it
    arn: str  # its ARN in answers
    attributes: Attributes
    replacing: frozenset[str]  # properties whose change needs a new resource
    updatable: bool = True
    runs: bool = False  # started and stopped, as an instance is


NOTEBOOK = ResourceType(
    "NotebookInstance",
    "NotebookInstanceName",
    "NotebookInstanceArn",
    lambda shown: {"NotebookInstanceName": shown["NotebookInstanceName"]},
    frozenset(
        {"KmsKeyId", "PlatformIdentifier", "DirectInternetAccess", "SubnetId", "SecurityGroupIds"}
    ),
    runs=True,
)
LIFECYCLE_CONFIG = ResourceType(
    "NotebookInstanceLifecycleConfig",
    "NotebookInstanceLifecycleConfigName",
    "NotebookInstanceLifecycleConfigArn",
    lambda shown: {
        "NotebookInstanceLifecycleConfigName": shown["NotebookInstanceLifecycleConfigName"]
    },
    frozenset(),
)
PACKAGE_GROUP = ResourceType(
    "ModelPackageGroup",
    "ModelPackageGroupName",
    "ModelPackageGroupArn",
    lambda shown: {
        "ModelPackageGroupArn": shown["ModelPackageGroupArn"],
        "ModelPackageGroupStatus": shown["ModelPackageGroupStatus"],
        "CreationTime": str(shown["CreationTime"]),
    },
    frozenset({"ModelPackageGroupDescription"}),
    updatable=False,
)


def install(service: SageMakerBase) -> None:
    """Teach CloudFormation the three types."""
    for kind in (NOTEBOOK, LIFECYCLE_CONFIG, PACKAGE_GROUP):
        handlers = Handlers(service, kind)
        name = f"AWS::SageMaker::{kind.noun}"
        seams.register_resource(name, handlers.create, handlers.update, handlers.delete)
        seams.provision_in_thread(name)


class Handlers:
    """Creates, updates and deletes the resources of one type."""

    def __init__(self, service: SageMakerBase, kind: ResourceType) -> None:
        self.service = service
        self.kind = kind
        self._names: dict[str, str] = {}  # by ARN, which has lost the name's capitals

    def create(
        self, logical_id: str, properties: dict[str, Any], stack_name: str
    ) -> tuple[str, dict]:
        """Create the resource, named by CloudFormation if the template does not."""
        kind = self.kind
        name = properties.get(kind.name) or seams.physical_name(stack_name, logical_id)[:63]
        created = self._call("Create", {**properties, kind.name: name})
        self._names[created[kind.arn]] = name
        if kind.runs:
            self._settle(name, "InService")
        return created[kind.arn], self._attributes(name)

    def update(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack_name: str
    ) -> tuple[str, dict]:
        """Change the resource in place, or make a new one where SageMaker cannot change it."""
        kind = self.kind
        if old.get(kind.name) != new.get(kind.name):
            return self.create("", new, stack_name)
        changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        if changed & kind.replacing:
            raise MustReplace(
                "CloudFormation cannot update a stack when a custom-named resource requires "
                f"replacing. Rename {physical_id} and update the stack again."
            )
        name = self._names[physical_id]
        if "Tags" in changed:
            self._tag(physical_id, old.get("Tags", []), new.get("Tags", []))
        if kind.updatable and changed - {"Tags"}:
            self._change(name, {key: new[key] for key in changed - {"Tags"} if key in new}, new)
        return physical_id, self._attributes(name)

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Delete the resource; a running instance is stopped first. One that is gone is gone."""
        if physical_id not in self.service.tags:
            return
        name = self._names[physical_id]
        shown = self._call("Describe", {self.kind.name: name})
        if self.kind.runs:
            self._stop(name, shown)
        self._call("Delete", {self.kind.name: name})

    def _change(self, name: str, changes: dict[str, Any], new: dict[str, Any]) -> None:
        if not self.kind.runs:
            self._call("Update", {**new, self.kind.name: name})
            return
        shown = self._call("Describe", {self.kind.name: name})
        ran = shown["NotebookInstanceStatus"] in ("InService", "Pending")
        self._stop(name, shown)
        dropped = {} if "LifecycleConfigName" in new else {"DisassociateLifecycleConfig": True}
        self._call("Update", {**dropped, **changes, self.kind.name: name})
        self._settle(name, "Stopped")
        if ran:
            self._call("Start", {self.kind.name: name})
            self._settle(name, "InService")

    def _stop(self, name: str, shown: dict[str, Any]) -> None:
        if shown["NotebookInstanceStatus"] == "Pending":
            shown = self._settle(name, "InService")
        if shown["NotebookInstanceStatus"] == "InService":
            self._call("Stop", {self.kind.name: name})
        self._settle(name, "Stopped", "Failed")

    def _settle(self, name: str, *statuses: str) -> dict[str, Any]:
        """Wait for one of these statuses, each of which is one transition away."""
        limit_s = PATIENCE * max(1.0, TRANSITION_S * time_scale())
        deadline = time.monotonic() + limit_s
        while True:
            shown = self._call("Describe", {self.kind.name: name})
            status = shown["NotebookInstanceStatus"]
            if status in statuses:
                return shown
            if time.monotonic() > deadline:
                raise NotStabilized(
                    f"{name} is still {status} after {limit_s:g} s, not {' or '.join(statuses)}"
                )
            time.sleep(POLL_S)

    def _tag(self, arn: str, old: list[dict], new: list[dict]) -> None:
        gone = [tag["Key"] for tag in old if tag["Key"] not in {entry["Key"] for entry in new}]
        if gone:
            self._run("DeleteTags", {"ResourceArn": arn, "TagKeys": gone})
        if new:
            self._run("AddTags", {"ResourceArn": arn, "Tags": new})

    def _attributes(self, name: str) -> dict[str, Any]:
        return self.kind.attributes(self._call("Describe", {self.kind.name: name}))

    def _call(self, verb: str, properties: dict[str, Any]) -> dict[str, Any]:
        return self._run(f"{verb}{self.kind.noun}", with_aws_clone_url(properties))

    def _run(self, operation: str, properties: dict[str, Any]) -> dict[str, Any]:
        """Run an operation as CloudFormation does: typed, checked, with the caller's rights."""
        call = stack_call()
        model = self.service.model.operation_model(operation)
        request = to_request(properties, model, f"AWS::SageMaker::{self.kind.noun}")
        refuse_the_rest(operation, request)
        for need in self.service.needs(operation, request, call):
            caller.require(need.action, need.resource, **need.context)
        answer: dict[str, Any] = getattr(self.service, xform_name(operation))(request, call) or {}
        return answer


def with_aws_clone_url(properties: dict[str, Any]) -> dict[str, Any]:
    """Name a local repository as AWS does: SageMaker takes https clone URLs only."""
    _, region = seams.account_and_region()
    local, aws = identity.endpoint_url(), f"https://git-codecommit.{region}.amazonaws.com"
    return {
        name: value.replace(local, aws) if name == "DefaultCodeRepository" else value
        for name, value in properties.items()
    }
