"""The pipeline as deployed, on a local cloud with a quick clock, and how to drive it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import draw_glyphs
import pytest
from demo import calls
from demo.story import ROOT, Story
from local_cloud.launcher import RunningCloud
from pipeline_rows import ActionRow
from rich.console import Console

TIME_SCALE = "0.03"  # AWS's shortest approval, five minutes, is nine seconds
LABELS = {"1": "Square", "3": "Triangle", "4": "Star"}  # three of the glyphs learn fastest
HYPERPARAMETERS = {
    "epochs": 6,
    "batch_size": 16,
    "image_size": 32,
    "augment": 0,
}
APPROVAL = "ApproveRelease"
A_STAR = "download-0.jpg"
Rows = list[dict[str, str]]
Answer = tuple[int, dict[str, Any]]  # HTTP status, body


@dataclass(frozen=True)
class Ending:
    """How a run ended, or that it waits for approval, and what the API answered then."""

    execution: str
    status: str
    rows: list[ActionRow]
    approval: dict[str, Any]  # the newest execution of the approval, in GetPipelineState's words
    dev: Answer
    prod: Answer

    def row(self, action: str, stage: str = "") -> ActionRow:
        """Return the newest execution of an action."""
        (found,) = [r for r in self.rows if r.action == action and stage in r.stage]
        return found

    @property
    def failed(self) -> str:
        """Every failed action with its message; '' if none failed."""
        failed = (r for r in self.rows if r.status == "Failed")
        return "\n".join(f"{r.stage}/{r.action}: {r.note}" for r in failed)


class Pipeline:
    """The deployed pipeline; every method returns when its run has ended or asks for approval."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.name = story.pipeline["PipelineName"]
        self.data = story.pipeline["DataBucket"]
        self.s3, self.codepipeline = (story.cloud.client(s) for s in ("s3", "codepipeline"))

    def upload(self, key: str, rows: Rows) -> None:
        """Put a CSV of these rows into the data bucket."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        self.s3.put_object(Bucket=self.data, Key=key, Body=text.getvalue().encode())

    def upload_images(self, folder: Path) -> None:
        """Put the images that the API is asked about into the data bucket."""
        for image in sorted(folder.glob("*.jpg")):
            self.s3.upload_file(str(image), self.data, f"images/{image.name}")

    def started_by(self, event: Callable[[], Any]) -> Ending:
        """Do what starts a run by its rule, and follow that run."""
        known = self.story._execution_ids()
        event()
        (execution,) = self.story._wait_for_executions({"CloudWatchEvent"}, known)
        return self.follow(execution)

    def start(self) -> str:
        """Start a run by hand; returns it without following."""
        execution: str = self.codepipeline.start_pipeline_execution(name=self.name)[
            "pipelineExecutionId"
        ]
        return execution

    def retry(self, ending: Ending, stage: str, mode: str = "ALL_ACTIONS") -> Ending:
        """Retry a failed stage of a run."""
        assert ending.status == "Failed", f"the run is {ending.status}, not Failed"
        self.codepipeline.retry_stage_execution(
            pipelineName=self.name,
            stageName=stage,
            pipelineExecutionId=ending.execution,
            retryMode=mode,
        )
        return self.follow(ending.execution)

    def answer(self, ending: Ending, status: str, summary: str) -> Ending:
        """Approve or reject the run that waits for it."""
        row = ending.row(APPROVAL)
        assert row.waits_for_approval, f"no approval is asked for: {ending.status} {ending.failed}"
        self.codepipeline.put_approval_result(
            pipelineName=self.name,
            stageName=row.stage,
            actionName=row.action,
            token=self.approval()["token"],
            result={"status": status, "summary": summary},
        )
        return self.follow(ending.execution)

    def follow(self, execution: str, past_approval: bool = False) -> Ending:
        """Follow a run until it ends or, unless told otherwise, waits for approval."""
        view = self.story._view()
        for status, rows in view._states(execution):  # noqa: B007 (the last one counts)
            waits = any(row.waits_for_approval for row in rows)
            if waits and not past_approval and "token" in self.approval():
                break
        return Ending(execution, status, rows, self.approval(), self.ask("dev"), self.ask("prod"))

    def approval(self) -> dict[str, Any]:
        """Return the newest execution of the approval; empty if there is none."""
        stages = self.codepipeline.get_pipeline_state(name=self.name)["stageStates"]
        (action,) = [a for s in stages for a in s["actionStates"] if a["actionName"] == APPROVAL]
        return dict(action.get("latestExecution", {}))

    def ask(self, stage: str) -> Answer:
        """POST the image of a star."""
        return calls.post_json(f"{self.story.cloud.url}/{stage}/predict", {"image_name": A_STAR})

    def details(self, ending: Ending, action: str) -> dict[str, Any]:
        """Return the newest execution of an action as CodePipeline tells it."""
        listed = self.codepipeline.list_action_executions(
            pipelineName=self.name, filter={"pipelineExecutionId": ending.execution}
        )["actionExecutionDetails"]
        return next(d for d in listed if d["actionName"] == action)

    def build_log(self, ending: Ending) -> str:
        """Return what the build of a run printed."""
        result = self.details(ending, "BuildImage")["output"]["executionResult"]
        build = self.story.cloud.client("codebuild").batch_get_builds(
            ids=[result["externalExecutionId"]]
        )["builds"][0]
        where = {"logGroupName": build["logs"]["groupName"]}
        stream = [build["logs"]["streamName"]]
        logs = self.story.cloud.client("logs")
        events = logs.filter_log_events(**where, logStreamNames=stream)["events"]
        return "\n".join(event["message"] for event in events)

    def training_job(self, ending: Ending) -> dict[str, Any]:
        """Describe the training job of a run."""
        name = self.details(ending, "StartTraining")["output"]["outputVariables"]["TrainingJobName"]
        job: dict[str, Any] = self.story.cloud.client("sagemaker").describe_training_job(
            TrainingJobName=name
        )
        return job


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Both stacks, deployed, and the images that the API may be asked about; no code, no data."""
    work = tmp_path_factory.mktemp("endings")
    parameters = {"HyperParameters": json.dumps(HYPERPARAMETERS)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_CLOUD_TIME_SCALE", TIME_SCALE)
        patch.setenv("LOCAL_CLOUD_CONTINUE_SECONDS", "0.2")
        with (work / "console.txt").open("w") as out, RunningCloud(work / "cloud") as cloud:
            tools = ROOT / ".tools/aws/bin"
            story = Story(cloud, Console(file=out), None, work, tools, parameters=parameters)
            story.deploy_prep()
            story.deploy_pipeline(story.package_lambdas())
            deployed = Pipeline(story)
            deployed.upload_images(ROOT / "notebooks/test-data")
            yield deployed


@pytest.fixture(scope="module")
def glyphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """The rows of each part of the embedded data, of three classes."""
    folder = tmp_path_factory.mktemp("glyphs")
    parts = {"train": 1000, "validation": 200, "smoketest": 10}
    draw_glyphs.write_data(folder, draw_glyphs.SEED, parts)
    found = {}
    for part in parts:
        with (folder / part / f"{part}.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["ethnicity"] in LABELS]
        found[part] = [row | {"ethnicity": LABELS[row["ethnicity"]]} for row in rows]
    return found
