"""The two templates, read once, and stacks made of them on paper; the container's programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import draw_glyphs
import pytest
from cfn_template import Resolver, load
from local_cloud.docker_cli.prime import environment_of

sys.path.append(str(Path(__file__).parent))

from container_process import lay_out, log_of, train

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
def model_python() -> Path:
    """The Python of the container's target `test`: torch, ONNX Runtime and pytest."""
    return _python_of("test")


@pytest.fixture(scope="session")
def serve_python() -> Path:
    """The Python of the container's target `serve`: ONNX Runtime only."""
    return _python_of("serve")


def _python_of(target: str) -> Path:
    arguments = {"TORCH_INDEX_URL": os.environ.get("TORCH_INDEX_URL", "")}
    return environment_of(ROOT / "model-code/Dockerfile", target, arguments) / "bin/python"


@pytest.fixture(scope="session")
def trained_on_glyphs(model_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job that trained on the embedded data with the default hyperparameters."""
    root = tmp_path_factory.mktemp("glyphs")
    draw_glyphs.write_data(root / "input/data", draw_glyphs.SEED, draw_glyphs.ROWS)
    lay_out(root)
    code = train(model_python, root, TRAINING_JOB_NAME="glyphs-1")
    assert code == 0, log_of(root, "train")
    return root
