"""A local cloud with a quick clock, an image of two tiny programs, and the roles they need."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from local_cloud import launcher
from local_cloud.docker_cli.layers import digest_of, pack
from local_cloud.docker_cli.registry import Registry
from local_cloud.docker_cli.store import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud

PROGRAMS = Path(__file__).with_name("programs")
TIME_SCALE = "0.01"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/sagemaker-execution"
REPOSITORY = "tiny"


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    with local_cloud(tmp_path_factory.mktemp("sagemaker")) as running:
        yield running


@pytest.fixture(scope="session")
def sagemaker(aws: RunningCloud) -> Any:
    return aws.client("sagemaker")


@pytest.fixture(scope="session")
def runtime(aws: RunningCloud) -> Any:
    return aws.client("sagemaker-runtime")


@pytest.fixture(scope="session")
def bucket(aws: RunningCloud) -> str:
    return make_bucket(aws)


@pytest.fixture(scope="session")
def role(aws: RunningCloud) -> str:
    return make_execution_role(aws)


@pytest.fixture(scope="session")
def image(aws: RunningCloud, tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_image(aws, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def acting(aws: RunningCloud) -> Callable[..., Callable[[str], Any]]:
    """Return boto3 clients of a role that may do just this: acting(name, (actions, resource)…)."""

    def act(name: str, *rights: tuple[list[str], Any]) -> Callable[[str], Any]:
        named = {str(number): right for number, right in enumerate(rights)}
        arn = make_role(aws, name, None, named)
        session = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
        keys = session["Credentials"]
        return lambda service: boto3.client(
            service,
            endpoint_url=aws.url,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            config=Config(retries={"max_attempts": 1}),
        )

    return act


@pytest.fixture
def new_job(sagemaker: Any, bucket: str, role: str, image: str) -> Callable[..., dict[str, Any]]:
    """Make a CreateTrainingJob request; keywords replace its members."""

    def make(**changes: Any) -> dict[str, Any]:
        name = f"job-{uuid.uuid4().hex[:8]}"
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/train/"}
        metric = {"Name": "validation_accuracy", "Regex": "validation_accuracy=([0-9.]+)"}
        return {
            "TrainingJobName": name,
            "RoleArn": role,
            "AlgorithmSpecification": {
                "TrainingImage": image,
                "TrainingInputMode": "File",
                "MetricDefinitions": [metric],
            },
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/training/"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **changes,
        }

    return make


@pytest.fixture
def trained(sagemaker: Any) -> Callable[[str], dict[str, Any]]:
    """Wait for a training job's end and describe it."""

    def wait(name: str) -> dict[str, Any]:
        return until(
            lambda: sagemaker.describe_training_job(TrainingJobName=name),
            lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"),
        )

    return wait


@pytest.fixture
def settled(sagemaker: Any) -> Callable[[str], dict[str, Any]]:
    """Wait until an endpoint is no longer in motion and describe it."""

    def wait(name: str) -> dict[str, Any]:
        return until(
            lambda: sagemaker.describe_endpoint(EndpointName=name),
            lambda endpoint: not endpoint["EndpointStatus"].endswith(("ing", "Back")),
        )

    return wait


@dataclass
class Hosting:
    """Makes models, configurations and endpoints of the tiny image."""

    sagemaker: Any
    s3: Any
    image: str
    role: str

    def config(self, model: dict[str, Any], isolated: bool = False, **variant: Any) -> str:
        """Upload a model that says this, and return the name of a configuration that hosts it."""
        sagemaker = self.sagemaker
        name = f"config-{uuid.uuid4().hex[:8]}"
        key = f"models/{name}/model.tar.gz"
        content = archive({"model.json": json.dumps(model).encode()})
        self.s3.put_object(Bucket="ml-data", Key=key, Body=content)
        sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self.role,
            EnableNetworkIsolation=isolated,
            PrimaryContainer={"Image": self.image, "ModelDataUrl": f"s3://ml-data/{key}"},
        )
        serverless = "ServerlessConfig" in variant
        instances = {} if serverless else {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {"VariantName": "AllTraffic", "ModelName": name, **instances, **variant}
            ],
        )
        return name

    def endpoint(self, config: str) -> str:
        """Create an endpoint; it is not waited for."""
        name = f"endpoint-{uuid.uuid4().hex[:8]}"
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        return name


