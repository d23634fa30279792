"""The model registry's records: groups, and their numbered versions."""

from __future__ import annotations

from typing import Any

CHANGEABLE = (
    "ModelApprovalStatus",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)
PENDING = "PendingManualApproval"
NOT_SHOWN = {"Tags", "ClientToken", "SkipModelValidation"}


class Group:
    """A model package group; version numbers are never used twice."""

    def __init__(
        self, name: str, arn: str, description: str, creator: dict[str, Any], now: float
    ) -> None:
        self.name = name
        self.arn = arn
        self.description = description
        self.creator = creator
        self.created = now
        self.versions: dict[int, Package] = {}
        self._last = 0

    def next_version(self) -> int:
        """Return the number that the next version will have."""
        return self._last + 1

    def add(
        self, request: dict[str, Any], arn: str, creator: dict[str, Any], now: float
    ) -> Package:
        """Add the next version."""
        self._last += 1
        package = Package(self.name, self._last, request, arn, creator, now)
        self.versions[self._last] = package
        return package

    def describe(self) -> dict[str, Any]:
        """Return DescribeModelPackageGroup's answer."""
        return self.summary() | {"CreatedBy": self.creator}

    def summary(self) -> dict[str, Any]:
        """Return the group's entry in ListModelPackageGroups."""
        view = {
            "ModelPackageGroupName": self.name,
            "ModelPackageGroupArn": self.arn,
            "CreationTime": self.created,
            "ModelPackageGroupStatus": "Completed",
        }
        if self.description:
            view["ModelPackageGroupDescription"] = self.description
        return view


class Package:
    """One version of a model package group."""

    def __init__(
        self,
        group: str,
        version: int,
        request: dict[str, Any],
        arn: str,
        creator: dict[str, Any],
        now: float,
    ) -> None:
        self.group = group
        self.version = version
        self.arn = arn
        self.creator = creator
        self.created = now
        self.changed: dict[str, Any] = {}
        self.settings = {
            "ModelApprovalStatus": PENDING,
            **{name: value for name, value in request.items() if name not in NOT_SHOWN},
            "ModelPackageGroupName": group,
        }

    def update(self, changes: dict[str, Any], changer: dict[str, Any], now: float) -> None:
        """Apply UpdateModelPackage."""
        properties = dict(self.settings.get("CustomerMetadataProperties", {}))
        properties |= changes.get("CustomerMetadataProperties", {})
        for name in changes.get("CustomerMetadataPropertiesToRemove", []):
            properties.pop(name, None)
        self.settings |= {name: changes[name] for name in CHANGEABLE if name in changes}
        if properties:
            self.settings["CustomerMetadataProperties"] = properties
        else:
            self.settings.pop("CustomerMetadataProperties", None)
        self.changed = {"LastModifiedTime": now, "LastModifiedBy": changer}

    def describe(self) -> dict[str, Any]:
        """Return DescribeModelPackage's answer."""
        return {
            **self.settings,
            **self.changed,
            "ModelPackageName": self.group,
            "ModelPackageVersion": self.version,
            "ModelPackageArn": self.arn,
            "CreationTime": self.created,
            "CreatedBy": self.creator,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CertifyForMarketplace": False,
        }

    def summary(self) -> dict[str, Any]:
        """Return the version's entry in ListModelPackages."""
        view = {
            "ModelPackageGroupName": self.group,
            "ModelPackageVersion": self.version,
            "ModelPackageArn": self.arn,
            "CreationTime": self.created,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": self.settings["ModelApprovalStatus"],
        }
        if description := self.settings.get("ModelPackageDescription"):
            view["ModelPackageDescription"] = description
        return view
