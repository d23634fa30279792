"""How each step is done. Whatever is gone already counts as done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from cleanup.aws import Aws, is_gone
from cleanup.buckets import delete_bucket, empty_bucket
from cleanup.plan import ACTIVE_JOB, STILL, Deed, Resource
from cleanup.stack_deletion import delete_stack
from cleanup.waiting import Waiter

Effect = Callable[[Resource], None]
KEY_WINDOW_DAYS = 30  # free of charge; time to think again
OVER = frozenset({"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"})
# Deeds that are one call: service, operation, the argument that names the resource.
CALLS: dict[Deed, tuple[str, str, str]] = {
    ("stop", "build"): ("codebuild", "stop_build", "id"),
    ("delete", "endpoint config"): ("sagemaker", "delete_endpoint_config", "EndpointConfigName"),
    ("delete", "model"): ("sagemaker", "delete_model", "ModelName"),
    ("delete", "model package"): ("sagemaker", "delete_model_package", "ModelPackageName"),
    ("delete", "model package group"): (
        "sagemaker",
        "delete_model_package_group",
        "ModelPackageGroupName",
    ),
    ("delete", "pipeline"): ("codepipeline", "delete_pipeline", "name"),
    ("delete", "build project"): ("codebuild", "delete_project", "name"),
    ("delete", "function"): ("lambda", "delete_function", "FunctionName"),
    ("delete", "api"): ("apigateway", "delete_rest_api", "restApiId"),
    ("delete", "repository"): ("codecommit", "delete_repository", "repositoryName"),
    ("delete", "log group"): ("logs", "delete_log_group", "logGroupName"),
    ("delete", "key alias"): ("kms", "delete_alias", "AliasName"),
}


@dataclass(frozen=True)
class Drive:
    """A SageMaker deed that takes its time: what shows the status, and what asks for the deed."""

    argument: str
    describe: str
    status: str
    ask: str
    asked: str  # the status that shows that somebody has asked already
    done: Callable[[str], bool] = field(default=lambda _status: False)  # default: when it is gone


_ENDPOINT = ("EndpointName", "describe_endpoint", "EndpointStatus")
_JOB = ("TrainingJobName", "describe_training_job", "TrainingJobStatus")
_NOTEBOOK = ("NotebookInstanceName", "describe_notebook_instance", "NotebookInstanceStatus")
DRIVES: dict[Deed, Drive] = {
    ("delete", "endpoint"): Drive(*_ENDPOINT, "delete_endpoint", "Deleting"),
    ("stop", "training job"): Drive(
        *_JOB, "stop_training_job", "Stopping", lambda s: s not in ACTIVE_JOB
    ),
    ("delete", "training job"): Drive(*_JOB, "delete_training_job", "Deleting"),
    ("stop", "notebook"): Drive(
        *_NOTEBOOK, "stop_notebook_instance", "Stopping", lambda s: s in STILL
    ),
    ("delete", "notebook"): Drive(*_NOTEBOOK, "delete_notebook_instance", "Deleting"),
}


@dataclass(frozen=True)
class Effects:
    """The deeds, upon one account."""

    aws: Aws
    wait: Waiter = field(default_factory=Waiter)

    def do(self, deed: Deed, resource: Resource) -> None:
        """Do one deed; raises what AWS answers, or StillThere when waiting took too long."""
        try:
            self.table()[deed](resource)
        except ClientError as error:
            if not is_gone(error):
                raise

    def table(self) -> dict[Deed, Effect]:
        """Return the effect of every deed."""
        return {
            **{deed: self._call(*call) for deed, call in CALLS.items()},
            **{deed: self._drive(drive) for deed, drive in DRIVES.items()},
            ("stop", "pipeline execution"): self._stop_execution,
            ("delete", "image repository"): self._delete_images,
            ("empty", "working bucket"): lambda r: empty_bucket(self.aws.client("s3"), r.name),
            ("delete", "working bucket"): lambda r: delete_bucket(self.aws.client("s3"), r.name),
            ("delete", "kept bucket"): lambda r: delete_bucket(self.aws.client("s3"), r.name),
            ("delete", "stack 2"): lambda r: delete_stack(self.aws, r, self.wait),
            ("delete", "stack 1"): lambda r: delete_stack(self.aws, r, self.wait),
            ("delete", "log role"): self._delete_log_role,
            ("delete", "log stream"): self._delete_log_stream,
            ("schedule deletion of", "key"): self._schedule_key_deletion,
        }

    def _call(self, service: str, operation: str, argument: str) -> Effect:
        return lambda r: getattr(self.aws.client(service), operation)(**{argument: r.ref})

    def _drive(self, drive: Drive) -> Effect:
        def effect(resource: Resource) -> None:
            client: Any = self.aws.client("sagemaker")
            name = {drive.argument: resource.name}
            self.wait.drive(
                resource.name,
                lambda: getattr(client, drive.describe)(**name)[drive.status],
                lambda: getattr(client, drive.ask)(**name),
                drive.done,
                hold=lambda status: status == drive.asked,
            )

        return effect

    def _stop_execution(self, execution: Resource) -> None:
        client = self.aws.client("codepipeline")
        which = {"pipelineName": execution.group, "pipelineExecutionId": execution.ref}
        self.wait.drive(
            f"{execution.group}/{execution.name}",
            lambda: client.get_pipeline_execution(**which)["pipelineExecution"]["status"],
            lambda: client.stop_pipeline_execution(**which, abandon=True, reason="clean-up"),
            lambda status: status in OVER,
            hold=lambda status: status == "Stopping",
        )

    def _delete_images(self, repository: Resource) -> None:
        """Delete a repository with its images, as its stack would have done."""
        self.aws.client("ecr").delete_repository(repositoryName=repository.name, force=True)

    def _delete_log_stream(self, stream: Resource) -> None:
        self.aws.client("logs").delete_log_stream(
            logGroupName=stream.group, logStreamName=stream.name
        )

    def _delete_log_role(self, role: Resource) -> None:
        """Take the role out of API Gateway's setting, then delete it."""
        gateway, iam = self.aws.client("apigateway"), self.aws.client("iam")
        if gateway.get_account().get("cloudwatchRoleArn") == role.ref:
            nobody = {"op": "replace", "path": "/cloudwatchRoleArn", "value": ""}
            gateway.update_account(patchOperations=[nobody])
        attached = self.aws.pages(
            "iam", "list_attached_role_policies", "AttachedPolicies", RoleName=role.name
        )
        for policy in attached:
            iam.detach_role_policy(RoleName=role.name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=role.name)

    def _schedule_key_deletion(self, key: Resource) -> None:
        self.aws.client("kms").schedule_key_deletion(
            KeyId=key.ref, PendingWindowInDays=KEY_WINDOW_DAYS
        )
