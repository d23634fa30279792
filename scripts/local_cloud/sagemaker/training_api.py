"""The operations on training jobs."""

from __future__ import annotations

import time
from typing import Any

from local_cloud.background import spawn
from local_cloud.errors import ApiError
from local_cloud.sagemaker import arns, channels, listing, storage
from local_cloud.sagemaker.base import SageMakerBase, place_of, require_volume_key
from local_cloud.sagemaker.refusals import Refused
from local_cloud.sagemaker.role_session import RoleSession, open_session
from local_cloud.sagemaker.trainer import Trainer
from local_cloud.sagemaker.training_job import TrainingJob
from local_cloud.sagemaker.training_rules import check_job, with_defaults
from local_cloud.service import Call


class TrainingApi(SageMakerBase):
    """Training jobs by their name."""

    def __init__(self) -> None:
        super().__init__()
        self.trainers: dict[str, Trainer] = {}

    def create_training_job(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["TrainingJobName"]
        arn = place_of(call).arn(arns.TRAINING_JOB, name)
        self._refuse_a_taken_job_name(name)
        check_job(request)
        session = open_session(request["RoleArn"], call.region)
        if key := request["ResourceConfig"].get("VolumeKmsKeyId"):
            roles_key = session.credentials["aws_access_key_id"]
            require_volume_key(key, call.region, roles_key, call.access_key)
        _require_data(request, session)
        trainer = Trainer(
            TrainingJob(with_defaults(request), arn, time.time()), self.engine, session
        )
        with self.lock:
            self._refuse_a_taken_job_name(name)
            self.trainers[name] = trainer
        self.tag(arn, request)
        spawn(f"training job {name}", trainer.run)
        return {"TrainingJobArn": arn}

    def describe_training_job(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        return self._trainer(request).job.describe()

    def stop_training_job(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        trainer = self._trainer(request)
        if trainer.job.request_stop(time.time()):
            trainer.stop()
        elif trainer.job.has_ended:
            raise Refused(
                "The request was rejected because the training job is in status "
                f"{trainer.job.status}."
            )
        return {}

    def delete_training_job(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        job = self._trainer(request).job
        if not job.has_ended:
            raise ApiError(
                "ResourceInUse", f"The training job {job.arn} is in status {job.status}."
            )
        del self.trainers[job.name]
        self.untag(job.arn)
        return {}

    def list_training_jobs(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        return listing.page(
            request,
            [trainer.job.summary() for trainer in list(self.trainers.values())],
            answer="TrainingJobSummaries",
            name="TrainingJobName",
            status="TrainingJobStatus",
        )

    def _trainer(self, request: dict[str, Any]) -> Trainer:
        trainer = self.trainers.get(request["TrainingJobName"])
        if trainer is None:
            raise Refused("Requested resource not found.")
        return trainer

    def _refuse_a_taken_job_name(self, name: str) -> None:
        if taken := self.trainers.get(name):
            raise ApiError(
                "ResourceInUse",
                "Job name must be unique within an AWS account and region, and a job with this "
                f"name already exists ({taken.job.arn})",
            )


def _require_data(request: dict[str, Any], session: RoleSession) -> None:
    """Refuse a channel without any object, or one that the role may not list."""
    s3 = session.client("s3")
    for channel in request.get("InputDataConfig", []):
        source = channel["DataSource"]["S3DataSource"]
        prefix = arns.split_s3(source["S3Uri"])[1]
        missing = channels.missing_data(source, session.role_arn, session.region)
        try:
            found = any(
                channels.local_name(key, prefix) for key in storage.keys_under(s3, source["S3Uri"])
            )
        except storage.StorageError as error:
            raise Refused(f"{missing} Error message from S3: {error}") from error
        if not found:
            raise Refused(missing)
