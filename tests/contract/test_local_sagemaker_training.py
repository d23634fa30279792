"""The local SageMaker's rules of training: life of a job, channels, metrics, refusals."""

from __future__ import annotations

import pytest
from local_cloud.sagemaker import channels
from local_cloud.sagemaker.metrics import MetricLog, bad_patterns
from local_cloud.sagemaker.refusals import NotEmulated
from local_cloud.sagemaker.training_job import IllegalTransition, TrainingJob, algorithm_error
from local_cloud.sagemaker.training_rules import BadJob, check_job, with_defaults
from local_cloud.shapes import response_faults, service_model

ARN = "arn:aws:sagemaker:us-east-1:000000000000:training-job/glyphs"
REQUEST = {
    "TrainingJobName": "glyphs",
    "RoleArn": "arn:aws:iam::000000000000:role/sagemaker",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://models/training/"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
DESCRIBE = service_model("sagemaker").operation_model("DescribeTrainingJob")


def job_after(*steps: str) -> TrainingJob:
    job = TrainingJob(REQUEST, ARN, 100.0)
    for number, step in enumerate(steps, start=101):
        job.enter(step, float(number))
    return job


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ([], "InProgress"),
        (["Downloading", "Training"], "InProgress"),
        (["Downloading", "Training", "Uploading", "Completed"], "Completed"),
        (["Downloading", "Training", "Stopping"], "Stopping"),
        (["Downloading", "Training", "Stopping", "Uploading"], "Stopping"),
        (["Downloading", "Training", "Stopping", "Uploading", "Stopped"], "Stopped"),
        (["Downloading", "Training", "Stopping", "Uploading", "MaxRuntimeExceeded"], "Stopped"),
        (["Stopping", "Stopped"], "Stopped"),
    ],
)
def test_each_step_has_its_status(steps, status):
    job = job_after(*steps)
    job.describe()
    assert job.describe()["TrainingJobStatus"] == status
    assert job.describe()["SecondaryStatus"] == (steps or ["Starting"])[-1]
    assert response_faults(DESCRIBE, job.describe()) == []


@pytest.mark.parametrize(
    ("steps", "next_step"),
    [
        ([], "Training"),
        (["Downloading"], "Completed"),
        (["Downloading", "Training", "Uploading", "Completed"], "Stopping"),
        (["Stopping", "Stopped"], "Uploading"),
    ],
)
def test_a_step_that_does_not_follow_is_a_fault(steps, next_step):
    with pytest.raises(IllegalTransition, match=next_step):
        job_after(*steps).enter(next_step, 200.0)


def test_the_first_look_never_shows_the_end():
    job = job_after("Downloading", "Training", "Uploading", "Completed")
    first, second = job.describe(), job.describe()
    assert (first["TrainingJobStatus"], first["SecondaryStatus"]) == ("InProgress", "Uploading")
    assert "TrainingEndTime" not in first
    assert response_faults(DESCRIBE, first) == []
    assert (second["TrainingJobStatus"], second["TrainingEndTime"]) == ("Completed", 104.0)
    assert second["TrainingTimeInSeconds"] == 3


def test_the_first_look_at_a_stopped_job_shows_it_stopping():
    job = job_after("Downloading", "Training", "Stopping", "Uploading", "Stopped")
    assert job.describe()["TrainingJobStatus"] == "Stopping"


def test_a_job_that_was_asked_to_stop_proceeds_no_further():
    job = job_after("Downloading")
    assert job.request_stop(102.0)
    assert not job.request_stop(103.0)
    assert not job.proceed("Training", 104.0)
    assert job.secondary == "Stopping"


@pytest.mark.parametrize("steps", [["Stopping", "Uploading"], ["Uploading", "Stopping"]])
def test_a_job_that_was_stopped_while_it_ended_is_stopped(steps):
    job = job_after("Downloading", "Training", *steps)
    job.end("Completed", 105.0)
    assert (job.status, job.secondary) == ("Stopped", "Stopped")


def test_a_job_that_nobody_stopped_completes():
    job = job_after("Downloading", "Training", "Uploading")
    job.end("Completed", 104.0)
    assert (job.status, job.secondary) == ("Completed", "Completed")


def test_a_failure_says_why_in_1024_characters():
    job = job_after("Downloading", "Training")
    job.fail(algorithm_error("e" * 5000, 7), 103.0)
    job.describe()
    reason = job.describe()["FailureReason"]
    assert reason.startswith("AlgorithmError: eee")
    assert reason.endswith("e, exit code: 7")
    assert len(reason) == 1024


def test_times_follow_each_other():
    job = job_after("Downloading", "Training")
    steps = job.describe()["SecondaryStatusTransitions"]
    assert [(step["StartTime"], step.get("EndTime")) for step in steps] == [
        (100.0, 101.0),
        (101.0, 102.0),
        (102.0, None),
    ]


def test_the_last_value_of_each_metric_counts():
    log = MetricLog([{"Name": "acc", "Regex": "acc=([0-9.]+)"}, {"Name": "x", "Regex": "x=(.*)"}])
    assert [reading.value for reading in log.read("acc=0.5 acc=0.75", 1.0)] == [0.5, 0.75]
    log.read("acc=0.9 x=nothing", 2.0)
    assert log.final() == [{"MetricName": "acc", "Value": 0.9, "Timestamp": 2.0}]
    assert bad_patterns([{"Name": "bad", "Regex": "("}])[0].startswith("bad: ")


@pytest.mark.parametrize(
    ("key", "prefix", "name"),
    [
        ("train/a.csv", "train/", "a.csv"),
        ("train/a.csv", "train", "a.csv"),
        ("train/deep/a.csv", "train/", "deep/a.csv"),
        ("train/a.csv", "train/a", "a.csv"),
        ("train/a.csv", "train/a.csv", "a.csv"),
        ("training/a.csv", "train", "training/a.csv"),
        ("a.csv", "", "a.csv"),
        ("train/", "train/", None),
        ("train/deep/", "train/", None),
    ],
)
def test_objects_lie_below_their_channel(key, prefix, name):
    assert channels.local_name(key, prefix) == name


def test_shards_are_disjoint_and_complete():
    keys = [f"k{number}" for number in range(7)]
    shards = [channels.share(keys, "ShardedByS3Key", host, 3) for host in range(3)]
    assert sorted(key for shard in shards for key in shard) == keys
    assert [len(shard) for shard in shards] == [3, 2, 2]
    assert channels.share(keys, "FullyReplicated", 2, 3) == keys


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "TrainingImage"),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}, "VolumeSizeInGB"),
        ({"StoppingCondition": {"MaxWaitTimeInSeconds": 90}}, "only allowed with"),
        ({"EnableManagedSpotTraining": True}, "greater than or equal"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 3_000_000}}, "at most"),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "i",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "m", "Regex": "["}],
                }
            },
            "m: ",
        ),
    ],
)
def test_what_aws_refuses_is_refused(changes, said):
    with pytest.raises(BadJob, match=said):
        check_job({**REQUEST, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "Pipe"}}, "Pipe"),
        ({"OutputDataConfig": {"S3OutputPath": "https://b.s3/x"}}, "https"),
        ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/tmp/c"}}, "CheckpointConfig"),  # noqa: S108
    ],
)
def test_what_is_not_emulated_is_named(changes, said):
    with pytest.raises(NotEmulated, match=said):
        check_job({**REQUEST, **changes})


def test_a_job_without_a_limit_gets_awss():
    bare = {name: value for name, value in REQUEST.items() if name != "StoppingCondition"}
    check_job(bare)
    assert with_defaults(bare)["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
