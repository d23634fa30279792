"""From the pipeline's parameters to a CreateTrainingJob request."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.failures import WrongConfiguration
from common.fields import whole
from common.instances import takes_volume_key
from common.names import run_name, tags

# What `train` logs, one line per epoch: "epoch=3 train_loss=0.412 validation_accuracy=0.93 …".
METRICS = ("train_loss", "validation_accuracy", "validation_macro_recall")
SPOT_SLACK_S = 3_600  # for a spot instance to come, and to come back, beside the training itself
NUMBER = "([0-9.eE+-]+)"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Settings:
    """The function's environment."""

    unique_id: str
    training_role_arn: str
    model_artifacts_bucket: str
    kms_key_arn: str


@dataclass(frozen=True)
class TrainingParams:
    """UserParameters of action StartTraining."""

    execution_id: str
    data_bucket: str
    instance_type: str = "ml.m5.xlarge"
    instance_count: int = whole(1, 20, default=1)
    volume_gb: int = whole(1, 16_384, default=30)
    max_runtime_s: int = whole(60, 432_000, default=3_600)
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    checkpoints: bool = False
    spot: bool = False
    max_wait_s: int = whole(0, 435_600, default=0)  # for spot, the training included; 0: see below


def image_uri(image: Mapping[str, Any], target: str) -> str:
    """Name the train or serve image by digest, which unlike a tag never comes to mean another."""
    repository = image.get("repository")
    built = image.get(target)
    digest = built.get("digest") if isinstance(built, dict) else None
    if not repository or not _DIGEST.fullmatch(str(digest)) or not image.get("commit"):
        raise WrongConfiguration(
            f"image.json must name repository, commit and the {target} image's digest (got: "
            f"{repository!r}, {image.get('commit')!r}, {digest!r}); see action BuildImage"
        )
    return f"{repository}@{digest}"


def training_request(
    image: Mapping[str, Any],
    params: TrainingParams,
    settings: Settings,
    action_id: str,
    channels: Sequence[str],
) -> dict[str, Any]:
    """Return the whole CreateTrainingJob request for these channels of the data bucket."""
    name = run_name(settings.unique_id, action_id)
    models = f"s3://{settings.model_artifacts_bucket}"
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": settings.training_role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": image_uri(image, "train"),
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": m, "Regex": f"{m}={NUMBER}"} for m in METRICS],
        },
        "HyperParameters": hyperparameters(params.hyperparameters),
        "InputDataConfig": [_channel(params.data_bucket, channel) for channel in channels],
        "OutputDataConfig": {
            "S3OutputPath": f"{models}/training/",
            "KmsKeyId": settings.kms_key_arn,
        },
        "ResourceConfig": _resources(params, settings),
        "StoppingCondition": {"MaxRuntimeInSeconds": params.max_runtime_s},
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": params.instance_count > 1,
        "EnableManagedSpotTraining": params.spot,
        "Tags": tags(settings.unique_id, params.execution_id, image["commit"]),
    }
    if params.spot:
        wait_s = params.max_wait_s or params.max_runtime_s + SPOT_SLACK_S
        wait_s = max(wait_s, params.max_runtime_s)  # SageMaker refuses less
        request["StoppingCondition"]["MaxWaitTimeInSeconds"] = wait_s
    if params.spot or params.checkpoints:  # an interrupted spot job must be able to resume
        request["CheckpointConfig"] = {"S3Uri": f"{models}/checkpoints/{name}/"}
    return request


def hyperparameters(values: Mapping[str, Any]) -> dict[str, str]:
    """Return them as SageMaker wants them: at most 100 strings of at most 2,500 characters."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    long = sorted(name for name, text in texts.items() if len(text) > 2_500 or len(name) > 256)
    if len(texts) > 100 or long:
        raise WrongConfiguration(
            f"UserParameters 'hyperparameters' has {len(texts)} entries (100 fit), too long: {long}"
        )
    return texts


def job_event_info(
    image: Mapping[str, Any], params: TrainingParams, training_job_name: str
) -> dict[str, Any]:
    """Return the output artifact: what the following actions have to know of this run."""
    return {
        "kind": "training-job",
        "training_job_name": training_job_name,
        "train_image": image_uri(image, "train"),
        "serve_image": image_uri(image, "serve"),
        "commit": image["commit"],
        "data_bucket": params.data_bucket,
        "execution_id": params.execution_id,
    }


def _channel(bucket: str, name: str) -> dict[str, Any]:
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{bucket}/{name}/",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def _resources(params: TrainingParams, settings: Settings) -> dict[str, Any]:
    resources: dict[str, Any] = {
        "InstanceType": params.instance_type,
        "InstanceCount": params.instance_count,
        "VolumeSizeInGB": params.volume_gb,
    }
    if takes_volume_key(params.instance_type):
        resources["VolumeKmsKeyId"] = settings.kms_key_arn
    return resources
