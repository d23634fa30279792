"""What AWS accepts as a training job, and what of it is not emulated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from local_cloud.sagemaker.metrics import bad_patterns
from local_cloud.sagemaker.refusals import NotEmulated, Refused

DEFAULT_MAX_RUNTIME_S = 86_400
LONGEST_RUNTIME_S = 28 * 86_400
OPT_ML = "/opt/ml/"


class BadJob(Refused):
    """A training job that AWS refuses; says why."""


def with_defaults(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request with what AWS fills in."""
    stopping = {
        "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME_S,
        **request.get("StoppingCondition", {}),
    }
    return {**request, "StoppingCondition": stopping}


def check_job(request: dict[str, Any]) -> None:
    """Raise BadJob or NotEmulated unless the job can be run here as on AWS."""
    for fault in _faults(request):
        raise BadJob(fault)
    for where, value, allowed in _choices(request):
        if value not in allowed:
            raise NotEmulated(f"{where} {value!r}; use {' or '.join(map(repr, allowed))}")


def _faults(request: dict[str, Any]) -> Iterator[str]:
    if "TrainingImage" not in request["AlgorithmSpecification"]:
        yield "AlgorithmSpecification must have a TrainingImage or an AlgorithmName"
    resources = request.get("ResourceConfig", {})
    for member in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
        if not resources.get(member):
            yield f"ResourceConfig.{member} is missing"
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(names)) < len(names):
        yield f"Channel names must be unique, got {', '.join(names)}"
    yield from bad_patterns(request["AlgorithmSpecification"].get("MetricDefinitions", []))
    yield from _time_faults(request)


def _time_faults(request: dict[str, Any]) -> Iterator[str]:
    stopping = request.get("StoppingCondition", {})
    runtime = stopping.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_S)
    if runtime > LONGEST_RUNTIME_S:
        yield f"MaxRuntimeInSeconds is {runtime}, at most {LONGEST_RUNTIME_S} is allowed"
    wait = stopping.get("MaxWaitTimeInSeconds")
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < runtime:
            yield (
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
                "MaxRuntimeInSeconds"
            )
    elif wait is not None:
        yield "MaxWaitTimeInSeconds is only allowed with EnableManagedSpotTraining"


def _choices(request: dict[str, Any]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Yield (place, value, values that are emulated)."""
    mode = request["AlgorithmSpecification"]["TrainingInputMode"]
    yield "TrainingInputMode", mode, ("File",)
    output = request["OutputDataConfig"]
    yield "OutputDataConfig.CompressionType", output.get("CompressionType", "GZIP"), ("GZIP",)
    yield "an S3OutputPath of", output["S3OutputPath"].split(":")[0], ("s3",)
    for channel in request.get("InputDataConfig", []):
        where = f"channel {channel['ChannelName']}:"
        source = channel["DataSource"].get("S3DataSource", {})
        yield f"{where} S3DataType", source.get("S3DataType"), ("S3Prefix",)
        yield f"{where} S3Uri of", source.get("S3Uri", "").split(":")[0], ("s3",)
        yield f"{where} CompressionType", channel.get("CompressionType", "None"), ("None",)
        yield f"{where} RecordWrapperType", channel.get("RecordWrapperType", "None"), ("None",)
        yield f"{where} InputMode", channel.get("InputMode", "File"), ("File",)
    checkpoints = request.get("CheckpointConfig", {}).get("LocalPath", OPT_ML)
    yield "CheckpointConfig.LocalPath below", checkpoints[: len(OPT_ML)], (OPT_ML,)
