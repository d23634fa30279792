"""A workshop as its reader meets it: both stacks on a local cloud, and a clean-up at the end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from demo.story import ROOT, Story
from local_cloud.launcher import RunningCloud
from pipeline_rows import ActionRow
from rich.console import Console

TIME_SCALE = "0.02"  # the notebook instance stops in a moment; 20 minutes of silence are 24 s
TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"

Deployed = Callable[[Path], AbstractContextManager[Story]]
Inventory = Callable[[Story], set[str]]


@dataclass(frozen=True)
class Demo:
    """A demo that was played to its end, and the actions of its run."""

    story: Story
    rows: list[ActionRow]

    def client(self, service: str) -> Any:
        return self.story.cloud.client(service)


@pytest.fixture(scope="session")
def deployed() -> Deployed:
    """Open a local cloud with both stacks, as the README deploys them; the first run has failed."""

    @contextlib.contextmanager
    def make(work: Path) -> Iterator[Story]:
        with pytest.MonkeyPatch.context() as patch, (work / "console.txt").open("w") as console:
            patch.setenv("LOCAL_CLOUD_TIME_SCALE", TIME_SCALE)
            with RunningCloud(work / "cloud") as cloud:
                told, tools = Console(file=console, width=120), ROOT / ".tools/aws/bin"
                story = Story(cloud, told, None, work, tools, "AWS_IAM")
                story.deploy_prep()
                story.deploy_pipeline(story.package_lambdas())
                story.first_run()
                yield story

    return make


@pytest.fixture(scope="package")
def played(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo, played as the seed document tells it, on a cloud that its clean-up then empties."""
    with deployed(tmp_path_factory.mktemp("demo")) as story:
        story.upload_data()
        status, rows = story._view(approving=True).follow(story.commit())
        failed = [row for row in rows if row.status == "Failed"]
        assert status == "Succeeded", story._why(failed)
        yield Demo(story, rows)


@pytest.fixture(scope="session")
def clean_up() -> Callable[..., subprocess.Popen[str]]:
    """Start `make clean-up` of a workshop, with more options."""

    def start(story: Story, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(ROOT / "scripts/clean_up.py"), "--unique-id", "kmm"]
        return subprocess.Popen(
            [*command, *options],
            env=story.cloud.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def inventory() -> Inventory:
    """Name everything of UniqueID kmm that is there, looked for without clean-up's own code."""

    def look(story: Story) -> set[str]:
        names = set(_names(story.cloud.client))
        marks = ("kmm", *STACKS, "ethnicity-pred-repo", "API-Gateway-Execution-Logs")
        return {name for name in names if any(mark in name for mark in marks)}

    return look


STACKS = ("MLOps-Ethnicity-Prediction", "MLOps-BYO-BuildPipeline")
LISTS = (  # service, operation, what it lists, what a thing is called
    ("cloudformation", "describe_stacks", "Stacks", "StackName"),
    ("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    ("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    ("sagemaker", "list_models", "Models", "ModelName"),
    ("sagemaker", "list_training_jobs", "TrainingJobSummaries", "TrainingJobName"),
    (
        "sagemaker",
        "list_model_package_groups",
        "ModelPackageGroupSummaryList",
        "ModelPackageGroupName",
    ),
    ("sagemaker", "list_notebook_instances", "NotebookInstances", "NotebookInstanceName"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("kms", "list_aliases", "Aliases", "AliasName"),
    ("codepipeline", "list_pipelines", "pipelines", "name"),
    ("codecommit", "list_repositories", "repositories", "repositoryName"),
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("apigateway", "get_rest_apis", "items", "name"),
    ("iam", "list_roles", "Roles", "RoleName"),
)


def _names(client: Callable[[str], Any]) -> Iterator[str]:
    for service, operation, listed, name in LISTS:
        answer = getattr(client(service), operation)()
        yield from (item[name] for item in answer[listed])
    yield from client("codebuild").list_projects()["projects"]
    streams = client("logs").describe_log_streams(logGroupName=TRAINING_LOGS)["logStreams"]
    yield from (stream["logStreamName"] for stream in streams)
