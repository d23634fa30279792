"""Training jobs, from the request to the archive in S3."""

from __future__ import annotations

import io
import json
import tarfile
import time

import pytest
from botocore.exceptions import ClientError

from .conftest import execution_rights, make_role


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


def test_the_log_and_the_metrics_reach_cloudwatch(aws, sagemaker, new_job, trained):
    request = new_job()
    sagemaker.create_training_job(**request)
    name = request["TrainingJobName"]
    trained(name)
    logs = aws.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")[
        "logStreams"
    ]
    assert stream["logStreamName"].startswith(f"{name}/algo-1-")
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
    assert [event["message"] for event in events["events"]] == [
        "epoch=1 validation_accuracy=0.5",
        "epoch=2 validation_accuracy=0.75",
        "last line without an end",
    ]
    found = aws.client("cloudwatch").list_metrics(Namespace=group)["Metrics"]
    assert {"Name": "Host", "Value": f"{name}/algo-1"} in [m["Dimensions"][0] for m in found]


def test_the_failure_file_becomes_the_reason(sagemaker, new_job, trained):
    request = new_job(HyperParameters={"mode": "fail"})
    sagemaker.create_training_job(**request)
    job = trained(request["TrainingJobName"])
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: no label column in train.csv xxx")
    assert job["FailureReason"].endswith("x, exit code: 3")
    assert len(job["FailureReason"]) == 1024


def test_a_killed_program_is_said_to_need_memory(sagemaker, new_job, trained):
    request = new_job(HyperParameters={"mode": "killed"})
    sagemaker.create_training_job(**request)
    reason = trained(request["TrainingJobName"])["FailureReason"]
    assert reason.startswith("ClientError: Please use an instance type with more memory")


