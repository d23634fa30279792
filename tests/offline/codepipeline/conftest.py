"""A pipeline in miniature on a local cloud whose waits are short, and helpers to watch it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from demo.calls import CREDENTIAL_HELPER
from local_cloud.launcher import ACCOUNT, REGION, SCRIPTS, RunningCloud

HERE = Path(__file__).parent
AWS_CLI = SCRIPTS.parent / ".tools" / "aws" / "bin"
TIME_SCALE = "0.01"  # 20 minutes are 12 seconds
BUILDSPEC = """\
version: 0.2
env:
  exported-variables: [TAG]
phases:
  build:
    commands:
      - TAG="$CODEBUILD_RESOLVED_SOURCE_VERSION"
      - >-
        aws ecr get-login-password |
        docker login --username AWS --password-stdin "${REPOSITORY_URI%%/*}"
      - docker build --provenance=false --sbom=false --tag "$REPOSITORY_URI:$TAG" .
      - docker run --rm "$REPOSITORY_URI:$TAG" greet
      - docker push "$REPOSITORY_URI:$TAG"
      - echo "{}" > image.json
artifacts:
  files: [image.json]
"""
DOCKERFILE = """\
FROM public.ecr.aws/docker/library/python:3.13-slim
ENV PATH=/opt/program:$PATH
WORKDIR /opt/program
COPY greet ./
RUN chmod 0755 greet && useradd somebody
"""
GREET = "#!/usr/bin/env python3\nprint('the image greets')\n"


class Mini:
    """The deployed stack and its pipelines."""

    def __init__(self, cloud: RunningCloud, outputs: dict[str, str]) -> None:
        self.cloud = cloud
        self.outputs = outputs
        self.codepipeline = cloud.client("codepipeline")
        self.iam = cloud.client("iam")

    def wait(self, pipeline: str, execution: str, *statuses: str, timeout_s: float = 60) -> str:
        """Wait until an execution has ended, or is in one of the statuses; return its status."""
        wanted = statuses or ("Succeeded", "Failed", "Stopped", "Superseded")
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = self.codepipeline.get_pipeline_execution(
                pipelineName=pipeline, pipelineExecutionId=execution
            )["pipelineExecution"]
            if found["status"] in wanted:
                return str(found["status"])
            time.sleep(0.1)
        raise AssertionError(f"{pipeline} {execution} is still {found['status']}")

    def actions(self, pipeline: str, execution: str) -> dict[str, dict[str, Any]]:
        """Return the newest run of each action of an execution, by name."""
        listed = self.codepipeline.list_action_executions(
            pipelineName=pipeline, filter={"pipelineExecutionId": execution}
        )["actionExecutionDetails"]
        return {detail["actionName"]: detail for detail in reversed(listed)}

    def error(self, pipeline: str, execution: str, action: str) -> dict[str, str]:
        """Return why an action failed."""
        result = self.actions(pipeline, execution)[action]["output"]["executionResult"]
        details: dict[str, str] = result["errorDetails"]
        return details

    def state(self, pipeline: str, action: str) -> dict[str, Any]:
        """Return the latest execution of an action, as GetPipelineState shows it."""
        for stage in self.codepipeline.get_pipeline_state(name=pipeline)["stageStates"]:
            for found in stage["actionStates"]:
                if found["actionName"] == action:
                    latest: dict[str, Any] = found.get("latestExecution", {})
                    return latest
        raise AssertionError(f"{pipeline} has no action {action}")

    def wait_for_action(self, pipeline: str, action: str, status: str) -> dict[str, Any]:
        """Wait until the newest run of an action has a status (and a token, if in progress)."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            latest = self.state(pipeline, action)
            if latest.get("status") == status and (status != "InProgress" or "token" in latest):
                return latest
            time.sleep(0.1)
        raise AssertionError(f"{action} is {latest}")

    def create(self, *stages: dict[str, Any], **more: Any) -> tuple[str, str]:
        """Create a pipeline with a source stage before these; return its name and execution."""
        name = f"p-{uuid.uuid4().hex[:8]}"
        declaration = {
            **self.codepipeline.get_pipeline(name="mini-pipeline")["pipeline"],
            "name": name,
            **more,
        }
        declaration.pop("version")
        declaration["stages"] = [declaration["stages"][0], *stages]
        self.codepipeline.create_pipeline(pipeline=declaration)
        first = self.codepipeline.list_pipeline_executions(pipelineName=name)
        return name, first["pipelineExecutionSummaries"][0]["pipelineExecutionId"]


