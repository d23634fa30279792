"""The steps of the demo, in the order of the seed document, each telling what it does."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud.launcher import REGION, RunningCloud
from package_lambdas import upload
from pipeline_rows import ActionRow, approval_token
from rich.console import Console
from rich.table import Table
from stacks import Stacks

from demo import calls, data_set
from demo.pipeline_view import PipelineView
from demo.scoring import Score, score

ROOT = Path(__file__).resolve().parents[2]
UNIQUE_ID = "kmm"
PREP_STACK = "MLOps-Ethnicity-Prediction"
PIPELINE_STACK = "MLOps-BYO-BuildPipeline"
BRANCH = "master"
WATCH_SECONDS = "5"  # canary and bake time: by default each is five minutes, here too


class StepFailed(RuntimeError):
    """A step did not do what it promises; the message says what was seen and where to look."""


@dataclass
class Story:
    """What the steps hand to each other."""

    cloud: RunningCloud
    console: Console
    data_source: Path | None
    work: Path
    tools: Path  # the folder with the AWS CLI
    api_authorization: str = "NONE"  # the template's default, AWS_IAM, wants signed calls
    parameters: Mapping[str, str] = field(default_factory=dict)  # further ones of stack 2
    started: float = field(default_factory=time.monotonic)
    prep: dict[str, str] = field(default_factory=dict)
    pipeline: dict[str, str] = field(default_factory=dict)
    data: data_set.DataSet | None = None

    def step(self, number: str, title: str) -> None:
        """Print a step's heading with the time since the start."""
        elapsed = time.monotonic() - self.started
        self.console.print()
        self.console.rule(f"[bold]{number}  {title}[/]  [dim]{elapsed:.0f} s", align="left")

    def say(self, text: str) -> None:
        """Print text, wrapped between words."""
        self.console.print(text, highlight=False)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for git and the AWS CLI, as the administrator of the local cloud."""
        environment = self.cloud.environment()
        return environment | {"PATH": f"{self.tools}:{environment['PATH']}"}

    # -- step 0 ------------------------------------------------------------------------------

    def lint(self) -> None:
        """Check both templates before anything is deployed."""
        self.step("0", "Check the templates")
        command = [str(ROOT / ".venv/bin/cfn-lint"), "01-prep.yml", "02-build-pipeline.yml"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise StepFailed(f"cfn-lint refuses the templates:\n{done.stdout}{done.stderr}")
        self.say("cfn-lint: 01-prep.yml and 02-build-pipeline.yml are valid")

    # -- steps 1 to 3 of the seed document ---------------------------------------------------

    def deploy_prep(self) -> None:
        """Create stack 1."""
        self.step("1", f"Stack 1: {PREP_STACK}")
        self.prep = self._stacks().deploy(PREP_STACK, ROOT / "01-prep.yml", {"UniqueID": UNIQUE_ID})
        self._show(self.prep)

    def package_lambdas(self) -> str:
        """Upload the zips to stack 1's bucket; return the content prefix."""
        self.step("2", "Upload the Lambda functions")
        bucket = self.prep["LambdaFunctionsBucket"]
        files = sorted((ROOT / "build/lambda").glob("*.zip"))
        prefix = upload(self.cloud.client("s3"), bucket, files)
        for file in files:
            self.say(f"{file.stat().st_size / 1e6:5.2f} MB  s3://{bucket}/{prefix}{file.name}")
        return prefix

    def deploy_pipeline(self, prefix: str) -> None:
        """Create stack 2, or update it."""
        self.step("3", f"Stack 2: {PIPELINE_STACK}")
        bucket = self.prep["LambdaFunctionsBucket"]
        parameters = self._parameters(bucket, prefix)
        template = ROOT / "02-build-pipeline.yml"
        self.pipeline = self._stacks().deploy(PIPELINE_STACK, template, parameters, bucket)
        self._show(self.pipeline)
        if self.api_authorization == "NONE":
            self.say(
                "[dim]ApiAuthorization=NONE is for this throw-away demo: the default, AWS_IAM, "
                "wants signed calls[/]"
            )

    def first_run(self) -> None:
        """Follow the run that creating the pipeline started; it must fail at Source."""
        self.step("3b", "The first run fails, as expected")
        (first,) = self._wait_for_executions({"CreatePipeline"}, after=set())
        status, rows = self._view().follow(first)
        failed = [row for row in rows if row.status == "Failed"]
        if status != "Failed" or [row.stage for row in failed] != ["Source"]:
            raise StepFailed(f"the first run was to fail at Source, it is {status}: {failed}")
        self.say(
            "CodePipeline starts as soon as it is created. Nothing was committed yet, so the "
            f"repository has no branch [bold]{BRANCH}[/]: this failure is expected, and the next "
            "steps cure it."
        )

    # -- step 4 of the seed document ---------------------------------------------------------

    def upload_data(self) -> None:
        """Draw or split the data and fill the data bucket, the labels CSV last."""
        self.step("4a", "Upload the data")
        folder = self.work / "data"
        if self.data_source is None:
            self.data = data_set.embedded(folder, ROOT / "notebooks/test-data")
        else:
            self.data = data_set.split(self.data_source, folder)
        bucket = self.pipeline["DataBucket"]
        s3 = self.cloud.client("s3")
        for part in ("images", "smoketest", "validation", "train"):
            files = [f for f in sorted(self.data.part(part).rglob("*")) if f.is_file()]
            for file in sorted(files, key=lambda f: f.suffix == ".csv"):
                key = f"{part}/{file.relative_to(self.data.part(part))}"
                s3.upload_file(str(file), bucket, key)
            size = sum(f.stat().st_size for f in files) / 1e6
            self.say(f"{len(files):6} files {size:7.2f} MB  s3://{bucket}/{part}/")
        self.say(
            "[dim]A new train/*.csv starts the pipeline too; that run fails like the first, since "
            "there is still no code[/]"
        )

    def commit(self) -> str:
        """Copy byo-staging into a clone of the repository, as on the notebook, and push it."""
        self.step("4b", "Commit the model code")
        return self.push(self.stage_code(), "Model code from byo-staging")

    def stage_code(self) -> Path:
        """Clone the repository and copy byo-staging into the clone, whose folder is returned."""
        clone = self._clone()
        bucket = self.prep["LambdaFunctionsBucket"]
        staged = self.cloud.client("s3").get_object(Bucket=bucket, Key="byo-staging.zip")
        extract(staged["Body"].read(), clone)
        return clone

    def push(self, clone: Path, message: str) -> str:
        """Commit all that the clone holds and push it; return the run that this starts."""
        before, environment = self._execution_ids(), self.environment
        calls.git(["add", "--all"], clone, environment)
        calls.git(["commit", "--quiet", "-m", message], clone, environment)
        calls.git(["push", "--quiet", "origin", f"HEAD:{BRANCH}"], clone, environment)
        commit = calls.git(["rev-parse", "--short", "HEAD"], clone, environment)
        self.say(f"git push {self.prep['RepositoryCloneUrl']} {BRANCH}  [dim]({commit})[/]")
        (execution,) = self._wait_for_executions({"CloudWatchEvent"}, before)
        return execution

    def follow(self, execution: str) -> bool:
        """Show the run until it ends, and approve it when it asks; False if the gate stopped it.

        Any other end but success fails the demo with the log's end, and so does a gate that
        refuses the embedded data. On data of the reader's own a refusal is the gate's right.
        """
        self.step("4c", "The pipeline runs")
        status, rows = self._view(approving=True).follow(execution)
        if status == "Succeeded":
            self._show_registered()
            return True
        failed = [row for row in rows if row.status == "Failed"]
        if self.data_source and [row.stage for row in failed] == ["EvaluateModel"]:
            self.say(f"[bold]The gate stopped the release:[/] {failed[0].note}")
            return False
        raise StepFailed(f"the run is {status}. {self._why(failed)}")

    def approve(self, rows: list[ActionRow]) -> None:
        """Give the approval that the pipeline waits for, once, and say so."""
        for row in (row for row in rows if row.waits_for_approval):
            client = self.cloud.client("codepipeline")
            state = client.get_pipeline_state(name=self.pipeline["PipelineName"])
            token = approval_token(state, row.stage, row.action)
            if token is None:
                continue
            client.put_approval_result(
                pipelineName=self.pipeline["PipelineName"],
                stageName=row.stage,
                actionName=row.action,
                token=token,
                result={"status": "Approved", "summary": "Approved by make demo"},
            )
            self.say(
                f"[bold]The pipeline asks for an approval ({row.action}): given by the demo[/]"
            )

    # -- step 5 of the seed document ---------------------------------------------------------

    def call_api(self, stage: str) -> None:
        """POST the seed's own body for every test image, and show the first answer whole."""
        self.step("5", f"Call the API: POST /{stage}/predict")
        data = self._data()
        url = f"{self.cloud.url}/{stage}/predict"
        right = 0
        for name, label in sorted(data.images.items(), key=lambda item: _number(item[0])):
            status, answer = calls.post_json(url, {"image_name": name})
            if status != 200:
                raise StepFailed(f"POST {url} for {name}: {status} {json.dumps(answer)}")
            right += answer["predict"] == label
            if name.startswith("download-1."):
                self.console.print_json(data=answer)
        self.say(f"{len(data.images)} test images answered, {right} of them right")
        if self.data_source is None and right < len(data.images):
            raise StepFailed(f"only {right} of {len(data.images)} test images were answered right")

    def score_held_out(self) -> Score:
        """Score the endpoint on rows that the pipeline never saw."""
        data = self._data()
        runtime = self.cloud.client("sagemaker-runtime")
        pairs = list(calls.predict(runtime, self.pipeline["DevEndpointName"], data.held_out()))
        result = score([truth for truth, _ in pairs], [answer for _, answer in pairs])
        self.say(f"\nScored on {result.rows} rows that the pipeline never saw:")
        table = Table(box=None, padding=(0, 2, 0, 0))
        table.add_column("label")
        table.add_column("rows", justify="right")
        table.add_column("recall", justify="right")
        for label, recall in result.recall.items():
            table.add_row(label, str(result.support[label]), f"{recall:.3f}")
        self.console.print(table)
        self.say(
            f"accuracy [bold]{result.accuracy:.3f}[/], "
            f"macro recall [bold]{result.macro_recall:.3f}[/]"
        )
        return result

    # -- plumbing ----------------------------------------------------------------------------

    def _parameters(self, bucket: str, prefix: str) -> dict[str, str]:
        """Return the parameters of stack 2: the demo's defaults, what was given, what must be."""
        fixed = {
            "UniqueID": UNIQUE_ID,
            "LambdaFunctionsBucket": bucket,
            "LambdaCodePrefix": prefix,
            "RepositoryBranch": BRANCH,
            "ApiAuthorization": self.api_authorization,
        }
        # The build then takes what `make setup` or the reader has made.
        for name, variable in (("TorchIndexUrl", "TORCH_INDEX_URL"), ("BaseImage", "BASE_IMAGE")):
            if value := os.environ.get(variable):
                fixed[name] = value
        if taken := sorted(fixed.keys() & self.parameters.keys()):
            raise StepFailed(f"the demo sets {', '.join(taken)} itself; leave it out of PARAMETERS")
        return {
            "CanaryWaitSeconds": WATCH_SECONDS,
            "BakeSeconds": WATCH_SECONDS,
            "AllowImageUploads": "true" if self.data_source is None else "false",
            **self.parameters,
            **fixed,
        }

    def _data(self) -> data_set.DataSet:
        if self.data is None:
            raise StepFailed("no data yet: upload_data comes first")
        return self.data

    def _stacks(self) -> Stacks:
        return Stacks(
            self.cloud.client("cloudformation"),
            self.cloud.client("s3"),
            report=lambda line: None,
        )

    def _view(self, approving: bool = False) -> PipelineView:
        name = self.pipeline["PipelineName"]
        view = PipelineView(self.cloud.client("codepipeline"), name, self.console)
        if approving:
            view.on_change = self.approve
        return view

    def _clone(self) -> Path:
        clone = self.work / "ethnicity-pred-repo"
        url = self.prep["RepositoryCloneUrl"]
        calls.git(["clone", "--quiet", url, str(clone)], self.work, self.environment)
        return clone

    def _execution_ids(self) -> set[str]:
        return {e["pipelineExecutionId"] for e in self._executions()}

    def _executions(self) -> list[dict[str, Any]]:
        client = self.cloud.client("codepipeline")
        pages = client.get_paginator("list_pipeline_executions").paginate(
            pipelineName=self.pipeline["PipelineName"]
        )
        return [e for page in pages for e in page["pipelineExecutionSummaries"]]

    def _wait_for_executions(self, triggers: set[str], after: set[str]) -> list[str]:
        """Wait (30 s) for an execution with one of the triggers that is not in `after`."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            new = [
                e["pipelineExecutionId"]
                for e in self._executions()
                if e["pipelineExecutionId"] not in after
                and e.get("trigger", {}).get("triggerType") in triggers
            ]
            if new:
                return new[:1]
            time.sleep(0.2)
        raise StepFailed(f"no run was started by {triggers} within 30 s")

    def _why(self, failed: list[ActionRow]) -> str:
        if not failed:
            return f"See {self.cloud.log}"
        row = failed[0]
        tail = self._log_tail(row.log_group) if row.log_group else ""
        return f"{row.stage}/{row.action}: {row.note}\n{row.log_group} ends:\n{tail}"

    def _log_tail(self, group: str, lines: int = 25) -> str:
        logs = self.cloud.client("logs")
        try:
            events = logs.filter_log_events(logGroupName=group)["events"]
        except logs.exceptions.ResourceNotFoundException:
            return "(no such log group)"
        return "\n".join(e["message"].rstrip() for e in events[-lines:])

    def _show_registered(self) -> None:
        group = self.pipeline["ModelPackageGroupName"]
        listed = self.cloud.client("sagemaker").list_model_packages(ModelPackageGroupName=group)
        newest = listed["ModelPackageSummaryList"][0]
        version, status = newest["ModelPackageVersion"], newest["ModelApprovalStatus"]
        self.say(f"In the model registry, with its card: {group}, version {version}, {status}")

    def _show(self, outputs: dict[str, str]) -> None:
        width = max(map(len, outputs), default=0)
        for key, value in outputs.items():
            self.say(f"[dim]{key:<{width}}[/]  {value}")


def extract(archive: bytes, folder: Path) -> None:
    """Unpack a zip, keeping each file's permission bits as `unzip` does."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for member in opened.infolist():
            path = Path(opened.extract(member, folder))
            if mode := member.external_attr >> 16:
                path.chmod(mode & 0o777)


def curl_line(url: str) -> str:
    """Return the seed document's call as a shell line."""
    body = json.dumps({"image_name": "download-1.jpg"}, separators=(",", ":"))
    return f"curl -s -X POST {url}/dev/predict -H 'Content-Type: application/json' -d '{body}'"


def push_lines(story: Story) -> str:
    """Return the shell lines by which a reader clones the repository; the clone can be pushed."""
    return (
        f"export AWS_ACCESS_KEY_ID={story.cloud.access_key} "
        f"AWS_SECRET_ACCESS_KEY={story.cloud.secret_key} AWS_DEFAULT_REGION={REGION} "
        f"AWS_ENDPOINT_URL={story.cloud.url} PATH={story.tools}:$PATH\n"
        f"git clone -c credential.helper='{calls.CREDENTIAL_HELPER}' "
        f"-c credential.UseHttpPath=true {story.prep['RepositoryCloneUrl']}"
    )


def _number(name: str) -> int:
    return int("".join(c for c in name if c.isdigit()) or 0)