def test_a_stopped_job_keeps_what_it_saved(aws, sagemaker, new_job, trained):
    request = new_job(HyperParameters={"mode": "hang"})
    sagemaker.create_training_job(**request)
    name = request["TrainingJobName"]
    _wait_for_training(sagemaker, name)
    sagemaker.stop_training_job(TrainingJobName=name)
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Stopping"
    job = trained(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert model_of(aws, job)["algo-1.json"]["stopped"] is True
    with pytest.raises(ClientError, match="the training job is in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName=name)


def test_a_job_that_runs_too_long_is_stopped(aws, sagemaker, new_job, trained):
    request = new_job(
        HyperParameters={"mode": "hang"}, StoppingCondition={"MaxRuntimeInSeconds": 5}
    )
    sagemaker.create_training_job(**request)
    job = trained(request["TrainingJobName"])
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert model_of(aws, job)["algo-1.json"]["stopped"] is True


def test_checkpoints_are_kept_and_found_again(aws, sagemaker, bucket, new_job, trained):
    config = {"S3Uri": f"s3://{bucket}/checkpoints/mine/"}
    seen = []
    for _ in range(2):
        request = new_job(CheckpointConfig=config)
        sagemaker.create_training_job(**request)
        job = trained(request["TrainingJobName"])
        seen.append(model_of(aws, job)["algo-1.json"]["resumed"])
    stored = aws.client("s3").get_object(Bucket=bucket, Key="checkpoints/mine/epoch-2.txt")
    assert stored["Body"].read() == b"weights"
    assert seen == [["epoch-2.txt"], ["epoch-2.txt"]]


def test_hosts_share_the_data_and_know_each_other(aws, sagemaker, bucket, new_job, trained):
    source = {
        "S3DataType": "S3Prefix",
        "S3Uri": f"s3://{bucket}/train/part",
        "S3DataDistributionType": "ShardedByS3Key",
    }
    request = new_job(
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 5},
    )
    sagemaker.create_training_job(**request)
    job = trained(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    model = model_of(aws, job)
    assert model["algo-1.json"]["files"] == ["train/part-0.csv", "train/part-2.csv"]
    assert model["algo-2.json"]["files"] == ["train/part-1.csv", "train/part-3.csv"]
    assert model["algo-2.json"]["resourceconfig"]["hosts"] == ["algo-1", "algo-2"]
    assert model["algo-2.json"]["hostname"] == "algo-2"
    assert model["algo-2.json"]["addresses"] == ["127.0.0.1", "127.0.0.2"]


def test_an_isolated_job_sees_neither_credentials_nor_endpoint(aws, sagemaker, new_job, trained):
    request = new_job(EnableNetworkIsolation=True)
    sagemaker.create_training_job(**request)
    environment = model_of(aws, trained(request["TrainingJobName"]))["algo-1.json"]["environment"]
    aws_names = {name for name in environment if name.startswith("AWS_")}
    assert aws_names == {"AWS_REGION", "AWS_DEFAULT_REGION"}


def test_the_role_needs_the_key_that_encrypts_the_model(aws, sagemaker, bucket, new_job, trained):
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    output = {"S3OutputPath": f"s3://{bucket}/training/", "KmsKeyId": key}
    request = new_job(OutputDataConfig=output)
    sagemaker.create_training_job(**request)
    job = trained(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Artifact upload failed:")
    assert "kms:GenerateDataKey" in job["FailureReason"]

    use = {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key}
    aws.client("iam").put_role_policy(
        RoleName="sagemaker-execution",
        PolicyName="key",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [use]}),
    )
    request = new_job(OutputDataConfig=output)
    sagemaker.create_training_job(**request)
    assert trained(request["TrainingJobName"])["TrainingJobStatus"] == "Completed"
    model = f"training/{request['TrainingJobName']}/output/model.tar.gz"
    stored = aws.client("s3").head_object(Bucket=bucket, Key=model)
    assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"]) == ("aws:kms", key)


def test_a_volume_key_needs_a_grant_by_the_role_or_the_caller(aws, role, new_job, acting):
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    volume = {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 1,
        "VolumeSizeInGB": 5,
        "VolumeKmsKeyId": key,
    }
    create = (["sagemaker:CreateTrainingJob", "iam:PassRole"], "*")
    with pytest.raises(ClientError, match="kms:CreateGrant"):
        acting("no-grant", create)("sagemaker").create_training_job(
            **new_job(ResourceConfig=volume)
        )
    granting = acting("grants", create, (["kms:CreateGrant"], key))("sagemaker")
    granting.create_training_job(**new_job(ResourceConfig=volume))


@pytest.mark.parametrize("prefix", ["nothing/", "marker/"])
def test_a_channel_without_objects_is_refused(sagemaker, bucket, role, new_job, prefix):
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{prefix}"}
    channel = {"ChannelName": "train", "DataSource": {"S3DataSource": source}}
    with pytest.raises(ClientError) as raised:
        sagemaker.create_training_job(**new_job(InputDataConfig=[channel]))
    error = raised.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"] == (
        f'No S3 objects found under S3 URL "s3://{bucket}/{prefix}" given in input data source. '
        "Please ensure that the bucket exists in the selected region (us-east-1), that objects "
        f'exist under that S3 prefix, and that the role "{role}" has "s3:ListBucket" permissions '
        f'on bucket "{bucket}".'
    )


def test_a_name_is_used_once(sagemaker, new_job, trained):
    request = new_job()
    sagemaker.create_training_job(**request)
    with pytest.raises(sagemaker.exceptions.ResourceInUse, match="must be unique"):
        sagemaker.create_training_job(**request)
    trained(request["TrainingJobName"])


def test_a_role_that_does_not_trust_sagemaker_is_refused(aws, sagemaker, new_job, acting):
    acting("trusts-the-account")
    role = "arn:aws:iam::000000000000:role/trusts-the-account"
    with pytest.raises(ClientError, match=f"Could not assume role {role}"):
        sagemaker.create_training_job(**new_job(RoleArn=role))


