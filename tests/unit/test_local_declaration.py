"""What CodePipeline refuses when a pipeline is declared, and what of it we would not honour."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from local_cloud.codepipeline.declaration import parse
from local_cloud.errors import ApiError


def kind(category: str, provider: str) -> dict[str, str]:
    return {"category": category, "owner": "AWS", "provider": provider, "version": "1"}


SOURCE: dict[str, Any] = {
    "name": "Get",
    "actionTypeId": kind("Source", "CodeCommit"),
    "configuration": {
        "RepositoryName": "repo",
        "BranchName": "main",
        "PollForSourceChanges": "false",
    },
    "outputArtifacts": [{"name": "Code"}],
    "namespace": "Src",
}
INVOKE: dict[str, Any] = {
    "name": "Call",
    "actionTypeId": kind("Invoke", "Lambda"),
    "configuration": {"FunctionName": "f", "UserParameters": "#{Src.CommitId}"},
    "inputArtifacts": [{"name": "Code"}],
}
CLONE = {**SOURCE["configuration"], "OutputArtifactFormat": "CODEBUILD_CLONE_REF"}
PIPELINE: dict[str, Any] = {
    "name": "pipe",
    "roleArn": "arn:aws:iam::000000000000:role/pipe",
    "pipelineType": "V2",
    "artifactStore": {
        "type": "S3",
        "location": "store",
        "encryptionKey": {"id": "arn:key", "type": "KMS"},
    },
    "stages": [
        {"name": "Source", "actions": [SOURCE]},
        {"name": "Run", "actions": [INVOKE]},
    ],
}


def declared(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(PIPELINE), **changes}


def with_action(stage: int, **changes: Any) -> dict[str, Any]:
    pipeline = declared()
    pipeline["stages"][stage]["actions"][0].update(changes)
    return pipeline


def refused(pipeline: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as error:
        parse(pipeline, 1, "us-east-1")
    return error.value


def test_a_declaration_is_read_with_its_defaults() -> None:
    pipeline = parse(declared(), 3, "us-east-1")
    assert (pipeline.version, pipeline.mode, pipeline.bucket) == (3, "SUPERSEDED", "store")
    assert pipeline.encryption_key == "arn:key"
    assert pipeline.stages[1].actions[0].run_order == 1


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        (declared(triggers=[]), "triggers"),
        (declared(executionMode="PARALLEL"), "PARALLEL"),
        (with_action(0, commands=["ls"]), "stages[0].actions[0].commands"),
        (with_action(1, outputArtifacts=[{"name": "X", "files": ["x"]}]), "files"),
        (
            declared(stages=[PIPELINE["stages"][0], {**PIPELINE["stages"][1], "onFailure": {}}]),
            "onFailure",
        ),
        (with_action(0, configuration={"RepositoryName": "r", "BranchName": "b"}), "rule"),
        (
            with_action(0, configuration=CLONE),
            "OutputArtifactFormat",
        ),
        (
            with_action(1, actionTypeId={**INVOKE["actionTypeId"], "provider": "StepFunctions"}),
            "StepFunctions",
        ),
    ],
)  # fmt: skip
def test_what_would_not_be_honoured_is_refused_by_name(
    pipeline: dict[str, Any], words: str
) -> None:
    error = refused(pipeline)
    assert error.status == 501
    assert words in error.message


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        (declared(stages=PIPELINE["stages"][:1]), "two stages"),
        (declared(stages=PIPELINE["stages"][::-1]), "source actions"),
        (declared(stages=[*PIPELINE["stages"], PIPELINE["stages"][1]]), "Run is used twice"),
        (with_action(1, inputArtifacts=[{"name": "Nothing"}]), "Nothing"),
        (with_action(1, outputArtifacts=[{"name": "Code"}]), "Code is used twice"),
        (with_action(1, configuration={}), "FunctionName"),
        (with_action(1, configuration={"FunctionName": "f", "Extra": "x"}), "Extra"),
        (
            with_action(1, configuration={"FunctionName": "f", "UserParameters": "x" * 1001}),
            "1000 characters",
        ),
        (
            with_action(1, configuration={"FunctionName": "#{Later.Name}"}),
            "no action before it has the namespace Later",
        ),
        (with_action(1, region="eu-west-1"), "region"),
        (with_action(1, timeoutInMinutes=30), "timeoutInMinutes"),
        (with_action(0, outputArtifacts=[]), "0 output artifacts"),
        (declared(pipelineType="V1", variables=[{"name": "x"}]), "V2"),
    ],
)
def test_what_aws_refuses_is_refused(pipeline: dict[str, Any], words: str) -> None:
    error = refused(pipeline)
    assert error.status == 400
    assert words in error.message
