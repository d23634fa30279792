"""StartTraining's decisions."""

import re

import pytest
from common.failures import WrongConfiguration
from training_job import differences
from training_request import (
    METRICS,
    Settings,
    TrainingParams,
    hyperparameters,
    image_uri,
    job_event_info,
    training_request,
)

DIGEST = "sha256:" + "a" * 64
IMAGE = {
    "repository": "0.dkr.ecr.us-east-1.amazonaws.com/ethnicity-pred-ecr-kmm",
    "commit": "c0ffee",
    "train": {"tag": "c0ffee-train", "digest": DIGEST},
    "serve": {"tag": "c0ffee-serve", "digest": "sha256:" + "b" * 64},
}
SETTINGS = Settings("kmm", "arn:aws:iam::0:role/sm", "models", "arn:aws:kms:us-east-1:0:key/k")
JOB = "11111111-2222-3333-4444-555555555555"


def request(channels=("train",), **params):
    given = TrainingParams(execution_id="e-1", data_bucket="data", **params)
    return training_request(IMAGE, given, SETTINGS, JOB, channels)


def test_the_image_is_named_by_digest_never_by_tag():
    image = request()["AlgorithmSpecification"]["TrainingImage"]
    assert image == f"{IMAGE['repository']}@{DIGEST}"


@pytest.mark.parametrize(
    "image",
    [
        {},
        IMAGE | {"train": {"tag": "latest"}},
        IMAGE | {"train": {"digest": "latest"}},
        IMAGE | {"train": "c0ffee-train"},
        IMAGE | {"repository": ""},
        IMAGE | {"commit": None},
    ],
)
def test_an_image_json_without_a_digest_fails_and_names_the_action_that_wrote_it(image):
    with pytest.raises(WrongConfiguration, match="BuildImage"):
        image_uri(image, "train")


def test_the_job_is_named_after_the_pipeline_job_and_so_is_its_checkpoint():
    with_checkpoints = request(checkpoints=True)
    name = f"ethnicity-pred-kmm-{JOB}"
    assert with_checkpoints["TrainingJobName"] == name
    assert with_checkpoints["CheckpointConfig"]["S3Uri"] == f"s3://models/checkpoints/{name}/"
    assert "CheckpointConfig" not in request()


def test_channels_are_folders_of_the_data_bucket():
    channels = request(["train", "validation"])["InputDataConfig"]
    uris = [c["DataSource"]["S3DataSource"]["S3Uri"] for c in channels]
    assert uris == ["s3://data/train/", "s3://data/validation/"]


def test_every_metric_is_read_from_the_line_that_train_logs():
    line = "epoch=3 train_loss=4.1e-02 validation_accuracy=0.93 validation_macro_recall=0.92"
    found = {
        d["Name"]: re.search(d["Regex"], line).group(1)
        for d in request()["AlgorithmSpecification"]["MetricDefinitions"]
    }
    assert found == dict(zip(METRICS, ["4.1e-02", "0.93", "0.92"], strict=True))


def test_the_training_is_cut_off_from_the_network():
    assert request()["EnableNetworkIsolation"] is True


def test_traffic_between_several_hosts_is_encrypted():
    assert request(instance_count=2)["EnableInterContainerTrafficEncryption"] is True
    assert request()["EnableInterContainerTrafficEncryption"] is False


def test_a_spot_job_waits_at_least_as_long_as_it_may_run_and_can_resume():
    spot = request(spot=True, max_runtime_s=9_000, max_wait_s=60)
    assert spot["StoppingCondition"] == {"MaxRuntimeInSeconds": 9000, "MaxWaitTimeInSeconds": 9000}
    waiting = request(spot=True, max_runtime_s=9_000)["StoppingCondition"]
    assert waiting["MaxWaitTimeInSeconds"] == 12_600
    assert spot["EnableManagedSpotTraining"] is True
    assert "CheckpointConfig" in spot


def test_the_volume_key_is_left_out_where_sagemaker_refuses_it():
    assert "VolumeKmsKeyId" in request()["ResourceConfig"]
    assert "VolumeKmsKeyId" not in request(instance_type="ml.g4dn.xlarge")["ResourceConfig"]


def test_hyperparameters_become_strings_as_sagemaker_wants():
    assert hyperparameters({"epochs": 3, "lr": 0.1, "flip": True, "name": "x"}) == {
        "epochs": "3",
        "lr": "0.1",
        "flip": "true",
        "name": "x",
    }


@pytest.mark.parametrize("values", [{"x": "y" * 2_501}, {str(i): 1 for i in range(101)}])
def test_hyperparameters_beyond_sagemakers_limits_are_refused(values):
    with pytest.raises(WrongConfiguration, match="hyperparameters"):
        hyperparameters(values)


def test_the_output_names_all_that_the_next_actions_need():
    params = TrainingParams(execution_id="e-1", data_bucket="data")
    assert job_event_info(IMAGE, params, "job") == {
        "kind": "training-job",
        "training_job_name": "job",
        "train_image": f"{IMAGE['repository']}@{DIGEST}",
        "serve_image": f"{IMAGE['repository']}@{IMAGE['serve']['digest']}",
        "commit": "c0ffee",
        "data_bucket": "data",
        "execution_id": "e-1",
    }


def test_the_same_job_described_by_sagemaker_shows_no_difference():
    assert differences(request(["train", "validation"]), request(["validation", "train"])) == []


def test_another_job_of_the_same_name_is_told_by_what_differs():
    other = request(hyperparameters={"epochs": 9})
    assert differences(other, request(["train", "validation"])) == [
        "set of hyperparameters",
        "data",
    ]
