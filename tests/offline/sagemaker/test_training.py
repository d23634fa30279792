"""Training jobs, from the request to the archive in S3."""

from __future__ import annotations

import io
import json
import tarfile

import pytest


def model_of(aws, job: dict) -> dict[str, dict]:
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"][5:].partition("/")
    body = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {name: json.load(tar.extractfile(name)) for name in tar.getnames()}


def test_a_job_trains_and_stores_its_model(aws, sagemaker, new_job, trained):
    request = new_job(HyperParameters={"epochs": "2"}, Environment={"MODE": "test"})
    created = sagemaker.create_training_job(**request)
    name = request["TrainingJobName"]
    first = sagemaker.describe_training_job(TrainingJobName=name)
    assert first["TrainingJobStatus"] == "InProgress"

    job = trained(name)

    assert job["TrainingJobStatus"] == "Completed"
    assert job["ModelArtifacts"] == {
        "S3ModelArtifacts": f"s3://ml-data/training/{name}/output/model.tar.gz"
    }
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    metric = job["FinalMetricDataList"][0]
    assert (metric["MetricName"], metric["Value"]) == ("validation_accuracy", 0.75)
    seen = model_of(aws, job)["algo-1.json"]
    assert seen["hyperparameters"] == {"epochs": "2"}
    assert seen["files"] == ["train/deep/labels.json", *(f"train/part-{n}.csv" for n in range(4))]
    assert seen["environment"]["TRAINING_JOB_NAME"] == name
    assert seen["environment"]["TRAINING_JOB_ARN"] == created["TrainingJobArn"]
    assert seen["environment"]["MODE"] == "test"
    assert seen["environment"]["AWS_SESSION_TOKEN"]