def test_an_image_that_is_not_there_fails_the_job(sagemaker, image, new_job, trained):
    missing = image.split("@")[0] + "@sha256:" + "0" * 64
    specification = {"TrainingImage": missing, "TrainingInputMode": "File"}
    request = new_job(AlgorithmSpecification=specification)
    sagemaker.create_training_job(**request)
    reason = trained(request["TrainingJobName"])["FailureReason"]
    assert reason.startswith("ClientError: Cannot pull the training image")


@pytest.mark.parametrize(
    ("right", "named"),
    [("registry", "ecr:GetAuthorizationToken"), ("images", "ecr:BatchGetImage")],
)
def test_a_role_that_may_not_pull_fails_the_job(aws, sagemaker, new_job, trained, right, named):
    rights = execution_rights()
    del rights[right]
    role = make_role(aws, f"pulls-without-{right}", "sagemaker.amazonaws.com", rights)
    request = new_job(RoleArn=role)
    sagemaker.create_training_job(**request)
    reason = trained(request["TrainingJobName"])["FailureReason"]
    assert reason.startswith("ClientError: Cannot pull the training image")
    assert named in reason


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}, "VpcConfig"),
        ({"RetryStrategy": {"MaximumRetryAttempts": 3}}, "RetryStrategy"),
        ({"ProfilerConfig": {"S3OutputPath": "s3://b/p"}}, "ProfilerConfig"),
    ],
)
def test_what_is_not_emulated_is_refused_by_name(sagemaker, new_job, changes, named):
    with pytest.raises(ClientError) as raised:
        sagemaker.create_training_job(**new_job(**changes))
    answer = raised.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert named in answer["Error"]["Message"]


def test_an_operation_that_is_not_emulated_answers_501(sagemaker):
    with pytest.raises(ClientError) as raised:
        sagemaker.list_domains()
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "ListDomains" in raised.value.response["Error"]["Message"]


def test_a_job_that_is_unknown_is_not_found(sagemaker):
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName="nobody")


def test_tags_and_lists_and_deletion(sagemaker, new_job, trained):
    request = new_job(Tags=[{"Key": "pipeline-execution-id", "Value": "3f2c:1"}])
    arn = sagemaker.create_training_job(**request)["TrainingJobArn"]
    name = request["TrainingJobName"]
    trained(name)
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "unique-id", "Value": "a1b"}])
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "pipeline-execution-id", "Value": "3f2c:1"},
        {"Key": "unique-id", "Value": "a1b"},
    ]
    listed = sagemaker.list_training_jobs(NameContains=name, StatusEquals="Completed")
    assert [job["TrainingJobArn"] for job in listed["TrainingJobSummaries"]] == [arn]
    sagemaker.delete_training_job(TrainingJobName=name)
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName=name)
    with pytest.raises(ClientError, match="Could not find resource"):
        sagemaker.list_tags(ResourceArn=arn)


def test_rights_are_asked_for_one_by_one(new_job, role, acting):
    jobs = "arn:aws:sagemaker:us-east-1:000000000000:training-job/job-*"
    create = (["sagemaker:CreateTrainingJob"], jobs)
    tag = (["sagemaker:AddTags"], jobs)
    pass_role = (["iam:PassRole"], role)
    tagged = {"Tags": [{"Key": "pipeline-execution-id", "Value": "3f2c:1"}]}
    for name, rights, missing in (
        ("may-nothing", [], "sagemaker:CreateTrainingJob"),
        ("may-create", [create, tag], "iam:PassRole"),
        ("may-not-tag", [create, pass_role], "sagemaker:AddTags"),
    ):
        client = acting(name, *rights)("sagemaker")
        with pytest.raises(ClientError) as raised:
            client.create_training_job(**new_job(**tagged))
        error = raised.value.response["Error"]
        assert error["Code"] == "AccessDeniedException"
        assert missing in error["Message"]
    able = acting("may-all", create, tag, pass_role)("sagemaker")
    able.create_training_job(**new_job(**tagged))


def _wait_for_training(sagemaker, name: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        if job.get("FinalMetricDataList"):
            return
        time.sleep(0.05)
    raise AssertionError(f"{name} did not begin to train")
