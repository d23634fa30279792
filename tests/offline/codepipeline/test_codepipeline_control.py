"""People in the loop: approvals, retries, stops and closed transitions."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from local_cloud.launcher import ACCOUNT, REGION

from .conftest import TIME_SCALE

Stage = Callable[..., dict[str, Any]]


def approval(topic: str | None = None, **more: Any) -> dict[str, Any]:
    configuration = {"CustomData": "look at the report"}
    if topic:
        configuration["NotificationArn"] = topic
    action = {
        "name": "Decide",
        "actionTypeId": {
            "category": "Approval",
            "owner": "AWS",
            "provider": "Manual",
            "version": "1",
        },
        "configuration": configuration,
        **more,
    }
    return {"name": "Approve", "actions": [action]}


def answer(mini: Any, name: str, status: str, token: str, client: Any = None) -> None:
    (client or mini.codepipeline).put_approval_result(
        pipelineName=name,
        stageName="Approve",
        actionName="Decide",
        result={"summary": f"it is {status}", "status": status},
        token=token,
    )


def test_an_approval_lets_the_execution_on_once(mini: Any, invoke: Stage) -> None:
    name, execution = mini.create(approval(), invoke("succeed"))
    token = mini.wait_for_action(name, "Decide", "InProgress")["token"]
    with pytest.raises(ClientError, match="token is not valid"):
        answer(mini, name, "Approved", str(uuid.uuid4()))
    answer(mini, name, "Approved", token)
    with pytest.raises(ClientError) as refused:
        answer(mini, name, "Rejected", token)
    assert refused.value.response["Error"]["Code"] == "ApprovalAlreadyCompletedException"
    assert mini.wait(name, execution) == "Succeeded"
    latest = mini.state(name, "Decide")
    assert latest["summary"] == "it is Approved"
    assert latest["lastUpdatedBy"].endswith(":root")


def test_a_rejection_fails_the_stage(mini: Any, invoke: Stage) -> None:
    name, execution = mini.create(approval(), invoke("succeed"))
    answer(mini, name, "Rejected", mini.wait_for_action(name, "Decide", "InProgress")["token"])
    assert mini.wait(name, execution) == "Failed"
    assert mini.error(name, execution, "Decide")["message"].startswith("Rejected by arn:")
    assert mini.state(name, "Call") == {}


def test_an_approval_that_nobody_answers_expires(mini: Any, invoke: Stage) -> None:
    name, execution = mini.create(approval(timeoutInMinutes=5), invoke("succeed"))
    assert mini.wait(name, execution) == "Failed"
    assert "expired" in mini.error(name, execution, "Decide")["message"]


def test_an_approval_is_announced_as_aws_does(mini: Any, invoke: Stage) -> None:
    sqs = mini.cloud.client("sqs")
    url = sqs.create_queue(QueueName="approvals")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:approvals"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    mini.cloud.client("sns").subscribe(
        TopicArn=mini.outputs["TopicArn"], Protocol="sqs", Endpoint=arn
    )
    asked = datetime.now(UTC)
    name, execution = mini.create(approval(mini.outputs["TopicArn"]), invoke("succeed"))
    token = mini.wait_for_action(name, "Decide", "InProgress")["token"]
    received = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]
    message = json.loads(json.loads(received["Body"])["Message"])
    assert message["region"] == REGION
    assert message["approval"]["token"] == token
    assert message["approval"]["customData"] == "look at the report"
    expires = datetime.strptime(message["approval"]["expires"], "%Y-%m-%dT%H:%MZ")
    days = (expires.replace(tzinfo=UTC) - asked) / timedelta(days=float(TIME_SCALE))
    assert days == pytest.approx(7, abs=0.5)
    assert message["approval"]["approvalReviewLink"].endswith(
        f"/{name}/Approve/Decide/approve/{token}"
    )
    mini.codepipeline.stop_pipeline_execution(
        pipelineName=name, pipelineExecutionId=execution, abandon=True
    )


def test_every_change_of_state_is_an_event(mini: Any, invoke: Stage) -> None:
    sqs, events = mini.cloud.client("sqs"), mini.cloud.client("events")
    url = sqs.create_queue(QueueName="changes")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:changes"
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_rule(Name="changes", EventPattern=json.dumps({"source": ["aws.codepipeline"]}))
    events.put_targets(Rule="changes", Targets=[{"Id": "queue", "Arn": arn}])
    name, execution = mini.create(invoke("fail", why="for the event"))
    assert mini.wait(name, execution) == "Failed"
    seen: dict[str, set[str]] = {}
    deadline = time.monotonic() + 10
    while sum(map(len, seen.values())) < 10 and time.monotonic() < deadline:
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for event in (json.loads(m["Body"]) for m in received.get("Messages", [])):
            detail = event["detail"]
            if detail["pipeline"] == name:
                part = detail.get("action") or detail.get("stage") or "pipeline"
                seen.setdefault(event["detail-type"], set()).add(f"{part} {detail['state']}")
                assert detail["execution-id"] == execution
    assert seen == {
        "CodePipeline Pipeline Execution State Change": {"pipeline STARTED", "pipeline FAILED"},
        "CodePipeline Stage Execution State Change": {
            *("Source STARTED", "Source SUCCEEDED", "Run STARTED", "Run FAILED")
        },
        "CodePipeline Action Execution State Change": {
            *("Get STARTED", "Get SUCCEEDED", "Call STARTED", "Call FAILED")
        },
    }


def test_an_approval_needs_the_right_for_that_action(mini: Any, invoke: Stage) -> None:
    name, execution = mini.create(approval(), invoke("succeed"))
    token = mini.wait_for_action(name, "Decide", "InProgress")["token"]
    arn = f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:{name}/Approve/Decide"
    with pytest.raises(ClientError, match=f"PutApprovalResult on resource: {arn}"):
        answer(mini, name, "Approved", token, user(mini, f"{arn}Other"))
    answer(mini, name, "Approved", token, user(mini, arn))
    assert mini.wait(name, execution) == "Succeeded"


def user(mini: Any, resource: str) -> Any:
    """A CodePipeline client of a user who may approve one action only."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    mini.iam.create_user(UserName=name)
    statement = {
        "Effect": "Allow",
        "Action": "codepipeline:PutApprovalResult",
        "Resource": resource,
    }
    mini.iam.put_user_policy(
        UserName=name,
        PolicyName="approve",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    key = mini.iam.create_access_key(UserName=name)["AccessKey"]
    return boto3.client(
        "codepipeline",
        endpoint_url=mini.cloud.url,
        region_name=REGION,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def test_a_retried_stage_keeps_the_execution_and_gets_a_new_job(mini: Any, invoke: Stage) -> None:
    name, execution = mini.create(invoke("fail", why="once"))
    assert mini.wait(name, execution) == "Failed"
    first = mini.actions(name, execution)["Call"]["actionExecutionId"]
    retried = mini.codepipeline.retry_stage_execution(
        pipelineName=name,
        stageName="Run",
        pipelineExecutionId=execution,
        retryMode="FAILED_ACTIONS",
    )
    assert retried["pipelineExecutionId"] == execution
    assert mini.wait(name, execution) == "Failed"
    listed = mini.codepipeline.list_action_executions(
        pipelineName=name, filter={"pipelineExecutionId": execution}
    )["actionExecutionDetails"]
    runs = [detail["actionExecutionId"] for detail in listed if detail["actionName"] == "Call"]
    assert len(set(runs)) == 2
    assert runs[-1] == first


def test_a_stopped_and_abandoned_job_takes_no_answer(mini: Any, invoke: Stage) -> None:
    mark = uuid.uuid4().hex
    name, execution = mini.create(invoke("say nothing", mark=mark))
    job = silent_job(mini, mark)
    mini.codepipeline.stop_pipeline_execution(
        pipelineName=name, pipelineExecutionId=execution, abandon=True, reason="changed my mind"
    )
    assert mini.wait(name, execution) == "Stopped"
    assert mini.state(name, "Call")["status"] == "Abandoned"
    found = mini.codepipeline.get_pipeline_execution(
        pipelineName=name, pipelineExecutionId=execution
    )["pipelineExecution"]
    assert found["statusSummary"] == "changed my mind"
    with pytest.raises(mini.codepipeline.exceptions.InvalidJobStateException):
        mini.codepipeline.put_job_success_result(jobId=job)


def silent_job(mini: Any, mark: str) -> str:
    """Return the job that the function kept to itself, once it has told its log."""
    logs, deadline = mini.cloud.client("logs"), time.monotonic() + 30
    while time.monotonic() < deadline:
        events = logs.filter_log_events(
            logGroupName="/aws/lambda/mini-function", filterPattern=f'"{mark}"'
        )["events"]
        told = [event["message"] for event in events if "silent: " in event["message"]]
        if told:
            return str(told[0].split()[-1])
        time.sleep(0.1)
    raise AssertionError("the function was never invoked")


def test_a_closed_transition_holds_the_execution(mini: Any, invoke: Stage) -> None:
    name, execution = mini.create(approval(), invoke("succeed"))
    transition = {"pipelineName": name, "stageName": "Run", "transitionType": "Inbound"}
    mini.codepipeline.disable_stage_transition(**transition, reason="holiday")
    answer(mini, name, "Approved", mini.wait_for_action(name, "Decide", "InProgress")["token"])
    run = mini.codepipeline.get_pipeline_state(name=name)["stageStates"][2]
    assert run["inboundTransitionState"]["disabledReason"] == "holiday"
    assert run["inboundExecution"]["pipelineExecutionId"] == execution
    mini.codepipeline.enable_stage_transition(**transition)
    assert mini.wait(name, execution) == "Succeeded"


def test_variables_of_the_pipeline_can_be_given_at_the_start(mini: Any, invoke: Stage) -> None:
    variables = [{"name": "who", "defaultValue": "nobody"}]
    name, first = mini.create(invoke("succeed", greets="#{variables.who}"), variables=variables)
    assert mini.wait(name, first) == "Succeeded"
    started = mini.codepipeline.start_pipeline_execution(
        name=name, variables=[{"name": "who", "value": "you"}], clientRequestToken="once"
    )["pipelineExecutionId"]
    again = mini.codepipeline.start_pipeline_execution(name=name, clientRequestToken="once")
    assert again["pipelineExecutionId"] == started
    assert mini.wait(name, started) == "Succeeded"
    wishes = [
        mini.actions(name, e)["Call"]["input"]["resolvedConfiguration"]["UserParameters"]
        for e in (first, started)
    ]
    assert [json.loads(wish)["greets"] for wish in wishes] == ["nobody", "you"]
