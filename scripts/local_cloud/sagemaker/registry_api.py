"""The operations on the model registry."""

from __future__ import annotations

import time
from typing import Any

from local_cloud.errors import ApiError
from local_cloud.sagemaker import arns, listing
from local_cloud.sagemaker.base import SageMakerBase, creator, place_of
from local_cloud.sagemaker.model_card import check_card
from local_cloud.sagemaker.packages import Group, Package
from local_cloud.sagemaker.refusals import NotEmulated, Refused
from local_cloud.service import Call


class RegistryApi(SageMakerBase):
    """Model package groups by their name."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, Group] = {}
        self._tokens: dict[str, str] = {}  # ClientToken → ARN of what it made

    def create_model_package_group(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["ModelPackageGroupName"]
        arn = place_of(call).arn(arns.PACKAGE_GROUP, name)
        description = request.get("ModelPackageGroupDescription", "")
        with self.lock:
            if name in self.groups:
                raise Refused(f"Model Package Group already exists: {arn}")
            self.groups[name] = Group(name, arn, description, creator(call), time.time())
        self.tag(arn, request)
        return {"ModelPackageGroupArn": arn}

    def describe_model_package_group(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return self._group(request["ModelPackageGroupName"], call).describe()

    def delete_model_package_group(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        group = self._group(request["ModelPackageGroupName"], call)
        with self.lock:
            if group.versions:
                raise ApiError(
                    "ConflictException",
                    f"Model Package Group {group.arn} cannot be deleted: it still contains "
                    f"{len(group.versions)} model packages",
                )
            del self.groups[group.name]
        self.untag(group.arn)
        return {}

    def list_model_package_groups(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        return listing.page(
            request,
            [group.summary() for group in list(self.groups.values())],
            answer="ModelPackageGroupSummaryList",
            name="ModelPackageGroupName",
        )

    def create_model_package(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        if "ModelPackageGroupName" not in request:
            raise NotEmulated("unversioned model packages; give a ModelPackageGroupName")
        if request.get("Tags"):
            raise Refused("Tags cannot be given to a version: it has those of its group")
        check_card(request)
        group = self._group(request["ModelPackageGroupName"], call)
        token = request.get("ClientToken", "")
        with self.lock:
            if token and token in self._tokens:
                return {"ModelPackageArn": self._tokens[token]}
            arn = place_of(call).arn(arns.PACKAGE, f"{group.name}/{group.next_version()}")
            group.add(request, arn, creator(call), time.time())
            if token:
                self._tokens[token] = arn
        self.tag(arn, request)
        return {"ModelPackageArn": arn}

    def describe_model_package(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return self._package(request["ModelPackageName"], call)[1].describe()

    def update_model_package(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        check_card(request)
        _, package = self._package(request["ModelPackageArn"], call)
        package.update(request, creator(call), time.time())
        return {"ModelPackageArn": package.arn}

    def delete_model_package(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        group, package = self._package(request["ModelPackageName"], call)
        del group.versions[package.version]
        self.untag(package.arn)
        return {}

    def list_model_packages(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        groups = list(self.groups.values())
        if "ModelPackageGroupName" in request:
            groups = [self._group(request["ModelPackageGroupName"], call)]
        status = request.get("ModelApprovalStatus")
        kind = request.get("ModelPackageType", "Versioned")
        entries = [
            package.summary()
            for group in groups
            for package in group.versions.values()
            if status in (None, package.settings["ModelApprovalStatus"]) and kind != "Unversioned"
        ]
        return listing.page(
            request, entries, answer="ModelPackageSummaryList", name="ModelPackageGroupName"
        )

    def _group(self, name_or_arn: str, call: Call) -> Group:
        name = arns.name_of(name_or_arn)
        for group in self.groups.values():
            if name in (group.name, arns.name_of(group.arn)):
                return group
        arn = place_of(call).arn(arns.PACKAGE_GROUP, name)
        raise Refused(f"ModelPackageGroup {arn} does not exist.")

    def _package(self, name_or_arn: str, call: Call) -> tuple[Group, Package]:
        name = arns.name_of(name_or_arn)
        group_name, _, version = name.rpartition("/")
        missing = f"ModelPackage {place_of(call).arn(arns.PACKAGE, name)} does not exist."
        if not group_name or not version.isdigit():
            raise Refused(missing)
        group = self._group(group_name, call)
        if int(version) not in group.versions:
            raise Refused(missing)
        return group, group.versions[int(version)]
