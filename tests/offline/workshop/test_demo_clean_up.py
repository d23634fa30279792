"""`make clean-up` on the local cloud: killed at every step and run again, and by hand before."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud
from package_lambdas import upload
from stacks import Stacks

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).with_name("sagemaker") / "programs"
PREP, PIPELINE = "MLOps-Ethnicity-Prediction", "MLOps-BYO-BuildPipeline"
RUN = f"ethnicity-pred-kmm-{uuid.UUID(int=7)}"
NEIGHBOUR = f"ethnicity-pred-dev-{uuid.UUID(int=9)}"  # UniqueID dev, as in ethnicity-pred-dev-kmm
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DOCKERFILE = """FROM nothing AS serve
ENV PATH=/opt/program:$PATH
WORKDIR /opt/program
COPY programs ./
"""
JOBS = "/aws/sagemaker/TrainingJobs"

pytestmark = [pytest.mark.hard, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_CLOUD_TIME_SCALE", "0.01")
        with RunningCloud(tmp_path_factory.mktemp("clean-up")) as running:
            yield running


@pytest.fixture
def outputs(cloud: RunningCloud) -> dict[str, str]:
    """Both stacks, deployed."""
    stacks = Stacks(cloud.client("cloudformation"), cloud.client("s3"), report=lambda line: None)
    prep = stacks.deploy(PREP, ROOT / "01-prep.yml", {"UniqueID": "kmm"})
    bucket = prep["LambdaFunctionsBucket"]
    zips = sorted((ROOT / "build/lambda").glob("*.zip"))
    parameters = {
        "UniqueID": "kmm",
        "LambdaFunctionsBucket": bucket,
        "LambdaCodePrefix": upload(cloud.client("s3"), bucket, zips),
    }
    template = ROOT / "02-build-pipeline.yml"
    return prep | stacks.deploy(PIPELINE, template, parameters, bucket)


@pytest.fixture(scope="module")
def neighbour(cloud: RunningCloud) -> Callable[[], set[str]]:
    """What belongs to others; returns a look at what is there of it."""
    sagemaker, s3, logs = cloud.client("sagemaker"), cloud.client("s3"), cloud.client("logs")
    bucket, group = "ethnicity-pred-data-dev-0a1b2c3d", "/aws/lambda/Ethnicity-Pred-TrainModel-dev"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="train/train.csv", Body=b"theirs")
    logs.create_log_group(logGroupName=group)
    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=JOBS)
    logs.create_log_stream(logGroupName=JOBS, logStreamName=f"{NEIGHBOUR}/algo-1")
    key = cloud.client("kms").create_key(
        Description="Data, models, artifacts and logs of ethnicity prediction dev"
    )["KeyMetadata"]["KeyId"]
    sagemaker.create_model_package_group(ModelPackageGroupName="ethnicity-pred-models-dev")

    def look() -> set[str]:
        streams = logs.describe_log_streams(logGroupName=JOBS)["logStreams"]
        groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
        return {
            *(b["Name"] for b in s3.list_buckets()["Buckets"] if b["Name"] == bucket),
            *(o["Key"] for o in s3.list_objects_v2(Bucket=bucket).get("Contents", [])),
            *(
                g["logGroupName"]
                for g in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            ),
            *(s["logStreamName"] for s in streams if s["logStreamName"].startswith(NEIGHBOUR)),
            *(
                g["ModelPackageGroupName"]
                for g in groups
                if g["ModelPackageGroupName"].endswith("dev")
            ),
            cloud.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"],
        }

    return look


def clean_up(cloud: RunningCloud, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "scripts/clean_up.py"), "--unique-id", "kmm", *options]
    return subprocess.Popen(
        command,
        env=cloud.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def left(cloud: RunningCloud) -> set[str]:
    """Everything whose name ends in or holds kmm, looked for without clean-up's own code."""
    sagemaker, logs = cloud.client("sagemaker"), cloud.client("logs")
    functions = cloud.client("lambda").list_functions()["Functions"]
    groups = logs.describe_log_groups()["logGroups"]
    streams = logs.describe_log_streams(logGroupName=JOBS)["logStreams"]
    stacks = cloud.client("cloudformation").describe_stacks()["Stacks"]
    registered = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    names = {
        *(s["StackName"] for s in stacks),
        *(e["EndpointName"] for e in sagemaker.list_endpoints()["Endpoints"]),
        *(e["EndpointConfigName"] for e in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        *(m["ModelName"] for m in sagemaker.list_models()["Models"]),
        *(j["TrainingJobName"] for j in sagemaker.list_training_jobs()["TrainingJobSummaries"]),
        *(g["ModelPackageGroupName"] for g in registered),
        *(
            n["NotebookInstanceName"]
            for n in sagemaker.list_notebook_instances()["NotebookInstances"]
        ),
        *(b["Name"] for b in cloud.client("s3").list_buckets()["Buckets"]),
        *(f["FunctionName"] for f in functions),
        *(g["logGroupName"] for g in groups),
        *(s["logStreamName"] for s in streams),
        *(a["AliasName"] for a in cloud.client("kms").list_aliases()["Aliases"]),
        *(p["name"] for p in cloud.client("codepipeline").list_pipelines()["pipelines"]),
        *cloud.client("codebuild").list_projects()["projects"],
        *(
            r["repositoryName"]
            for r in cloud.client("codecommit").list_repositories()["repositories"]
        ),
        *(r["repositoryName"] for r in cloud.client("ecr").describe_repositories()["repositories"]),
        *(a["name"] for a in cloud.client("apigateway").get_rest_apis()["items"]),
        *(r["RoleName"] for r in cloud.client("iam").list_roles()["Roles"]),
    }
    marks = ("kmm", PREP, PIPELINE, "ethnicity-pred-repo", "API-Gateway-Execution-Logs")
    return {name for name in names if any(mark in name for mark in marks)}


def use(cloud: RunningCloud, outputs: dict[str, str], folder: Path) -> None:
    """Leave behind what a workshop does: data in versions, an image, a training, an endpoint."""
    s3, sagemaker = cloud.client("s3"), cloud.client("sagemaker")
    for number in range(40):
        for _ in range(2):
            s3.put_object(Bucket=outputs["DataBucket"], Key=f"images/{number}", Body=b"1")
    s3.delete_object(Bucket=outputs["DataBucket"], Key="images/0")
    s3.put_object(Bucket=outputs["DataBucket"], Key="train/train.csv", Body=b"pixels")
    image, role = push_image(cloud, folder), role_of_sagemaker(cloud)
    model = f"{outputs['ModelArtifactsBucket']}/training/{RUN}/output/model.tar.gz"
    bucket, _, key = model.partition("/")
    s3.put_object(Bucket=bucket, Key=key, Body=archive("model.json", b'{"version": 1}'))
    train(sagemaker, outputs, image, role)
    sagemaker.create_model(
        ModelName=RUN,
        ExecutionRoleArn=role,
        PrimaryContainer={"Image": image, "ModelDataUrl": f"s3://{model}"},
    )
    variant = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName=RUN,
        ProductionVariants=[{"VariantName": "AllTraffic", "ModelName": RUN, **variant}],
    )
    endpoint = outputs["DevEndpointName"]
    sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=RUN)
    sagemaker.get_waiter("endpoint_in_service").wait(
        EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    registry = {"ModelPackageGroupName": outputs["ModelPackageGroupName"]}
    sagemaker.create_model_package_group(**registry)
    for _ in range(2):
        sagemaker.create_model_package(
            **registry,
            InferenceSpecification={
                "Containers": [{"Image": image, "ModelDataUrl": f"s3://{model}"}],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
        )
    group = f"API-Gateway-Execution-Logs_{outputs['ApiId']}/dev"
    cloud.client("logs").create_log_group(logGroupName=group)


def train(sagemaker: Any, outputs: dict[str, str], image: str, role: str) -> None:
    """Start a training that would run for minutes."""
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{outputs['DataBucket']}/train/"}
    sagemaker.create_training_job(
        TrainingJobName=RUN,
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        HyperParameters={"mode": "hang"},
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={
            "S3OutputPath": f"s3://{outputs['ModelArtifactsBucket']}/training/",
            "KmsKeyId": outputs["DataKeyArn"],
        },
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 3600},
    )


def role_of_sagemaker(cloud: RunningCloud) -> str:
    resource = cloud.client("cloudformation").describe_stack_resource(
        StackName=PIPELINE, LogicalResourceId="SageMakerRole"
    )
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def push_image(cloud: RunningCloud, folder: Path) -> str:
    """Build and push an image of two tiny programs; return its name by digest."""
    shutil.copytree(PROGRAMS, folder / "programs")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    token = cloud.client("ecr").get_authorization_token()["authorizationData"][0]
    password = base64.b64decode(token["authorizationToken"]).decode().partition(":")[2]
    environment = cloud.environment() | {"LOCAL_CLOUD_DOCKER_ROOT": str(folder / "docker")}
    name = f"{REGISTRY}/ethnicity-pred-ecr-kmm:tiny"

    def docker(*arguments: str) -> None:
        command = [sys.executable, "-m", "local_cloud.docker_cli", *arguments]
        subprocess.run(command, env=environment, input=password, text=True, check=True)

    docker("login", "--username", "AWS", "--password-stdin", REGISTRY)
    docker("build", "--target", "serve", "--tag", name, str(folder))
    docker("push", name)
    (image,) = cloud.client("ecr").describe_images(repositoryName="ethnicity-pred-ecr-kmm")[
        "imageDetails"
    ]
    return f"{REGISTRY}/ethnicity-pred-ecr-kmm@{image['imageDigest']}"


def killed_after_a_new_step(cloud: RunningCloud, known: set[str]) -> str:
    """Run clean-up and kill it after a step that is not known yet; '' if it ran to its end."""
    process = clean_up(cloud, "--yes")
    for line in process.stdout:
        step = line.removeprefix("done").strip()
        if line.startswith("done") and step not in known:
            process.kill()
            process.wait()
            return step
    assert process.wait() == 0
    return ""


def archive(name: str, body: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(body)
        tar.addfile(member, io.BytesIO(body))
    return content.getvalue()


def test_killed_after_every_step_and_run_again_it_leaves_nothing(
    cloud, outputs, neighbour, tmp_path
):
    use(cloud, outputs, tmp_path)
    theirs = neighbour()
    assert len(theirs) == 6
    done: set[str] = set()
    while new := killed_after_a_new_step(cloud, done):
        done.add(new)
    assert clean_up(cloud, "--yes").wait(timeout=120) == 0
    assert f"stop training job {RUN}" in done
    assert f"delete stack 2 {PIPELINE}" in done
    assert left(cloud) == set()
    assert neighbour() == theirs


def test_run_once_it_tells_its_plan_and_leaves_nothing(cloud, outputs, neighbour, tmp_path):
    use(cloud, outputs, tmp_path)
    theirs = neighbour()
    process = clean_up(cloud, "--yes")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "Left: nothing" in said
    assert "failed" not in said
    assert "AWS deletes it on" in said  # the key
    assert left(cloud) == set()
    assert neighbour() == theirs


def test_with_stack_2_deleted_by_hand_it_finds_the_rest_by_name(cloud, outputs, tmp_path):
    use(cloud, outputs, tmp_path)
    s3 = cloud.client("s3")
    bucket = outputs["CodePipelineArtifactsBucket"]
    for item in s3.list_object_versions(Bucket=bucket).get("Versions", []):
        s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
    cloudformation = cloud.client("cloudformation")
    cloudformation.delete_stack(StackName=PIPELINE)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=PIPELINE, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    assert outputs["DataBucket"] in left(cloud)
    process = clean_up(cloud, "--yes")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "delete stack 2" not in said
    assert left(cloud) == set()


def test_nothing_is_deleted_before_the_answer(cloud, outputs):
    before = left(cloud)
    process = clean_up(cloud)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "Type kmm to delete it" in said
    assert "Nothing was deleted" in said
    assert left(cloud) == before
    assert clean_up(cloud, "--yes").wait(timeout=300) == 0


def test_with_nothing_there_it_says_so_and_is_done(cloud):
    process = clean_up(cloud, "--yes")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "Nothing of UniqueID kmm is here" in said


def test_a_stack_of_the_same_name_but_another_id_is_left_alone(cloud):
    stacks = Stacks(cloud.client("cloudformation"), cloud.client("s3"), report=lambda line: None)
    stacks.deploy(PREP, ROOT / "01-prep.yml", {"UniqueID": "abc", "RepositoryName": "other"})
    assert clean_up(cloud, "--yes").wait(timeout=120) == 0
    assert stacks.describe(PREP)["StackStatus"] == "CREATE_COMPLETE"


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
