"""Notebook instances and their lifecycle configurations: records whose status moves by the clock.

No notebook runs; what counts here is that templates deploy, change and go as they do on AWS.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from local_cloud.sagemaker.refusals import Refused

SCRIPT_LIMIT = 16_384
TRANSITION_S = 2.0
AFTER = {"Pending": "InService", "Stopping": "Stopped", "Updating": "Stopped"}
ECHOED = (
    "InstanceType",
    "RoleArn",
    "KmsKeyId",
    "VolumeSizeInGB",
    "DefaultCodeRepository",
    "AdditionalCodeRepositories",
)
DEFAULTS = {
    "DirectInternetAccess": "Enabled",
    "RootAccess": "Enabled",
    "VolumeSizeInGB": 5,
    "PlatformIdentifier": "notebook-al2-v3",
    "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "1"},
}


class WrongStatus(Refused):
    """A notebook instance is in a status in which AWS refuses the request."""


class BadScript(Refused):
    """A lifecycle script that AWS refuses; says why."""


class Notebook:
    """One notebook instance."""

    def __init__(
        self, request: dict[str, Any], arn: str, region: str, now: float, pace: float = 1.0
    ) -> None:
        self.name: str = request["NotebookInstanceName"]
        self.arn = arn
        self.url = f"{self.name.lower()}.notebook.{region}.sagemaker.aws"
        self.settings = {**DEFAULTS, **request}
        self.created = now
        self._transition_s = TRANSITION_S * pace
        self._status = "Pending"
        self._since = now

    def status(self, now: float) -> str:
        """Return the status at this time."""
        settled = now >= self._since + self._transition_s
        return AFTER.get(self._status, self._status) if settled else self._status

    def start(self, now: float) -> None:
        """Start a stopped instance."""
        self._require("start", now, "Stopped", "Failed")
        self._move("Pending", now)

    def stop(self, now: float) -> None:
        """Stop a running instance."""
        self._require("stop", now, "InService")
        self._move("Stopping", now)

    def update(self, changes: dict[str, Any], now: float) -> None:
        """Change a stopped instance."""
        self._require("update", now, "Stopped", "Failed")
        if changes.get("DisassociateLifecycleConfig"):
            self.settings.pop("LifecycleConfigName", None)
        self.settings |= {
            name: value
            for name, value in changes.items()
            if not name.startswith("Disassociate") and name != "NotebookInstanceName"
        }
        self._move("Updating", now)

    def check_deletable(self, now: float) -> None:
        """Raise WrongStatus unless the instance is stopped or failed."""
        self._require("delete", now, "Stopped", "Failed")

    def describe(self, now: float) -> dict[str, Any]:
        """Return DescribeNotebookInstance's answer."""
        view = {name: self.settings[name] for name in (*DEFAULTS, *ECHOED) if name in self.settings}
        return view | self.summary(now)

    def summary(self, now: float) -> dict[str, Any]:
        """Return the instance's entry in ListNotebookInstances."""
        view = {
            "NotebookInstanceName": self.name,
            "NotebookInstanceArn": self.arn,
            "NotebookInstanceStatus": self.status(now),
            "InstanceType": self.settings["InstanceType"],
            "Url": self.url,
            "CreationTime": self.created,
            "LastModifiedTime": self._since,
        }
        if lifecycle := self.settings.get("LifecycleConfigName"):
            view["NotebookInstanceLifecycleConfigName"] = lifecycle
        return view

    def _require(self, verb: str, now: float, *allowed: str) -> None:
        status = self.status(now)
        if status not in allowed:
            raise WrongStatus(
                f"Status ({status}) not in ({list(allowed)}). Unable to {verb} notebook instance "
                f"({self.arn})."
            )

    def _move(self, status: str, now: float) -> None:
        self._status, self._since = status, now


def check_scripts(request: dict[str, Any]) -> None:
    """Raise BadScript unless each script is base64 of at most 16,384 characters of text."""
    for hook in ("OnCreate", "OnStart"):
        for entry in request.get(hook, []):
            try:
                script = base64.b64decode(entry["Content"], validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise BadScript(f"{hook} is not a base64 encoded shell script") from None
            if len(script) > SCRIPT_LIMIT:
                raise BadScript(
                    f"{hook} has {len(script)} characters, at most {SCRIPT_LIMIT} are allowed"
                )
