"""Pipeline action StartTraining: image.json in, a running training job out."""

import os
from typing import Any

from common.clients import client
from common.endings import Done
from common.job import Job, run_action
from common.settings import from_env
from training_data import find_channels
from training_job import start_once
from training_request import Settings, TrainingParams, image_uri, job_event_info, training_request


def lambda_handler(event: dict[str, Any], context: object) -> None:
    """Answer CodePipeline."""
    run_action(event, start_training)


def start_training(job: Job) -> Done:
    """Start the training job of this pipeline job, or find it started by an earlier delivery."""
    params, settings = job.parse(TrainingParams), from_env(Settings, os.environ)
    image = job.input()
    image_uri(image, "serve")  # fail now rather than after an hour of training
    channels = find_channels(client("s3"), params.data_bucket)
    request = training_request(image, params, settings, job.action_id, channels)
    name = start_once(client("sagemaker"), request)
    return Done(
        artifact=job_event_info(image, params, name),
        summary=f"training job {name} started on {', '.join(channels)}",
        variables={"TrainingJobName": name, "Commit": image["commit"]},
        external_id=name,
    )
