"""Notebook instances and lifecycle configurations, by the API and by CloudFormation."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.exceptions import ClientError

from .conftest import make_role, until

ARN = "arn:aws:sagemaker:us-east-1:000000000000"
SCRIPT = base64.b64encode(b"#!/bin/bash\necho ready\n").decode()


@pytest.fixture(scope="module")
def notebook_role(aws):
    return make_role(aws, "notebook", "sagemaker.amazonaws.com", {})


def status(sagemaker, name: str) -> str:
    return sagemaker.describe_notebook_instance(NotebookInstanceName=name)["NotebookInstanceStatus"]


def wait(sagemaker, name: str, wanted: str) -> None:
    until(lambda: {"status": status(sagemaker, name)}, lambda seen: seen["status"] == wanted)


def test_an_instance_starts_stops_and_must_be_stopped_to_go(sagemaker, notebook_role):
    named = {"NotebookInstanceName": "Lab-Notebook"}
    sagemaker.create_notebook_instance(
        **named, InstanceType="ml.t3.medium", RoleArn=notebook_role, VolumeSizeInGB=10
    )
    wait(sagemaker, "Lab-Notebook", "InService")
    shown = sagemaker.describe_notebook_instance(**named)
    assert shown["NotebookInstanceArn"] == f"{ARN}:notebook-instance/lab-notebook"
    assert shown["VolumeSizeInGB"] == 10
    for call in (sagemaker.delete_notebook_instance, sagemaker.start_notebook_instance):
        with pytest.raises(ClientError, match="not in"):
            call(**named)
    sagemaker.stop_notebook_instance(**named)
    wait(sagemaker, "Lab-Notebook", "Stopped")
    sagemaker.update_notebook_instance(**named, InstanceType="ml.t3.large")
    wait(sagemaker, "Lab-Notebook", "Stopped")
    assert sagemaker.describe_notebook_instance(**named)["InstanceType"] == "ml.t3.large"
    sagemaker.delete_notebook_instance(**named)
    with pytest.raises(ClientError, match="RecordNotFound"):
        sagemaker.describe_notebook_instance(**named)


def test_a_lifecycle_configuration_must_be_there_and_must_not_go_while_in_use(
    sagemaker, notebook_role
):
    request = {
        "NotebookInstanceName": "with-lifecycle",
        "InstanceType": "ml.t3.medium",
        "RoleArn": notebook_role,
        "LifecycleConfigName": "on-start",
    }
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.create_notebook_instance(**request)
    name = {"NotebookInstanceLifecycleConfigName": "on-start"}
    sagemaker.create_notebook_instance_lifecycle_config(**name, OnStart=[{"Content": SCRIPT}])
    sagemaker.create_notebook_instance(**request)
    with pytest.raises(ClientError, match="in use by notebook instance with-lifecycle"):
        sagemaker.delete_notebook_instance_lifecycle_config(**name)
    shown = sagemaker.describe_notebook_instance_lifecycle_config(**name)
    assert shown["OnStart"] == [{"Content": SCRIPT}]


def template(role: str, **notebook) -> str:
    return json.dumps(
        {
            "Resources": {
                "Config": {
                    "Type": "AWS::SageMaker::NotebookInstanceLifecycleConfig",
                    "Properties": {"OnStart": [{"Content": SCRIPT}]},
                },
                "Notebook": {
                    "Type": "AWS::SageMaker::NotebookInstance",
                    "Properties": {
                        "NotebookInstanceName": "Stack-Notebook",
                        "InstanceType": "ml.t3.medium",
                        "RoleArn": role,
                        "VolumeSizeInGB": "20",
                        "LifecycleConfigName": {
                            "Fn::GetAtt": ["Config", "NotebookInstanceLifecycleConfigName"]
                        },
                        **notebook,
                    },
                },
                "Group": {
                    "Type": "AWS::SageMaker::ModelPackageGroup",
                    "Properties": {"ModelPackageGroupName": "stack-group"},
                },
            },
            "Outputs": {
                "NotebookRef": {"Value": {"Ref": "Notebook"}},
                "NotebookName": {"Value": {"Fn::GetAtt": ["Notebook", "NotebookInstanceName"]}},
                "GroupRef": {"Value": {"Ref": "Group"}},
                "GroupStatus": {"Value": {"Fn::GetAtt": ["Group", "ModelPackageGroupStatus"]}},
            },
        }
    )


def stack_state(cloudformation) -> dict:
    return until(
        lambda: cloudformation.describe_stacks(StackName="notebooks")["Stacks"][0],
        lambda stack: not stack["StackStatus"].endswith("IN_PROGRESS"),
    )


def test_cloudformation_makes_changes_and_deletes_them(aws, sagemaker, notebook_role):
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="notebooks", TemplateBody=template(notebook_role))
    stack = stack_state(cloudformation)
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert outputs == {
        "NotebookRef": f"{ARN}:notebook-instance/stack-notebook",
        "NotebookName": "Stack-Notebook",
        "GroupRef": f"{ARN}:model-package-group/stack-group",
        "GroupStatus": "Completed",
    }
    assert status(sagemaker, "Stack-Notebook") == "InService"

    changed = template(notebook_role, InstanceType="ml.t3.large")
    cloudformation.update_stack(StackName="notebooks", TemplateBody=changed)
    assert stack_state(cloudformation)["StackStatus"] == "UPDATE_COMPLETE"
    shown = sagemaker.describe_notebook_instance(NotebookInstanceName="Stack-Notebook")
    assert shown["InstanceType"] == "ml.t3.large"
    assert shown["NotebookInstanceStatus"] == "InService"

    replacing = template(notebook_role, PlatformIdentifier="notebook-al2023-v1")
    cloudformation.update_stack(StackName="notebooks", TemplateBody=replacing)
    assert "ROLLBACK" in stack_state(cloudformation)["StackStatus"]

    cloudformation.delete_stack(StackName="notebooks")
    until(
        lambda: cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"]),
        lambda found: "notebooks" in [s["StackName"] for s in found["StackSummaries"]],
    )
    names = sagemaker.list_notebook_instances(NameContains="Stack")["NotebookInstances"]
    assert names == []
    assert not sagemaker.list_notebook_instance_lifecycle_configs(NameContains="notebooks")[
        "NotebookInstanceLifecycleConfigs"
    ]


def test_a_template_with_a_property_that_is_not_emulated_fails(aws, notebook_role):
    cloudformation = aws.client("cloudformation")
    body = template(notebook_role, NotebookInstanceName="vpc", SubnetId="subnet-1")
    cloudformation.create_stack(StackName="notebooks", TemplateBody=body)
    assert stack_state(cloudformation)["StackStatus"].startswith("ROLLBACK")
    events = cloudformation.describe_stack_events(StackName="notebooks")["StackEvents"]
    reasons = [event.get("ResourceStatusReason", "") for event in events]
    assert any("SubnetId" in reason for reason in reasons), reasons
    cloudformation.delete_stack(StackName="notebooks")


def test_cloudformation_acts_with_its_callers_rights(aws, notebook_role, acting):
    deployer = acting("deployer", (["cloudformation:*"], "*"), (["sagemaker:*"], "*"))(
        "cloudformation"
    )
    body = template(notebook_role, NotebookInstanceName="no-pass-role")
    deployer.create_stack(StackName="refused", TemplateBody=body)
    stack = until(
        lambda: deployer.describe_stacks(StackName="refused")["Stacks"][0],
        lambda stack: not stack["StackStatus"].endswith("IN_PROGRESS"),
    )
    assert stack["StackStatus"].startswith("ROLLBACK")
    events = deployer.describe_stack_events(StackName="refused")["StackEvents"]
    assert any("iam:PassRole" in event.get("ResourceStatusReason", "") for event in events)
