"""Each right that AWS would ask for is asked for: without it, this is how the pipeline ends."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from local_cloud.launcher import ACCOUNT, REGION

Stage = Callable[..., dict[str, Any]]


@contextlib.contextmanager
def without(mini: Any, role: str, policy: str, action: str) -> Iterator[None]:
    """Take one action from a role's inline policy for a while."""
    whole = mini.iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    narrowed = json.loads(json.dumps(whole))
    for statement in narrowed["Statement"]:
        actions = statement["Action"]
        actions = [actions] if isinstance(actions, str) else actions
        statement["Action"] = [a for a in actions if a != action] or ["none:None"]
    assert narrowed != whole
    put = {"RoleName": role, "PolicyName": policy}
    mini.iam.put_role_policy(**put, PolicyDocument=json.dumps(narrowed))
    try:
        yield
    finally:
        mini.iam.put_role_policy(**put, PolicyDocument=json.dumps(whole))


@pytest.mark.parametrize(
    ("action", "failing"),
    [
        ("codecommit:GetBranch", "Get"),
        ("codecommit:GetCommit", "Get"),
        ("codecommit:UploadArchive", "Get"),
        ("codecommit:GetUploadArchiveStatus", "Get"),
        ("s3:PutObject", "Get"),
        ("kms:GenerateDataKey", "Get"),
        ("lambda:InvokeFunction", "Call"),
    ],
)
def test_the_pipelines_role_needs_each_of_its_rights(
    mini: Any, invoke: Stage, action: str, failing: str
) -> None:
    with without(mini, "mini-pipeline", "Run", action):
        name, execution = mini.create(invoke("succeed"))
        assert mini.wait(name, execution) == "Failed"
    error = mini.error(name, execution, failing)
    assert action in error["message"]
    assert "service role or action role doesn't have the permissions" in error["message"]


@pytest.mark.parametrize("action", ["codebuild:StartBuild", "codebuild:BatchGetBuilds"])
def test_a_build_needs_to_be_started_and_watched(mini: Any, action: str) -> None:
    build = mini.codepipeline.get_pipeline(name="mini-pipeline")["pipeline"]["stages"][1]
    with without(mini, "mini-pipeline", "Run", action):
        name, execution = mini.create(build)
        assert mini.wait(name, execution) == "Failed"
    assert action in mini.error(name, execution, "Make")["message"]


@pytest.mark.parametrize(
    ("action", "phase"), [("s3:GetObject", "DOWNLOAD_SOURCE"), ("ecr:PutImage", "BUILD")]
)
def test_a_build_fails_where_its_role_lacks_a_right(mini: Any, action: str, phase: str) -> None:
    build = mini.codepipeline.get_pipeline(name="mini-pipeline")["pipeline"]["stages"][1]
    with without(mini, "mini-build", "Build", action):
        name, execution = mini.create(build)
        assert mini.wait(name, execution) == "Failed"
    message = mini.error(name, execution, "Make")["message"]
    assert message.startswith(f"Build terminated with state: FAILED. Phase: {phase}")


def test_a_function_that_may_not_report_ends_in_silence(mini: Any, invoke: Stage) -> None:
    with without(mini, "mini-function", "Report", "codepipeline:PutJobSuccessResult"):
        name, execution = mini.create(invoke("succeed"))
        assert mini.wait(name, execution) == "Failed"
    assert "failed to return a result" in mini.error(name, execution, "Call")["message"]


def test_an_actions_own_role_is_assumed_by_the_pipelines_role(mini: Any, invoke: Stage) -> None:
    pipeline_role = f"arn:aws:iam::{ACCOUNT}:role/mini-pipeline"
    statement = {"Effect": "Allow", "Principal": {"AWS": pipeline_role}, "Action": "sts:AssumeRole"}
    role = mini.iam.create_role(
        RoleName="mini-action", AssumeRolePolicyDocument=document(statement)
    )["Role"]["Arn"]
    run = mini.iam.get_role_policy(RoleName="mini-pipeline", PolicyName="Run")["PolicyDocument"]
    mini.iam.put_role_policy(
        RoleName="mini-action", PolicyName="Run", PolicyDocument=json.dumps(run)
    )
    stage = invoke("succeed")
    stage["actions"][0]["roleArn"] = role
    name, execution = mini.create(stage)
    assert mini.wait(name, execution) == "Failed"
    assert "perform: sts:AssumeRole" in mini.error(name, execution, "Call")["message"]
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    mini.iam.put_role_policy(
        RoleName="mini-pipeline", PolicyName="Assume", PolicyDocument=document(may)
    )
    name, execution = mini.create(stage)
    assert mini.wait(name, execution) == "Succeeded"


def test_creating_a_pipeline_needs_the_right_to_pass_its_role(mini: Any) -> None:
    declaration = mini.codepipeline.get_pipeline(name="mini-pipeline")["pipeline"]
    declaration["name"] = f"p-{uuid.uuid4().hex[:8]}"
    create = {"Effect": "Allow", "Action": "codepipeline:*", "Resource": "*"}
    role = f"arn:aws:iam::{ACCOUNT}:role/mini-pipeline"
    passing = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": role,
        "Condition": {"StringEquals": {"iam:PassedToService": "codepipeline.amazonaws.com"}},
    }
    elsewhere = {**passing, "Condition": {"StringEquals": {"iam:PassedToService": "x.aws"}}}
    with pytest.raises(ClientError, match=f"iam:PassRole on resource: {role}"):
        client_with(mini, create, elsewhere).create_pipeline(pipeline=declaration)
    client_with(mini, create, passing).create_pipeline(pipeline=declaration)
    mini.codepipeline.delete_pipeline(name=declaration["name"])


def test_a_rule_starts_the_pipeline_only_as_a_role_that_may(mini: Any) -> None:
    executions = {"pipelineName": "mini-pipeline"}
    events = mini.cloud.client("events")
    pattern = {"source": ["test.start"]}
    rule = events.put_rule(Name="start-test", EventPattern=json.dumps(pattern))["RuleArn"]
    target = {
        "Id": "pipeline",
        "Arn": f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:mini-pipeline",
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/mini-start",
    }
    events.put_targets(Rule="start-test", Targets=[target])
    entry = {"Source": "test.start", "DetailType": "x", "Detail": "{}"}
    with without(mini, "mini-start", "Start", "codepipeline:StartPipelineExecution"):
        events.put_events(Entries=[entry])
        wait_for_log(mini, f"rule {rule} did not start")
    listed = mini.codepipeline.list_pipeline_executions(**executions)
    triggers = [e["trigger"]["triggerDetail"] for e in listed["pipelineExecutionSummaries"]]
    assert rule not in triggers


def wait_for_log(mini: Any, words: str) -> None:
    deadline = time.monotonic() + 10
    while words not in mini.cloud.log.read_text():
        assert time.monotonic() < deadline, f"the log never said: {words}"
        time.sleep(0.1)


def client_with(mini: Any, *statements: dict[str, Any]) -> Any:
    name = f"user-{uuid.uuid4().hex[:8]}"
    mini.iam.create_user(UserName=name)
    mini.iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=document(*statements))
    key = mini.iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.client(
        "codepipeline",
        endpoint_url=mini.cloud.url,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
