"""The Lambda action: invokes the function with a job, and waits for the job's answer.

A function that wants to be asked again answers with a continuation token: it is invoked again a
little later, with the token and with a new job id. AWS gives up after 20 minutes without an
answer, and after 24 hours in all; both are scaled by LOCAL_CLOUD_TIME_SCALE.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.background import time_scale
from local_cloud.codepipeline.effects import artifact_faults, denied, is_denied, message_of
from local_cloud.codepipeline.jobs import Job, Jobs
from local_cloud.codepipeline.model import ActionRun, Location, Result
from local_cloud.codepipeline.work import ActionFailed, Cancel, Work
from local_cloud.errors import ApiError
from local_cloud.members import members, refuse_unhonoured

SILENCE_SECONDS = 20 * 60
TOTAL_SECONDS = 24 * 3600
CONTINUE_VARIABLE = "LOCAL_CLOUD_CONTINUE_SECONDS"
CONTINUE_SECONDS = 2.0
SESSION_SECONDS = 3600
SUCCESS = members(
    "jobId", "continuationToken", "outputVariables", executionDetails=members(
        "summary", "externalExecutionId", "percentComplete"
    )
)  # fmt: skip
FAILURE = members("jobId", failureDetails=members("type", "message", "externalExecutionId"))


class LambdaInvoke:
    """Invokes, and takes the answers of PutJobSuccessResult and PutJobFailureResult."""

    def __init__(self) -> None:
        self.jobs = Jobs()
        self._works: dict[str, Work] = {}  # by the run's id
        self._alarms: dict[str, Cancel] = {}  # by the job's id: the end of AWS's patience

    def perform(self, work: Work) -> None:
        """Invoke the function for the first time."""
        self._works[work.run.id] = work
        self._invoke(work, None)

    def abandon(self, run: ActionRun) -> None:
        """Answers that come now are refused."""
        self.jobs.abandon(run.id)
        self._works.pop(run.id, None)

    def succeed(self, request: dict[str, Any]) -> None:
        """Take a success, or the wish to be asked again."""
        refuse_unhonoured("codepipeline:PutJobSuccessResult", SUCCESS, request)
        token = request.get("continuationToken")
        if token and request.get("outputVariables"):
            message = "outputVariables can be included only when there is no continuation token"
            raise ApiError("ValidationException", message)
        work = self._answered(request["jobId"])
        details = request.get("executionDetails", {})
        work.run.summary = details.get("summary", work.run.summary)
        work.run.external_id = details.get("externalExecutionId", work.run.external_id)
        work.run.percent = details.get("percentComplete", work.run.percent)
        if token:
            pause = float(os.environ.get(CONTINUE_VARIABLE) or CONTINUE_SECONDS)
            work.reporter.after(pause, lambda: self._invoke(work, token))
        else:
            work.reporter.after(0, lambda: self._complete(work, request))

    def fail(self, request: dict[str, Any]) -> None:
        """Take a failure."""
        refuse_unhonoured("codepipeline:PutJobFailureResult", FAILURE, request)
        work = self._answered(request["jobId"])
        details = request["failureDetails"]
        work.run.external_id = details.get("externalExecutionId", work.run.external_id)
        self._works.pop(work.run.id, None)
        work.fail(details["type"], details["message"])

    def _answered(self, job_id: str) -> Work:
        job = self.jobs.answer(job_id)
        if alarm := self._alarms.pop(job_id, None):
            alarm()
        work = self._works.get(job.owner)
        if work is None:
            raise ApiError("InvalidJobStateException", f"Job {job_id} was abandoned")
        return work

    def _complete(self, work: Work, request: dict[str, Any]) -> None:
        self._works.pop(work.run.id, None)
        if missing := artifact_faults(work):
            location = work.run.outputs[missing[0]]
            raise ActionFailed(
                "ConfigurationError",
                f"The output artifact {missing[0]} is missing: the function reported success, "
                f"but there is no object {location.key} in the bucket {location.bucket}",
            )
        work.succeed(Result(request.get("outputVariables", {})))

    def _invoke(self, work: Work, token: str | None) -> None:
        if work.run.id not in self._works:
            return
        if time.time() - work.run.started > TOTAL_SECONDS * time_scale():
            self._works.pop(work.run.id)
            raise ActionFailed("JobFailed", "The action did not end within 24 hours.")
        job = self.jobs.open(work.run.id)
        self._alarms[job.id] = work.reporter.after(
            SILENCE_SECONDS * time_scale(), lambda: self._expire(work, job)
        )
        function = work.run.configuration["FunctionName"]
        payload = json.dumps(job_event(work, job, token)).encode()
        try:
            work.client("lambda").invoke(
                FunctionName=function, InvocationType="Event", Payload=payload
            )
        except ClientError as error:
            self.abandon(work.run)
            if is_denied(error):
                raise denied(work, f"the AWS Lambda function {function}", error) from error
            raise ActionFailed("ConfigurationError", message_of(error)) from error

    def _expire(self, work: Work, job: Job) -> None:
        self._alarms.pop(job.id, None)
        if not self.jobs.expire(job.id):
            return
        self._works.pop(work.run.id, None)
        function = work.run.configuration["FunctionName"]
        work.fail(
            "JobFailed",
            f"The AWS Lambda function {function} failed to return a result. Check the function to "
            "verify that it has permission to call the PutJobSuccessResult action and that it "
            "made a call to PutJobSuccessResult.",
        )


def job_event(work: Work, job: Job, token: str | None) -> dict[str, Any]:
    """Write the event that a function gets; it carries live credentials."""
    credentials = work.open_session(artifact_policy(work))
    data: dict[str, Any] = {
        "actionConfiguration": {"configuration": dict(work.run.configuration)},
        "inputArtifacts": [_artifact(work, *pair) for pair in work.run.inputs.items()],
        "outputArtifacts": [_artifact(work, *pair) for pair in work.run.outputs.items()],
        "artifactCredentials": {
            "accessKeyId": credentials["aws_access_key_id"],
            "secretAccessKey": credentials["aws_secret_access_key"],
            "sessionToken": credentials["aws_session_token"],
            "expirationTime": int((time.time() + SESSION_SECONDS) * 1000),
        },
    }
    if token is not None:
        data["continuationToken"] = token
    if key := work.execution.pipeline.encryption_key:
        data["encryptionKey"] = {"id": key, "type": "KMS"}
    return {"CodePipeline.job": {"id": job.id, "accountId": work.account, "data": data}}


def artifact_policy(work: Work) -> dict[str, Any]:
    """Narrow the role to the artifacts of this action, as its artifactCredentials are on AWS."""
    statements = [
        _statement(["s3:GetObject", "s3:GetObjectVersion"], work.run.inputs.values()),
        _statement(["s3:PutObject"], work.run.outputs.values()),
    ]
    if key := work.execution.pipeline.encryption_key:
        kms = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*"]
        resource = key if key.startswith("arn:") else "*"
        statements.append({"Effect": "Allow", "Action": kms, "Resource": resource})
    return {"Version": "2012-10-17", "Statement": [s for s in statements if s["Resource"]]}


def _statement(actions: list[str], locations: Any) -> dict[str, Any]:
    objects = [f"arn:aws:s3:::{place.bucket}/{place.key}" for place in locations]
    return {"Effect": "Allow", "Action": actions, "Resource": objects}


def _artifact(work: Work, name: str, location: Location) -> dict[str, Any]:
    revision = work.execution.revisions.get(name)
    return {
        "name": name,
        "revision": revision.id if revision else None,
        "location": {
            "type": "S3",
            "s3Location": {"bucketName": location.bucket, "objectKey": location.key},
        },
    }