@pytest.fixture(scope="session")
def hosting(aws: RunningCloud, sagemaker: Any, image: str, role: str, bucket: str) -> Hosting:
    return Hosting(sagemaker, aws.client("s3"), image, role)


def make_role(
    aws: RunningCloud, name: str, service: str | None, rights: dict[str, tuple[list[str], Any]]
) -> str:
    principal = {"Service": service} if service else {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    iam = aws.client("iam")
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy([trust]))
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": resource}
        for actions, resource in rights.values()
    ]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=policy(statements))
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def push_image(aws: RunningCloud, root: Path) -> str:
    """Push a folder as an image's only layer; this interpreter's environment runs it."""
    layer = pack(root, "COPY")
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "config": {
                "Env": ["PATH=/opt/program:/usr/local/bin:/usr/bin:/bin"],
                "WorkingDir": "/opt/program",
                "Labels": {"local-cloud.environment": sys.prefix},
            },
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": CONFIG_TYPE, "size": len(config), "digest": digest_of(config)},
        "layers": [{"mediaType": LAYER_TYPE, "size": len(layer.content), "digest": layer.digest}],
    }
    host = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", aws.url)
        registry = Registry(host, token["authorizationToken"])
    registry.push_blob(REPOSITORY, layer.digest, layer.content)
    registry.push_blob(REPOSITORY, digest_of(config), config)
    body = json.dumps(manifest).encode()
    registry.push_manifest(REPOSITORY, uuid.uuid4().hex, body)
    return f"{host}/{REPOSITORY}@{digest_of(body)}"


def archive(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return content.getvalue()


def until(
    look: Callable[[], dict[str, Any]], done: Callable[[dict[str, Any]], bool], limit_s: float = 20
) -> dict[str, Any]:
    deadline = time.monotonic() + limit_s
    while not done(seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not there after {limit_s} s: {seen}")
        time.sleep(0.05)
    return seen


@contextlib.contextmanager
def local_cloud(state: Path) -> Iterator[RunningCloud]:
    """Run a local cloud on which AWS's own waiting times are short."""
    with pytest.MonkeyPatch.context() as patch:
        kept = (*launcher.KEPT_VARIABLES, "LOCAL_CLOUD_TIME_SCALE")
        patch.setattr(launcher, "KEPT_VARIABLES", kept)
        patch.setenv("LOCAL_CLOUD_TIME_SCALE", TIME_SCALE)
        with RunningCloud(state) as running:
            yield running


def make_bucket(aws: RunningCloud) -> str:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="ml-data")
    for number in range(4):
        s3.put_object(Bucket="ml-data", Key=f"train/part-{number}.csv", Body=b"pixels")
    s3.put_object(Bucket="ml-data", Key="train/deep/labels.json", Body=b"{}")
    s3.put_object(Bucket="ml-data", Key="marker/", Body=b"")
    return "ml-data"


def execution_rights() -> dict[str, tuple[list[str], Any]]:
    """The bucket, the registry and its images, logs and metrics, and what alarms say."""
    return {
        "s3": (["s3:GetObject", "s3:PutObject", "s3:ListBucket"], "arn:aws:s3:::ml-data*"),
        "registry": (["ecr:GetAuthorizationToken"], "*"),
        "images": (
            [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{REPOSITORY}",
        ),
        "logs": (
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/*",
        ),
        "metrics": (["cloudwatch:PutMetricData"], "*"),
        "alarms": (
            ["cloudwatch:DescribeAlarms"],
            f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:prod-*",
        ),
    }


def make_execution_role(aws: RunningCloud) -> str:
    """The execution role."""
    return make_role(aws, "sagemaker-execution", "sagemaker.amazonaws.com", execution_rights())


def make_image(aws: RunningCloud, root: Path) -> str:
    """The URI, by digest, of an image that holds `train` and `serve`."""
    aws.client("ecr").create_repository(repositoryName=REPOSITORY)
    shutil.copytree(PROGRAMS, root / "opt" / "program")
    return push_image(aws, root)
