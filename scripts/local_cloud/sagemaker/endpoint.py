"""The life of an endpoint, apart from any process, clock or wire."""

from __future__ import annotations

from typing import Any

REASON_LIMIT = 1024
FOLLOWS = {
    "Creating": {"InService", "Failed", "Deleting"},
    "InService": {"Updating", "Deleting"},
    "Updating": {"InService", "RollingBack", "UpdateRollbackFailed", "Deleting"},
    "RollingBack": {"InService", "UpdateRollbackFailed", "Deleting"},
    "UpdateRollbackFailed": {"Deleting"},
    "Failed": {"Deleting"},
}
BUSY = {"Creating", "Updating", "RollingBack", "Deleting"}
SERVING = {"InService", "Updating", "RollingBack", "UpdateRollbackFailed"}


class IllegalTransition(RuntimeError):
    """A step that an endpoint cannot take; a fault of the emulator."""


class Endpoint:
    """One endpoint: the configuration that serves, the one that is being deployed, the status."""

    def __init__(
        self, name: str, arn: str, config: dict[str, Any], deployment: dict[str, Any], now: float
    ) -> None:
        self.name = name
        self.arn = arn
        self.config = config
        self.pending: dict[str, Any] | None = None
        self.pending_since = now
        self.deployment = deployment
        self.created = self.modified = now
        self.status = "Creating"
        self.failure_reason = ""
        self.phases: dict[str, str] = {}  # EndpointConfigName → VariantStatus of its fleet
        self._unseen = "Creating"

    @property
    def busy(self) -> bool:
        """Whether AWS refuses to update or delete it now."""
        return self.status in BUSY

    @property
    def config_name(self) -> str:
        """The name of the configuration that serves."""
        name: str = self.config["EndpointConfigName"]
        return name

    def created_in_service(self, now: float) -> None:
        """The first fleet is healthy."""
        self._enter("InService", now)

    def failed(self, reason: str, now: float) -> None:
        """The first fleet did not come up."""
        self.failure_reason = reason[:REASON_LIMIT]
        self._enter("Failed", now)

    def update(self, config: dict[str, Any], deployment: dict[str, Any], now: float) -> None:
        """Begin to deploy another configuration."""
        self._enter("Updating", now)
        self.pending, self.pending_since = config, now
        self.deployment = deployment
        self.failure_reason = ""
        self._unseen = "Updating"

    def updated(self, now: float) -> None:
        """The new fleet serves alone."""
        if self.pending is not None:
            self.config = self.pending
        self.pending = None
        self._enter("InService", now)  # last: whoever sees it must see what serves

    def roll_back(self, reason: str, now: float) -> None:
        """Give up the update; all traffic goes back to the old fleet."""
        self.failure_reason = reason[:REASON_LIMIT]
        self._enter("RollingBack", now)

    def rolled_back(self, now: float) -> None:
        """The old fleet serves alone; the reason of the rollback stays to be read."""
        self.pending = None
        self._enter("InService", now)

    def rollback_failed(self, reason: str, now: float) -> None:
        """Neither the update nor the way back worked."""
        self.failure_reason = reason[:REASON_LIMIT]
        self._enter("UpdateRollbackFailed", now)

    def delete(self, now: float) -> None:
        """Begin to take the endpoint down."""
        self._enter("Deleting", now)
        self._unseen = ""

    def describe(self) -> dict[str, Any]:
        """Return DescribeEndpoint's answer; the first after a change never shows its end.

        A caller that does not wait on AWS, where it takes minutes, must fail here too.
        """
        shown, self._unseen = self._unseen or self.status, ""
        view = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointStatus": shown,
            "EndpointConfigName": self.config_name,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
        }
        if self.deployment:
            view["LastDeploymentConfig"] = self.deployment
        if shown == "Creating":
            return view
        view["ProductionVariants"] = [
            self._variant(entry, self.config_name) for entry in self.config["ProductionVariants"]
        ]
        if self.pending is not None:
            view["PendingDeploymentSummary"] = self._pending(self.pending)
        if self.failure_reason and shown == self.status:
            view["FailureReason"] = self.failure_reason
        return view

    def summary(self) -> dict[str, Any]:
        """Return the endpoint's entry in ListEndpoints."""
        return {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "EndpointStatus": self.status,
        }

    def _enter(self, status: str, now: float) -> None:
        if status not in FOLLOWS.get(self.status, set()):
            raise IllegalTransition(f"{self.name}: {status} after {self.status}")
        self.status = status
        self.modified = now

    def _pending(self, config: dict[str, Any]) -> dict[str, Any]:
        name = config["EndpointConfigName"]
        variants = [self._variant(entry, name) for entry in config["ProductionVariants"]]
        for shown, entry in zip(variants, config["ProductionVariants"], strict=True):
            if "InstanceType" in entry:
                shown["InstanceType"] = entry["InstanceType"]
        return {
            "EndpointConfigName": name,
            "StartTime": self.pending_since,
            "ProductionVariants": variants,
        }

    def _variant(self, entry: dict[str, Any], config_name: str) -> dict[str, Any]:
        weight = entry.get("InitialVariantWeight", 1.0)
        shown = {
            "VariantName": entry["VariantName"],
            "CurrentWeight": weight,
            "DesiredWeight": weight,
        }
        if image := entry.get("Image"):
            shown["DeployedImages"] = [
                {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": self.created}
            ]
        if phase := self.phases.get(config_name):
            shown["VariantStatus"] = [{"Status": phase}]
        if serverless := entry.get("ServerlessConfig"):
            kind = {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}
            return shown | kind
        count = entry["InitialInstanceCount"]
        return shown | {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