@pytest.fixture(scope="session")
def quick_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    if not (AWS_CLI / "aws").exists():
        pytest.skip("the AWS CLI is not set up (make setup)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_CLOUD_TIME_SCALE", TIME_SCALE)
        patch.setenv("LOCAL_CLOUD_CONTINUE_SECONDS", "0.2")
        environments = tmp_path_factory.mktemp("environments")
        patch.setenv("LOCAL_CLOUD_ENVIRONMENTS", str(environments))
        with RunningCloud(tmp_path_factory.mktemp("pipeline-cloud")) as running:
            yield running


@pytest.fixture(scope="session")
def bare(quick_cloud: RunningCloud) -> Mini:
    """The stack as it is before anybody pushed: its first execution has failed."""
    s3 = quick_cloud.client("s3")
    s3.create_bucket(Bucket="mini-code")
    s3.put_object(Bucket="mini-code", Key="function.zip", Body=function_zip())
    return Mini(quick_cloud, deploy(quick_cloud, "create_stack", CodeBucket="mini-code"))


@pytest.fixture(scope="session")
def first_failure(bare: Mini) -> dict[str, str]:
    """Why the execution failed that CreatePipeline started, the repository being empty."""
    started = bare.codepipeline.list_pipeline_executions(pipelineName="mini-pipeline")
    execution = started["pipelineExecutionSummaries"][0]["pipelineExecutionId"]
    assert bare.wait("mini-pipeline", execution) == "Failed"
    return bare.error("mini-pipeline", execution, "Get")


@pytest.fixture(scope="session")
def mini(
    bare: Mini, first_failure: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Mini:
    """The stack after the first push, which has started an execution."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "buildspec.yml").write_text(BUILDSPEC)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "greet").write_text(GREET)
    git = git_in(folder, bare.cloud)
    git("init", "--quiet", "--initial-branch", "main")
    git("add", ".")
    git("commit", "--quiet", "-m", "the first change")
    git("push", "--quiet", bare.outputs["CloneUrl"], "main")
    bare.outputs["Commit"] = git("rev-parse", "HEAD").strip()
    return bare


@pytest.fixture(scope="session", autouse=True)
def silent(mini: Mini) -> tuple[str, str]:
    """A pipeline whose function says nothing, and its execution: begun early, for it takes long."""
    return mini.create({"name": "Run", "actions": [lambda_action("say nothing")]})


@pytest.fixture
def invoke() -> Callable[..., dict[str, Any]]:
    """Declare a stage of one Lambda action that does what it is told."""

    def stage(do: str, name: str = "Run", **wish: Any) -> dict[str, Any]:
        return {"name": name, "actions": [lambda_action(do, **wish)]}

    return stage


def lambda_action(do: str, action: str = "Call", artifact: str = "", **wish: Any) -> dict[str, Any]:
    return {
        "name": action,
        "actionTypeId": {
            "category": "Invoke",
            "owner": "AWS",
            "provider": "Lambda",
            "version": "1",
        },
        "configuration": {
            "FunctionName": "mini-function",
            "UserParameters": json.dumps({"do": do, **wish}),
        },
        "inputArtifacts": [{"name": "Code"}],
        "outputArtifacts": [{"name": artifact}] if artifact else [],
    }


def deploy(cloud: RunningCloud, operation: str, **parameters: str) -> dict[str, str]:
    cloudformation = cloud.client("cloudformation")
    getattr(cloudformation, operation)(
        StackName="mini",
        TemplateBody=(HERE / "stack.yml").read_text(),
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    deadline = time.monotonic() + 120
    while True:
        stack = cloudformation.describe_stacks(StackName="mini")["Stacks"][0]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            break
        assert time.monotonic() < deadline, stack
        time.sleep(0.1)
    events = cloudformation.describe_stack_events(StackName="mini")["StackEvents"]
    reasons = [e["ResourceStatusReason"] for e in events if "FAILED" in e["ResourceStatus"]]
    assert stack["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), reasons
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def function_zip() -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.write(HERE / "function.py", "function.py")
    return body.getvalue()


def git_in(folder: Path, cloud: RunningCloud) -> Callable[..., str]:
    settings = {
        "credential.helper": CREDENTIAL_HELPER,
        "credential.UseHttpPath": "true",
        "user.name": "Test",
        "user.email": "test@example.com",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    variables = {
        **cloud.environment(),
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": os.pathsep.join([str(AWS_CLI), os.environ["PATH"]]),
    }

    def git(*arguments: str) -> str:
        command = ["git", *options, *arguments]
        done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return git


def arn_of(path: str) -> str:
    return f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:{path}"
