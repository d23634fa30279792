"""The lab notebook, run cell by cell where and as its instance would, and the clean-up after it."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from demo import calls
from demo.story import PIPELINE_STACK, Story
from local_cloud.launcher import ACCOUNT, REGION

from .conftest import Deployed
from .notebook import PlayedNotebook, kernel_environment, play

LAB = "03.MLOps-BYO-LabNotebook.ipynb"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def story(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with deployed(tmp_path_factory.mktemp("lab")) as story:
        yield story


@pytest.fixture(scope="module")
def lab(story: Story) -> PlayedNotebook:
    return play(staged_clone(story) / LAB, notebook_environment(story))


def notebook_environment(story: Story) -> dict[str, str]:
    """Act as the notebook's own role: whatever it may not do must fail here."""
    role = story.prep["NotebookRoleName"]
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    story.cloud.client("iam").update_assume_role_policy(
        RoleName=role, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    session = story.cloud.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="SageMaker"
    )
    keys = session["Credentials"]
    return kernel_environment(
        story.work,
        AWS_ENDPOINT_URL=story.cloud.url,
        AWS_DEFAULT_REGION=REGION,
        AWS_ACCESS_KEY_ID=keys["AccessKeyId"],
        AWS_SECRET_ACCESS_KEY=keys["SecretAccessKey"],
        AWS_SESSION_TOKEN=keys["SessionToken"],
        AWS_EC2_METADATA_DISABLED="true",
    )


def staged_clone(story: Story) -> Path:
    """Lay ~/SageMaker out as on the instance: the empty clone, and byo-staging copied into it."""
    clone, staging = story.work / "ethnicity-pred-repo", story.work / "byo-staging"
    url = story.prep["RepositoryCloneUrl"]
    calls.git(["clone", "--quiet", url, str(clone)], story.work, story.environment)
    staged = story.cloud.client("s3").get_object(
        Bucket=story.prep["LambdaFunctionsBucket"], Key="byo-staging.zip"
    )
    with zipfile.ZipFile(io.BytesIO(staged["Body"].read())) as archive:
        archive.extractall(staging)
    subprocess.run(["bash", "-c", f"cp -R {staging}/* {clone}/"], check=True)
    return clone


def test_every_cell_of_the_lab_runs_as_the_notebooks_role(lab):
    counts = [cell.execution_count for cell in lab.code_cells]
    assert counts == list(range(1, len(counts) + 1))


def test_the_lab_shows_its_data_and_the_models_answers(lab):
    for cell_id in ("draw", "counts", "dev-all", "compare", "cured"):
        assert lab.pictures(cell_id) == 1, cell_id
    assert "14 of 14 test images were answered right" in lab.output("dev-all")


def test_the_first_run_waits_for_the_approval_and_then_ends_in_production(lab):
    assert "waits for approval" in lab.output("follow")
    assert "<b>Succeeded</b>" in lab.output("follow-prod")
    assert "probabilities" in lab.output("prod-one")


def test_the_gate_stops_the_model_that_lacks_a_group_and_says_why(lab):
    assert "<b>Failed</b>" in lab.output("leave-out")
    said = lab.output("stopped")
    assert "EvaluateModel/FullTest: the gate stops this model" in said
    assert "Star" in said


def test_production_keeps_the_approved_model_while_the_biased_one_is_stopped(lab):
    version = lab.output("prod-one").split("'version': '")[1].split("'")[0]
    assert version in lab.output("prod-still")


def test_the_complete_data_pass_again(lab):
    assert "waits for approval" in lab.output("retrain")
    assert "<b>Succeeded</b>" in lab.output("release-again")


def test_the_commit_holds_the_staged_files_and_nothing_that_running_left(lab):
    listed = subprocess.run(
        ["git", "ls-files"], cwd=lab.folder, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {"model-code/Dockerfile", LAB, "draw_glyphs.py", "test-data/labels.csv"} <= set(listed)
    assert not [name for name in listed if "__pycache__" in name or name.startswith("data/")]


def test_new_data_retrain_with_the_image_of_the_last_commit(lab, story):
    sagemaker = story.cloud.client("sagemaker")
    listed = sagemaker.list_training_jobs()["TrainingJobSummaries"]
    jobs = [sagemaker.describe_training_job(TrainingJobName=j["TrainingJobName"]) for j in listed]
    assert len(jobs) == 3
    assert len({job["AlgorithmSpecification"]["TrainingImage"] for job in jobs}) == 1


@pytest.mark.parametrize("stage", ["Dev", "Prod"])
def test_every_release_updates_the_endpoint_under_its_name(lab, story, stage):
    sagemaker = story.cloud.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=story.pipeline[f"{stage}EndpointName"])
    assert endpoint["EndpointStatus"] == "InService"
    jobs = sagemaker.list_training_jobs(SortBy="CreationTime", SortOrder="Descending")
    newest, *older = jobs["TrainingJobSummaries"]
    model = sagemaker.describe_model(ModelName=newest_model(sagemaker, endpoint))
    assert newest["TrainingJobName"] in model["PrimaryContainer"]["ModelDataUrl"]
    assert endpoint["CreationTime"] < older[0]["CreationTime"]


def newest_model(sagemaker: Any, endpoint: dict[str, Any]) -> str:
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    (variant,) = config["ProductionVariants"]
    name: str = variant["ModelName"]
    return name


def test_with_stack_2_deleted_by_hand_clean_up_finds_the_rest_by_name(
    lab, story, clean_up, inventory
):
    """The lab's last section, after everything that a workshop leaves behind."""
    s3, bucket = story.cloud.client("s3"), story.pipeline["CodePipelineArtifactsBucket"]
    for item in s3.list_object_versions(Bucket=bucket).get("Versions", []):
        s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
    cloudformation = story.cloud.client("cloudformation")
    cloudformation.delete_stack(StackName=PIPELINE_STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=PIPELINE_STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    assert story.pipeline["DataBucket"] in inventory(story)
    process = clean_up(story, "--yes")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "Left: nothing" in said
    assert "delete stack 2" not in said
    assert inventory(story) == set()
