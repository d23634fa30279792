"""Pipeline actions GetTrainingStatus and GetDeployStatus: wait for what the one before started."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.clients import client
from common.endings import Done, keep_waiting
from common.fields import whole
from common.job import Job, run_action
from endpoint_status import deployed, endpoint_waits
from superseded import delete_superseded
from training_status import trained, training_waits


@dataclass(frozen=True)
class StatusParams:
    """UserParameters of both actions."""

    execution_id: str
    deadline_minutes: int = whole(1, 1_380, default=120)  # CodePipeline itself ends after 24 h


def lambda_handler(event: dict[str, Any], context: object) -> None:
    """Answer CodePipeline."""
    run_action(event, get_status)


def get_status(job: Job) -> Done:
    """Ask SageMaker once, and end, fail or go on waiting."""
    params = job.parse(StatusParams)
    started = job.input("training-job", "endpoint-deployment")
    sagemaker = client("sagemaker")
    if started["kind"] == "training-job":
        name = started["training_job_name"]
        description = sagemaker.describe_training_job(TrainingJobName=name)
        waits_for, done = training_waits(description), trained
    else:
        description = sagemaker.describe_endpoint(EndpointName=started["endpoint_name"])
        waits_for, done = endpoint_waits(description, started), deployed
    if waits_for:
        now = datetime.now(UTC)
        raise keep_waiting(waits_for, job.first_asked, now, params.deadline_minutes)
    if started["kind"] == "endpoint-deployment":
        delete_superseded(sagemaker, started)
    return done(description, started)
