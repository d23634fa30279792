"""The whole pipeline on the local cloud: the real templates, zips, train and serve.

The demo is played once for all of these tests, which look at what it left and change one thing
each, in this order. Its clean-up has a file of its own.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from demo.story import curl_line, push_lines
from local_cloud.launcher import REGION, RunningCloud

from .conftest import Demo

pytestmark = pytest.mark.timeout(600)

FEWER_TESTS = """
cd ethnicity-pred-repo
git rm --quiet $(ls model-code/tests/test_*.py | grep -v settings)
git -c user.name=Test -c user.email=test@example.com commit --quiet -m "Fewer tests"
git push --quiet origin HEAD:master
"""
CREDENTIAL = re.compile(r"ASIA[0-9A-F]{16}|secretAccessKey|sessionToken")


def post(url: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def signed(cloud: RunningCloud, url: str, body: dict[str, Any]) -> dict[str, str]:
    request = AWSRequest("POST", url, {"Content-Type": "application/json"}, json.dumps(body))
    keys = Credentials(cloud.access_key, cloud.secret_key)
    SigV4Auth(keys, "execute-api", REGION).add_auth(request)
    return dict(request.headers)


def test_every_action_of_a_pushed_commit_succeeds(played):
    assert {row.status for row in played.rows} == {"Succeeded"}
    stages = list(dict.fromkeys(row.stage for row in played.rows))
    assert stages == [
        "Source",
        "Build",
        "TrainModel",
        "DeployModel-Dev",
        "EvaluateModel",
        "Approve",
        "DeployModel-Prod",
    ]


def test_what_the_images_hold_is_kept_beside_the_models(played):
    s3, bucket = played.client("s3"), played.story.pipeline["ModelArtifactsBucket"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="sboms/")["Contents"]
    parts = {}
    for key in (item["Key"] for item in listed):
        document = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        names = {component["name"] for component in document["components"]}
        parts[key.removesuffix(".cdx.json").rpartition("-")[2]] = names
    assert "torch" in parts["train"]
    assert "onnxruntime" in parts["serve"]
    assert "torch" not in parts["serve"]


def test_the_first_run_fails_at_source_in_aws_words(played):
    codepipeline = played.client("codepipeline")
    name = played.story.pipeline["PipelineName"]
    executions = codepipeline.list_pipeline_executions(pipelineName=name)
    first = executions["pipelineExecutionSummaries"][-1]
    actions = codepipeline.list_action_executions(
        pipelineName=name, filter={"pipelineExecutionId": first["pipelineExecutionId"]}
    )["actionExecutionDetails"]
    assert [action["stageName"] for action in actions] == ["Source"]
    message = actions[0]["output"]["executionResult"]["errorDetails"]["message"]
    assert "master" in message


def test_the_released_model_is_an_approved_version_with_its_card(played):
    sagemaker, outputs = played.client("sagemaker"), played.story.pipeline
    group = outputs["ModelPackageGroupName"]
    listed = sagemaker.list_model_packages(ModelPackageGroupName=group)
    [version] = listed["ModelPackageSummaryList"]
    package = sagemaker.describe_model_package(ModelPackageName=version["ModelPackageArn"])
    assert package["ModelApprovalStatus"] == "Approved"
    assert outputs["ProdEndpointName"] in package["ApprovalDescription"]
    [container] = package["InferenceSpecification"]["Containers"]
    endpoint = sagemaker.describe_endpoint(EndpointName=outputs["ProdEndpointName"])
    model = sagemaker.describe_model(ModelName=endpoint["EndpointConfigName"])
    served = model["PrimaryContainer"]
    assert container == {key: served[key] for key in ("Image", "ModelDataUrl")}
    quality = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    bucket, _, key = quality.removeprefix("s3://").partition("/")
    report = json.load(played.client("s3").get_object(Bucket=bucket, Key=key)["Body"])
    card = json.loads(package["ModelCard"]["ModelCardContent"])
    [test] = card["evaluation_details"]
    told = {m["name"]: m["value"] for m in test["metric_groups"][0]["metric_data"]}
    assert told["rows"] == report["rows"]
    assert told["macro_recall"] == pytest.approx(report["macro_recall"]["value"], abs=1e-6)
    assert card["intended_uses"]["risk_rating"] == "Low"  # the embedded data has no people in it


def test_the_build_ran_the_containers_own_tests(played):
    build = next(row for row in played.rows if row.stage == "Build")
    log = played.story._log_tail(build.log_group, lines=1000)
    assert re.search(r"^\d+ passed(, \d+ skipped)? in", log, re.MULTILINE), log


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_an_unsigned_call_is_refused_and_a_signed_one_answered(played, stage):
    cloud = played.story.cloud
    url, body = f"{cloud.url}/{stage}/predict", {"image_name": "download-1.jpg"}
    status, answer = post(url, body, {"Content-Type": "application/json"})
    assert status == 403, answer
    status, answer = post(url, body, signed(cloud, url, body))
    assert status == 200, answer
    assert answer["image_name"] == "download-1.jpg"
    assert answer["predict"] == max(answer["probabilities"], key=answer["probabilities"].get)


def test_the_model_is_right_on_95_percent_of_held_out_glyphs(played):
    assert played.story.score_held_out().accuracy >= 0.95


def test_a_stack_update_opens_the_api_to_the_seed_documents_own_curl(played):
    story = played.story
    story.api_authorization = "NONE"
    story.deploy_pipeline(story.package_lambdas())
    curl = shutil.which("curl")
    assert curl, "curl is not installed"
    line = ["bash", "-c", curl_line(story.cloud.url)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "predict" in json.loads(done.stdout)


def test_all_test_images_are_answered_right_over_http(played):
    played.story.call_api("dev")


def test_no_credential_is_in_a_log_or_an_artifact(played):
    """Session keys begin with ASIA; the words are those of a CodePipeline event."""
    logs = played.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]:
            assert not CREDENTIAL.search(event["message"]), group["logGroupName"]
    for name, text in artifact_texts(played):
        assert not CREDENTIAL.search(text), name


def artifact_texts(played: Demo) -> Iterator[tuple[str, str]]:
    s3 = played.client("s3")
    bucket = played.story.pipeline["CodePipelineArtifactsBucket"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    for key in keys:
        if "Source" in key:
            continue  # the pushed code itself
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for name in archive.namelist():
                yield f"{key}/{name}", archive.read(name).decode()


def test_the_demo_clone_is_what_the_notebook_would_hold(played):
    clone: Path = played.story.work / "ethnicity-pred-repo"
    assert (clone / "model-code/buildspec.yml").is_file()
    assert (clone / "test-data/download-13.jpg").is_file()


def test_a_further_push_trains_with_an_image_of_its_own(played, tmp_path):
    """By the lines that the demo prints; the run is left under way, for the clean-up to stop."""
    story, image = played.story, training_image(played)
    known = story._execution_ids()
    lines = f"{push_lines(story)}\n{FEWER_TESTS}"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    pushed = subprocess.run(
        ["bash", "-ec", lines], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    said = pushed.stderr.splitlines()
    assert (pushed.returncode, said) == (0, ["Cloning into 'ethnicity-pred-repo'..."])
    (execution,) = story._wait_for_executions({"CloudWatchEvent"}, known)
    for status, rows in story._view()._states(execution):
        assert status == "InProgress", story._why([row for row in rows if row.status == "Failed"])
        if any(row.action == "GetTrainingStatus" and row.status for row in rows):
            break
    assert training_image(played) != image


def training_image(played: Demo) -> str:
    """The newest training job's image, by digest."""
    sagemaker = played.client("sagemaker")
    jobs = sagemaker.list_training_jobs(SortBy="CreationTime", SortOrder="Descending")
    name = jobs["TrainingJobSummaries"][0]["TrainingJobName"]
    job = sagemaker.describe_training_job(TrainingJobName=name)
    image: str = job["AlgorithmSpecification"]["TrainingImage"]
    assert "@sha256:" in image
    return image
