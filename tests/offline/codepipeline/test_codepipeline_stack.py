"""Pipelines and projects as CloudFormation makes, changes and deletes them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from local_cloud.launcher import ACCOUNT


def test_an_update_of_the_stack_is_a_new_version_and_starts_nothing(mini: Any) -> None:
    before = mini.codepipeline.get_pipeline(name="mini-pipeline")["pipeline"]
    executions = count(mini)
    update(mini, Greeting="good morning")
    after = mini.codepipeline.get_pipeline(name="mini-pipeline")["pipeline"]
    assert after["version"] == before["version"] + 1
    parameters = after["stages"][2]["actions"][0]["configuration"]["UserParameters"]
    assert "good morning" in parameters
    assert count(mini) == executions


def count(mini: Any) -> int:
    listed = mini.codepipeline.list_pipeline_executions(pipelineName="mini-pipeline")
    return len(listed["pipelineExecutionSummaries"])


def update(mini: Any, **parameters: str) -> None:
    cloudformation = mini.cloud.client("cloudformation")
    given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
    cloudformation.update_stack(
        StackName="mini",
        UsePreviousTemplate=True,
        Parameters=[*given, {"ParameterKey": "CodeBucket", "UsePreviousValue": True}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    assert status_of(mini, "mini") == "UPDATE_COMPLETE"


def status_of(mini: Any, stack: str) -> str:
    cloudformation = mini.cloud.client("cloudformation")
    while True:
        try:
            found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        except ClientError:
            return "gone"
        if not found.endswith("IN_PROGRESS"):
            return str(found)
        time.sleep(0.1)


@pytest.fixture
def project() -> dict[str, Any]:
    return {
        "Type": "AWS::CodeBuild::Project",
        "Properties": {
            "Name": "stack-project",
            "ServiceRole": f"arn:aws:iam::{ACCOUNT}:role/mini-build",
            "Source": {"Type": "NO_SOURCE", "BuildSpec": "version: 0.2\nphases: {}\n"},
            "Artifacts": {"Type": "NO_ARTIFACTS"},
            "Environment": {
                "Type": "LINUX_CONTAINER",
                "Image": "aws/codebuild/standard:7.0",
                "ComputeType": "BUILD_GENERAL1_SMALL",
                "PrivilegedMode": "true",
            },
            "TimeoutInMinutes": "30",
        },
    }


def test_a_project_comes_and_goes_with_its_stack(mini: Any, project: dict[str, Any]) -> None:
    cloudformation, codebuild = mini.cloud.client("cloudformation"), mini.cloud.client("codebuild")
    template = {
        "Resources": {"Project": project},
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Project", "Arn"]}}},
    }
    cloudformation.create_stack(StackName="project", TemplateBody=json.dumps(template))
    assert status_of(mini, "project") == "CREATE_COMPLETE"
    found = codebuild.batch_get_projects(names=["stack-project"])["projects"][0]
    output = cloudformation.describe_stacks(StackName="project")["Stacks"][0]["Outputs"][0]
    assert found["arn"] == output["OutputValue"]
    assert found["timeoutInMinutes"] == 30
    assert found["environment"]["privilegedMode"] is True
    project["Properties"]["TimeoutInMinutes"] = 45
    cloudformation.update_stack(StackName="project", TemplateBody=json.dumps(template))
    assert status_of(mini, "project") == "UPDATE_COMPLETE"
    changed = codebuild.batch_get_projects(names=["stack-project"])["projects"][0]
    assert changed["timeoutInMinutes"] == 45
    assert changed["created"] == found["created"]
    cloudformation.delete_stack(StackName="project")
    assert status_of(mini, "project") in ("gone", "DELETE_COMPLETE")
    assert codebuild.batch_get_projects(names=["stack-project"])["projects"] == []


def test_a_property_that_would_be_ignored_fails_the_stack(
    mini: Any, project: dict[str, Any]
) -> None:
    project["Properties"] |= {"Name": "vpc-project", "VpcConfig": {"VpcId": "vpc-1"}}
    cloudformation = mini.cloud.client("cloudformation")
    template = json.dumps({"Resources": {"Project": project}})
    cloudformation.create_stack(StackName="vpc", TemplateBody=template)
    assert status_of(mini, "vpc") == "ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName="vpc")["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any("vpcConfig" in reason for reason in reasons)
