"""`make clean-up` after the demo, while a run is under way: asked, killed midway, run again."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from demo.story import PREP_STACK, ROOT
from local_cloud.launcher import REGION

from .conftest import TRAINING_LOGS, Demo

RUN = f"ethnicity-pred-kmm-{uuid.UUID(int=7)}"
NEIGHBOUR = f"ethnicity-pred-dev-{uuid.UUID(int=9)}"  # UniqueID dev, as in ethnicity-pred-dev-kmm
KILLED_AT = (  # the first step of a kind that is done
    "stop training job",
    "empty working bucket",
    "delete stack 2",
    "delete kept bucket",
)

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def used(played: Demo) -> Demo:
    """The demo, and what else a workshop leaves behind."""
    s3, bucket = played.client("s3"), played.story.pipeline["DataBucket"]
    for number in range(3):
        s3.put_object(Bucket=bucket, Key="images/again.jpg", Body=bytes([number]))
    s3.delete_object(Bucket=bucket, Key="images/again.jpg")
    train_for_long(played.client("sagemaker"))
    group = f"API-Gateway-Execution-Logs_{played.story.pipeline['ApiId']}/dev"
    played.client("logs").create_log_group(logGroupName=group)
    return played


def train_for_long(sagemaker: Any) -> None:
    """Start a training job like the demo's own, but one that would run for hours."""
    jobs = sagemaker.list_training_jobs(SortBy="CreationTime")["TrainingJobSummaries"]
    job = sagemaker.describe_training_job(TrainingJobName=jobs[0]["TrainingJobName"])
    members = (
        "AlgorithmSpecification",
        "RoleArn",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
        "StoppingCondition",
        "EnableNetworkIsolation",
    )
    sagemaker.create_training_job(
        TrainingJobName=RUN,
        HyperParameters={"epochs": "1000", "patience": "1000"},
        **{name: job[name] for name in members},
    )


@pytest.fixture(scope="module")
def neighbour(played: Demo) -> Callable[[], set[str]]:
    """What belongs to others; returns a look at what is there of it."""
    s3, logs, sagemaker = (played.client(name) for name in ("s3", "logs", "sagemaker"))
    bucket, group = "ethnicity-pred-data-dev-0a1b2c3d", "/aws/lambda/Ethnicity-Pred-TrainModel-dev"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="train/train.csv", Body=b"theirs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=TRAINING_LOGS, logStreamName=f"{NEIGHBOUR}/algo-1")
    description = "Data, models, artifacts and logs of ethnicity prediction dev"
    key = played.client("kms").create_key(Description=description)["KeyMetadata"]["KeyId"]
    sagemaker.create_model_package_group(ModelPackageGroupName="ethnicity-pred-models-dev")

    def look() -> set[str]:
        buckets = {item["Name"] for item in s3.list_buckets()["Buckets"]}
        keys = {item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}
        groups = {item["logGroupName"] for item in logs.describe_log_groups()["logGroups"]}
        streams = logs.describe_log_streams(logGroupName=TRAINING_LOGS)["logStreams"]
        packages = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        return (
            (buckets & {bucket})
            | keys
            | (groups & {group})
            | {s["logStreamName"] for s in streams if s["logStreamName"].startswith(NEIGHBOUR)}
            | {p["ModelPackageGroupName"] for p in packages} & {"ethnicity-pred-models-dev"}
            | {played.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]}
        )

    return look


def steps_until(process: subprocess.Popen[str], step: str) -> list[str]:
    """Read the steps done and kill the process after the first one that begins so."""
    done = []
    assert process.stdout
    for line in process.stdout:
        if line.startswith("done"):
            done.append(line.removeprefix("done").strip())
            if done[-1].startswith(step):
                process.kill()
                break
    process.wait()
    return done


def test_nothing_is_deleted_before_the_answer(played, clean_up, inventory):
    before = inventory(played.story)
    process = clean_up(played.story)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "Type kmm to delete it" in said
    assert "Nothing was deleted" in said
    assert inventory(played.story) >= before


def test_killed_midway_and_run_again_it_leaves_nothing(used, clean_up, inventory, neighbour):
    theirs = neighbour()
    assert len(theirs) == 6
    for step in KILLED_AT:
        done = steps_until(clean_up(used.story, "--yes"), step)
        assert done[-1:] == [s for s in done if s.startswith(step)], f"not killed at {step}: {done}"
    process = clean_up(used.story, "--yes")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "Left: nothing" in said
    assert "failed" not in said
    assert "AWS deletes it on" in said  # the key
    assert inventory(used.story) == set()
    assert neighbour() == theirs


@pytest.mark.hard
def test_killed_after_every_step_and_run_again_it_leaves_nothing(
    used, clean_up, inventory, neighbour
):
    theirs = neighbour()
    while done := steps_until(clean_up(used.story, "--yes"), ""):
        assert len(done) == 1
    assert inventory(used.story) == set()
    assert neighbour() == theirs


def test_with_nothing_there_it_says_so_and_is_done(used, clean_up):
    process = clean_up(used.story, "--yes")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "Nothing of UniqueID kmm is here" in said


def test_a_stack_of_the_same_name_but_another_id_is_left_alone(used, clean_up):
    stacks = used.story._stacks()
    parameters = {"UniqueID": "abc", "RepositoryName": "other"}
    stacks.deploy(PREP_STACK, ROOT / "01-prep.yml", parameters)
    assert clean_up(used.story, "--yes").wait(timeout=120) == 0
    assert stacks.describe(PREP_STACK)["StackStatus"] == "CREATE_COMPLETE"


def test_without_credentials_it_does_not_begin(tmp_path):
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": REGION,
    }
    command = [sys.executable, str(ROOT / "scripts/clean_up.py"), "--unique-id", "kmm"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "credentials" in done.stderr
