"""From the pipeline's parameters to SageMaker's requests for a model, a config, a deployment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from common.failures import WrongConfiguration
from common.fields import one_of, whole
from common.instances import takes_volume_key
from common.names import VARIANT, tags

PREVIOUS = "previous-endpoint-config"  # tag: the config that this one replaces


@dataclass(frozen=True)
class Settings:
    """The function's environment."""

    unique_id: str
    endpoint_role_arn: str
    kms_key_arn: str


@dataclass(frozen=True)
class DeploymentParams:
    """UserParameters of actions DeployToDevEnv and DeployToProdEnv."""

    execution_id: str
    environment: str = one_of("dev", "prod")
    hosting: str = one_of("instance", "serverless", default="instance")
    instance_type: str = "ml.m5.large"
    instance_count: int = whole(1, 100, default=1)
    memory_mb: int = one_of(1024, 2048, 3072, 4096, 5120, 6144, default=2048)
    max_concurrency: int = whole(1, 200, default=5)
    startup_timeout_s: int = whole(60, 3_600, default=300)
    deadline_minutes: int = whole(1, 1_380, default=60)
    alarms: list[str] = field(default_factory=list)
    canary_percent: int = whole(1, 50, default=10)
    canary_wait_s: int = whole(0, 3_600, default=300)
    bake_s: int = whole(0, 3_600, default=300)


def check(params: DeploymentParams) -> None:
    """Refuse combinations that SageMaker would refuse, or that would leave prod unguarded."""
    faults = []
    if params.environment == "prod" and params.hosting == "serverless":
        faults.append("'hosting' serverless is for dev only: no canary and no isolation there")
    if params.environment == "prod" and not params.alarms:
        faults.append("'alarms' must name the CloudWatch alarms that roll a prod deployment back")
    if len(params.alarms) > 10:
        faults.append(f"'alarms' has {len(params.alarms)} names; SageMaker takes 10")
    if params.alarms and _watch_s(params) >= params.deadline_minutes * 60:
        faults.append(
            f"the alarms watch for {_watch_s(params)} seconds ('canary_wait_s' + 'bake_s', the "
            "stack's CanaryWaitSeconds and BakeSeconds), but the pipeline waits only "
            f"{params.deadline_minutes} minutes ('deadline_minutes', its EndpointDeadlineMinutes)"
        )
    if faults:
        raise WrongConfiguration(f"UserParameters: {'; '.join(faults)}")


def model_request(
    name: str, trained: Mapping[str, Any], params: DeploymentParams, settings: Settings
) -> dict[str, Any]:
    """Return the CreateModel request for what the training action handed over."""
    return {
        "ModelName": name,
        "PrimaryContainer": {
            "Image": trained["serve_image"],
            "ModelDataUrl": trained["model_data_url"],
        },
        "ExecutionRoleArn": settings.endpoint_role_arn,
        "EnableNetworkIsolation": params.hosting == "instance",  # serverless refuses it
        "Tags": tags(settings.unique_id, params.execution_id, trained["commit"]),
    }


def config_request(
    name: str,
    trained: Mapping[str, Any],
    params: DeploymentParams,
    settings: Settings,
    previous: str | None,
) -> dict[str, Any]:
    """Return the CreateEndpointConfig request; model and config share one name."""
    request: dict[str, Any] = {
        "EndpointConfigName": name,
        "ProductionVariants": [_variant(name, params)],
        "Tags": tags(settings.unique_id, params.execution_id, trained["commit"]),
    }
    if previous:
        request["Tags"].append({"Key": PREVIOUS, "Value": previous})
    if params.hosting == "instance" and takes_volume_key(params.instance_type):
        request["KmsKeyId"] = settings.kms_key_arn
    return request


def deployment_config(params: DeploymentParams) -> dict[str, Any] | None:
    """Return UpdateEndpoint's DeploymentConfig: guarded by alarms, or None for SageMaker's own.

    A canary takes a share of the fleet of at most one half, so it needs two instances. One
    instance is replaced all at once, and the old one is kept for the baking time.
    """
    if not params.alarms:
        return None
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
    if _has_canary(params):
        instances = max(1, params.instance_count * params.canary_percent // 100)
        routing = {
            "Type": "CANARY",
            "WaitIntervalInSeconds": params.canary_wait_s,
            "CanarySize": {"Type": "INSTANCE_COUNT", "Value": instances},
        }
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": params.bake_s,
            # provisioning takes its time
            "MaximumExecutionTimeoutInSeconds": _watch_s(params) + 3_600,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": a} for a in params.alarms]},
    }


def _has_canary(params: DeploymentParams) -> bool:
    return params.instance_count >= 2


def _watch_s(params: DeploymentParams) -> int:
    """Return how long a guarded deployment takes, beside the provisioning."""
    return params.bake_s + (params.canary_wait_s if _has_canary(params) else 0)


def _variant(model_name: str, params: DeploymentParams) -> dict[str, Any]:
    variant: dict[str, Any] = {"VariantName": VARIANT, "ModelName": model_name}
    if params.hosting == "serverless":
        sizes = {"MemorySizeInMB": params.memory_mb, "MaxConcurrency": params.max_concurrency}
        return variant | {"ServerlessConfig": sizes}
    return variant | {
        "InstanceType": params.instance_type,
        "InitialInstanceCount": params.instance_count,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": params.startup_timeout_s,
    }
