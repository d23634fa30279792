"""What AWS accepts as an endpoint configuration, and which one may follow another."""

from __future__ import annotations

from typing import Any

from local_cloud.sagemaker.refusals import Refused

SERVERLESS_MEMORY_MB = (1024, 2048, 3072, 4096, 5120, 6144)
INSTANCE_ONLY = (
    "InstanceType",
    "InitialInstanceCount",
    "ContainerStartupHealthCheckTimeoutInSeconds",
    "ModelDataDownloadTimeoutInSeconds",
)
DEFAULT_HEALTH_TIMEOUT_S = 600


class BadConfig(Refused):
    """An endpoint configuration that AWS refuses; says why."""


def check_config(request: dict[str, Any], models: dict[str, dict[str, Any]]) -> None:
    """Raise BadConfig unless AWS would create this configuration; models by their name."""
    variants = request["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise BadConfig(f"Production variant names must be unique, got {', '.join(names)}")
    if len(variants) > 1 and any(is_serverless(variant) for variant in variants):
        raise BadConfig("A serverless endpoint configuration can only have one production variant")
    for variant in variants:
        if is_serverless(variant):
            _check_serverless(variant, models[variant["ModelName"]])
        else:
            _check_instances(variant)
    if not any(variant.get("InitialVariantWeight", 1.0) for variant in variants):
        raise BadConfig("At least one production variant must have a weight above 0")


def check_succession(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raise BadConfig unless an endpoint on the old configuration may be updated to the new."""
    if kind(old) != kind(new):
        raise BadConfig(
            f"Cannot convert the endpoint from {kind(old)} to {kind(new)}: delete the endpoint "
            "and create it again"
        )
    if variant_names(old) != variant_names(new):
        raise BadConfig(
            "The new endpoint configuration must have the same production variants: "
            f"{', '.join(sorted(variant_names(old)))} serve, "
            f"{', '.join(sorted(variant_names(new)))} were given"
        )


def is_serverless(variant: dict[str, Any]) -> bool:
    """Say whether a variant is serverless."""
    return "ServerlessConfig" in variant


def kind(config: dict[str, Any]) -> str:
    """Name the kind of a configuration."""
    serverless = any(is_serverless(variant) for variant in config["ProductionVariants"])
    return "serverless" if serverless else "instance-based"


def variant_names(config: dict[str, Any]) -> set[str]:
    """Return the names of a configuration's variants."""
    return {variant["VariantName"] for variant in config["ProductionVariants"]}


def fewest_instances(config: dict[str, Any]) -> int | None:
    """Return the size of the smallest variant; None for a serverless configuration."""
    if kind(config) == "serverless":
        return None
    return min(int(variant["InitialInstanceCount"]) for variant in config["ProductionVariants"])


def _check_instances(variant: dict[str, Any]) -> None:
    for name in ("InstanceType", "InitialInstanceCount"):
        if name not in variant:
            raise BadConfig(
                f"{name} is required for production variant {variant['VariantName']} unless it "
                "has a ServerlessConfig"
            )


def _check_serverless(variant: dict[str, Any], model: dict[str, Any]) -> None:
    name = variant["VariantName"]
    for member in INSTANCE_ONLY:
        if member in variant:
            raise BadConfig(f"{member} is not supported with ServerlessConfig (variant {name})")
    memory = variant["ServerlessConfig"]["MemorySizeInMB"]
    if memory not in SERVERLESS_MEMORY_MB:
        steps = ", ".join(str(step) for step in SERVERLESS_MEMORY_MB)
        raise BadConfig(f"MemorySizeInMB is {memory} (variant {name}), one of {steps} is needed")
    if model.get("EnableNetworkIsolation"):
        raise BadConfig(
            f"Serverless variant {name} cannot use model {model['ModelName']}: network isolation "
            "is not supported for serverless endpoints"
        )
