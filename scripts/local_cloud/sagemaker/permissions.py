"""The IAM checks of each operation: which action on which ARN, as AWS's service reference has it.

A create call that carries Tags also needs sagemaker:AddTags on the new resource's ARN, and one
that hands over a role needs iam:PassRole with iam:PassedToService.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local_cloud.sagemaker import arns
from local_cloud.sagemaker.arns import Place
from local_cloud.service import Need

SERVICE = "sagemaker.amazonaws.com"
BY_MEMBER = {
    "TrainingJobName": arns.TRAINING_JOB,
    "ModelName": arns.MODEL,
    "EndpointName": arns.ENDPOINT,
    "EndpointConfigName": arns.ENDPOINT_CONFIG,
    "ModelPackageName": arns.PACKAGE,
    "ModelPackageGroupName": arns.PACKAGE_GROUP,
    "NotebookInstanceName": arns.NOTEBOOK,
    "NotebookInstanceLifecycleConfigName": arns.LIFECYCLE_CONFIG,
}
BY_ARN = ("ResourceArn", "ModelPackageArn")
PASSED_ROLES = {
    "CreateTrainingJob": "RoleArn",
    "CreateModel": "ExecutionRoleArn",
    "CreateNotebookInstance": "RoleArn",
    "UpdateNotebookInstance": "RoleArn",
}


def needs(operation: str, request: dict[str, Any], place: Place) -> Iterator[Need]:
    """Yield every check that AWS makes before it runs the operation."""
    tags = tag_context(request)
    context = tags | approval_context(operation, request)
    resources = [*_resources(operation, request, place)] or ["*"]
    for resource in resources:
        yield Need(f"sagemaker:{operation}", resource, context)
    if operation.startswith("Create") and request.get("Tags"):
        yield Need("sagemaker:AddTags", resources[0], tags)
    role = request.get(PASSED_ROLES.get(operation, ""))
    if role:
        yield Need("iam:PassRole", role, {"iam:PassedToService": SERVICE})


def tag_context(request: dict[str, Any]) -> dict[str, Any]:
    """Return aws:RequestTag/… and aws:TagKeys for the tags that a request sets or removes."""
    tags = request.get("Tags", [])
    keys = [tag["Key"] for tag in tags] + list(request.get("TagKeys", []))
    if not keys:
        return {}
    return {
        "aws:TagKeys": keys,
        **{f"aws:RequestTag/{tag['Key']}": tag["Value"] for tag in tags},
    }


def approval_context(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return sagemaker:ModelApprovalStatus for a request that sets a model package's status."""
    if "ModelApprovalStatus" not in request or operation.startswith("List"):
        return {}
    return {"sagemaker:ModelApprovalStatus": request["ModelApprovalStatus"]}


def _resources(operation: str, request: dict[str, Any], place: Place) -> Iterator[str]:
    if operation.startswith("List") and operation != "ListTags":
        return
    if operation == "CreateModelPackage":
        group = arns.name_of(request.get("ModelPackageGroupName", ""))
        yield place.arn(arns.PACKAGE, f"{group}/*")
        yield place.arn(arns.PACKAGE_GROUP, group)
        return
    for member in BY_ARN:
        if member in request:
            yield request[member]
    for member, kind in BY_MEMBER.items():
        if member in request:
            yield place.arn(kind, arns.name_of(request[member]))
