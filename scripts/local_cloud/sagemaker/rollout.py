"""Blue/green deployments: which DeploymentConfig AWS accepts, and the steps that it stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local_cloud.sagemaker.refusals import Refused

ALL_AT_ONCE = "ALL_AT_ONCE"
CANARY = "CANARY"
LINEAR = "LINEAR"
DEFAULT_TIMEOUT_S = 600
LARGEST_STEP = 0.5
SMALLEST_LINEAR_STEP = 0.1
DEFAULT: dict[str, Any] = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {"Type": ALL_AT_ONCE, "WaitIntervalInSeconds": 0},
        "TerminationWaitInSeconds": 0,
        "MaximumExecutionTimeoutInSeconds": DEFAULT_TIMEOUT_S,
    }
}


class BadDeployment(Refused):
    """A deployment configuration that AWS refuses; says why."""


@dataclass(frozen=True)
class Step:
    """Send this share of the traffic (0 to 1) to the new fleet, then watch it for `bake_s`."""

    share: float
    bake_s: float


@dataclass(frozen=True)
class Rollout:
    """All steps of an update, the wait before the old fleet goes, and the alarms to watch."""

    steps: tuple[Step, ...]
    termination_wait_s: float
    timeout_s: float
    alarms: tuple[str, ...]


def plan(deployment: dict[str, Any], instances: int | None) -> Rollout:
    """Return the steps of a deployment to a fleet of `instances` (None: serverless)."""
    policy = (deployment or DEFAULT).get("BlueGreenUpdatePolicy") or DEFAULT[
        "BlueGreenUpdatePolicy"
    ]
    routing = policy["TrafficRoutingConfiguration"]
    if instances is None and routing["Type"] != ALL_AT_ONCE:
        raise BadDeployment(
            f"{routing['Type']} traffic shifting is not supported for serverless endpoints; "
            f"use {ALL_AT_ONCE}"
        )
    steps = _steps(routing, instances or 1)
    wait = policy.get("TerminationWaitInSeconds", 0)
    timeout = policy.get("MaximumExecutionTimeoutInSeconds", DEFAULT_TIMEOUT_S)
    waits = wait + sum(step.bake_s for step in steps)
    if waits > timeout:
        raise BadDeployment(
            f"MaximumExecutionTimeoutInSeconds is {timeout}, but the waiting times of this "
            f"deployment add up to {waits:g} s; raise it above that"
        )
    return Rollout(tuple(steps), wait, timeout, alarm_names(deployment))


def alarm_names(deployment: dict[str, Any]) -> tuple[str, ...]:
    """Return the names of the alarms that roll the deployment back."""
    alarms = (deployment or {}).get("AutoRollbackConfiguration", {}).get("Alarms", [])
    return tuple(alarm["AlarmName"] for alarm in alarms if "AlarmName" in alarm)


def _steps(routing: dict[str, Any], instances: int) -> list[Step]:
    kind, bake = routing["Type"], routing["WaitIntervalInSeconds"]
    _only_its_own_size(routing)
    if kind == CANARY:
        share = _share("CanarySize", routing, instances, least=0)
        return [Step(share, bake), Step(1.0, bake)]
    if kind == LINEAR:
        share = _share("LinearStepSize", routing, instances, least=SMALLEST_LINEAR_STEP)
        count = int(1 / share)
        steps = [Step(share * number, bake) for number in range(1, count)]
        return [*steps, Step(1.0, bake)]
    return [Step(1.0, bake)]


def _only_its_own_size(routing: dict[str, Any]) -> None:
    needed = {CANARY: "CanarySize", LINEAR: "LinearStepSize"}.get(routing["Type"])
    for name in ("CanarySize", "LinearStepSize"):
        if name == needed and name not in routing:
            raise BadDeployment(f"{name} is required for traffic routing type {routing['Type']}")
        if name != needed and name in routing:
            raise BadDeployment(f"{name} is not allowed for traffic routing type {routing['Type']}")


def _share(member: str, routing: dict[str, Any], instances: int, least: float) -> float:
    """Return the part of the fleet that one step is, a whole number of instances."""
    size = routing[member]
    if size["Type"] == "CAPACITY_PERCENT":
        count = max(1, instances * size["Value"] // 100)
        asked = size["Value"] / 100
    else:
        count = size["Value"]
        asked = count / instances
    if not least <= asked <= LARGEST_STEP:
        raise BadDeployment(
            f"{member} {size['Value']} ({size['Type']}) is {asked:.0%} of the variant's "
            f"{instances} instances; it must be at least {least:.0%} and at most "
            f"{LARGEST_STEP:.0%}"
        )
    if count / instances > LARGEST_STEP:
        raise BadDeployment(
            f"{member} needs at least one instance and at most {LARGEST_STEP:.0%} of the fleet, "
            f"so a variant of {instances} instance cannot be shifted in steps; "
            f"use {ALL_AT_ONCE} or two instances"
        )
    return count / instances
