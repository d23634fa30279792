"""Pipeline actions GetTrainingStatus and GetDeployStatus: wait for what the one before started."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.clients import client
from common.endings import Done, keep_waiting
from common.fields import whole
from common.job import Job, run_action
from endpoint_status import endpoint_verdict
from release import approve
from superseded import delete_superseded
from training_status import training_verdict


@dataclass(frozen=True)
class StatusParams:
    """UserParameters of both actions."""

    execution_id: str
    deadline_minutes: int = whole(1, 1_380, default=120)  # CodePipeline itself ends after 24 h
    model_package_arn: str = ""  # the version in the registry that this deployment releases


def lambda_handler(event: dict[str, Any], context: object) -> None:
    """Answer CodePipeline."""
    run_action(event, get_status)


def get_status(job: Job) -> Done:
    """Ask SageMaker once, and end, fail or go on waiting."""
    params = job.parse(StatusParams)
    started = job.input("training-job", "endpoint-deployment")
    verdict = _verdict(client("sagemaker"), started, params)
    if isinstance(verdict, str):
        now = datetime.now(UTC)
        raise keep_waiting(verdict, job.first_asked, now, params.deadline_minutes)
    return verdict


def _verdict(sagemaker: Any, started: dict[str, Any], params: StatusParams) -> Done | str:
    if started["kind"] == "training-job":
        name = started["training_job_name"]
        return training_verdict(sagemaker.describe_training_job(TrainingJobName=name), started)
    endpoint = sagemaker.describe_endpoint(EndpointName=started["endpoint_name"])
    verdict = endpoint_verdict(endpoint, started)
    if isinstance(verdict, Done):
        delete_superseded(sagemaker, started)
        if params.model_package_arn:
            approve(sagemaker, params.model_package_arn, started)
    return verdict
