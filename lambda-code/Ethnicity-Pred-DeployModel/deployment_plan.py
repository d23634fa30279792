"""What to do with an endpoint, given what is there now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from common.failures import ActionFailed, WrongConfiguration

BUSY = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
BROKEN = {"Failed", "UpdateRollbackFailed"}
SERVING = {"InService", "OutOfService"}


@dataclass(frozen=True)
class Step:
    """What to do next, and why in words for the pipeline's console."""

    name: Literal["create", "update", "delete", "wait", "done"]
    why: str


def hosting_of(config: Mapping[str, Any]) -> str:
    """Tell whether an endpoint config is for instances or serverless."""
    return "serverless" if "ServerlessConfig" in config["ProductionVariants"][0] else "instance"


def plan(
    endpoint: Mapping[str, Any] | None,
    current_hosting: str | None,
    *,
    config_name: str,
    environment: str,
    hosting: str,
) -> Step:
    """Choose the next step towards an endpoint that serves config_name with this hosting.

    current_hosting is that of the config which the endpoint has now; None if there is none.
    """
    if endpoint is None:
        return Step("create", "there is no endpoint yet")
    name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
    pending = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
    if status != "Deleting" and config_name in (endpoint["EndpointConfigName"], pending):
        return Step("done", f"endpoint {name} has {config_name} already ({status})")
    if status in BUSY:
        return Step("wait", f"endpoint {name} is {status}")
    if status == "UpdateRollbackFailed" and environment == "prod":
        raise ActionFailed(
            f"endpoint {name} is UpdateRollbackFailed and may still answer; look at it, then "
            "delete it by hand if nobody needs it, and retry the stage"
        )
    if status in BROKEN:
        return Step("delete", f"endpoint {name} is {status} and cannot be updated")
    if status not in SERVING:
        raise ActionFailed(f"endpoint {name} has a status that nobody here knows: {status!r}")
    if current_hosting is None or current_hosting == hosting:
        return Step("update", f"endpoint {name} is {status}")
    if environment == "prod":
        raise WrongConfiguration(
            f"endpoint {name} runs as {current_hosting} and cannot become {hosting}; prod is never "
            "deleted for that. Deploy under the old hosting, or delete the endpoint by hand first"
        )
    return Step("delete", f"endpoint {name} runs as {current_hosting}, shall run as {hosting}")
