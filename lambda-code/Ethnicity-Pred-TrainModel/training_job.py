"""Starting a training job exactly once."""

from collections.abc import Mapping
from typing import Any

from common.failures import ActionFailed, exists_already


def start_once(sagemaker: Any, request: Mapping[str, Any]) -> str:
    """Create the job and return its name; on a redelivery make sure that the one there is it."""
    name = request["TrainingJobName"]
    try:
        sagemaker.create_training_job(**request)
    except Exception as error:
        if not exists_already(error):
            raise
        existing = sagemaker.describe_training_job(TrainingJobName=name)
        if differing := differences(existing, request):
            raise ActionFailed(
                f"a training job {name} exists already with another {', '.join(differing)}; "
                "retry the stage for a new name"
            ) from error
    return name


def differences(existing: Mapping[str, Any], request: Mapping[str, Any]) -> list[str]:
    """Name what tells an existing job from the one that we asked for."""
    pairs = {
        "image": lambda job: job["AlgorithmSpecification"]["TrainingImage"],
        "output path": lambda job: job["OutputDataConfig"]["S3OutputPath"],
        "set of hyperparameters": lambda job: job.get("HyperParameters", {}),
        "data": lambda job: sorted(
            channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in job["InputDataConfig"]
        ),
    }
    return [what for what, of in pairs.items() if of(existing) != of(request)]
