"""The two templates, read once, and stacks made of them on paper; the container's programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import draw_glyphs
import pytest
from cfn_template import Resolver, load

sys.path.append(str(Path(__file__).parent))

from containers import (
    DockerImages,
    Images,
    ProcessImages,
    lay_out,
    log_of,
    require_docker,
    sweep,
    train,
)

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "a-stack",
    "AWS::StackId": "arn:aws:cloudformation:us-east-1:123456789012:stack/a-stack/"
    "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9",
    "UniqueID": "kmm",
    "LambdaFunctionsBucket": "ethnicity-pred-lambda-code-kmm-0a1b2c3d",
    "import:ethnicity-pred-kmm-RepositoryName": "ethnicity-pred-repo",
    "import:ethnicity-pred-kmm-NotebookRoleName": "the-notebook-role",
}
NAME_PROPERTIES = {  # resource type → the property that Ref returns
    "AWS::S3::Bucket": "BucketName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::CodeBuild::Project": "Name",
    "AWS::CodePipeline::Pipeline": "Name",
    "AWS::Serverless::Function": "FunctionName",
    "AWS::CloudWatch::Alarm": "AlarmName",
}


@pytest.fixture(scope="session")
def prep() -> dict[str, Any]:
    return load(ROOT / "01-prep.yml")


@pytest.fixture(scope="session")
def pipeline() -> dict[str, Any]:
    return load(ROOT / "02-build-pipeline.yml")


@pytest.fixture(scope="session", params=["01-prep.yml", "02-build-pipeline.yml"])
def template_path(request: pytest.FixtureRequest) -> Path:
    return ROOT / request.param


@pytest.fixture(scope="session")
def template(template_path: Path) -> dict[str, Any]:
    return load(template_path)


@pytest.fixture(scope="session")
def stack_of() -> Callable[..., Resolver]:
    """Return resolver = stack_of(template, Parameter="value"); unknown things come to "<name>"."""

    def make(template: dict[str, Any], **parameters: str) -> Resolver:
        def otherwise(name: str) -> str:
            resource = template["Resources"].get(name, {})
            named = resource.get("Properties", {}).get(NAME_PROPERTIES.get(resource.get("Type")))
            return str(resolver(named)) if named else f"<{name}>"

        resolver = Resolver(template, ACCOUNT | parameters, otherwise)
        return resolver

    return make


@pytest.fixture
def stack(stack_of: Callable[..., Resolver], pipeline: dict[str, Any]) -> Resolver:
    """Stack 2 with every parameter at its default."""
    return stack_of(pipeline)


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> ProcessImages:
    """The process engine."""
    return ProcessImages(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def docker_images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerImages]:
    """The Docker engine; without one the test is skipped."""
    require_docker()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_CLOUD_STATE", str(tmp_path_factory.mktemp("state")))
        yield DockerImages()
        sweep()


@pytest.fixture(
    scope="session",
    params=["processes", pytest.param("docker_images", marks=pytest.mark.docker)],
    ids=["process", "docker"],
)
def images(request: pytest.FixtureRequest) -> Images:
    """Each of the engines, with the images of the Dockerfile's targets."""
    made: Images = request.getfixturevalue(request.param)
    return made


@pytest.fixture(scope="session")
def trained_on_glyphs(processes: ProcessImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job that trained on the embedded data with the default hyperparameters."""
    root = tmp_path_factory.mktemp("glyphs")
    draw_glyphs.write_data(root / "input/data", draw_glyphs.SEED, draw_glyphs.ROWS)
    lay_out(root, processes)
    code = train(processes, root, TRAINING_JOB_NAME="glyphs-1")
    assert code == 0, log_of(root, "train")
    return root
