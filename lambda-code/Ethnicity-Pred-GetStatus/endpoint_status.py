"""What an endpoint's status means to the pipeline."""

from collections.abc import Mapping
from typing import Any

from common.endings import Done
from common.failures import ActionFailed

# Every status that SageMaker's model lists stands in one of these; another one fails loudly.
WAITING = {"Creating", "Updating", "SystemUpdating", "RollingBack"}
DONE = {"InService"}
FAILED = {"OutOfService", "Deleting", "Failed", "UpdateRollbackFailed"}


def endpoint_verdict(endpoint: Mapping[str, Any], started: Mapping[str, Any]) -> Done | str:
    """Return the success, or in words what there is to wait for; raise if it cannot come.

    After a rollback the endpoint is InService as well, but on the config it had before.
    """
    name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
    why = endpoint.get("FailureReason") or "SageMaker gives no reason"
    if status in WAITING:
        return f"endpoint {name} is {status}"
    if status in FAILED:
        raise ActionFailed(f"endpoint {name} is {status}: {why}")
    if status not in DONE:
        raise ActionFailed(f"endpoint {name} has a status that nobody here knows: {status!r}")
    serving, ours = endpoint["EndpointConfigName"], started["endpoint_config_name"]
    if serving != ours:
        raise ActionFailed(
            f"endpoint {name} is InService on {serving}, not on {ours} that was deployed: the "
            f"update was rolled back or replaced by another: {why}"
        )
    artifact = {**started, "kind": "deployed-endpoint", "status": status}
    variables = {"EndpointName": name, "EndpointConfigName": ours}
    return Done(artifact, f"endpoint {name} is InService on {ours}", variables, name)
