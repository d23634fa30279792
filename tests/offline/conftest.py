"""Fixtures of the offline tests: one running local cloud, and roles to call it as."""

from __future__ import annotations

import contextlib
import functools
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud

ClientOf = Callable[[str], Any]
Receive = Callable[[], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    with RunningCloud(tmp_path_factory.mktemp("cloud")) as running:
        running.client = functools.cache(running.client)  # type: ignore[method-assign]
        yield running


@pytest.fixture(scope="session")
def make_role(cloud: RunningCloud) -> Callable[..., str]:
    """Create or change a role: name, statements, and who may assume it; returns its ARN."""
    iam = cloud.client("iam")

    def make(name: str, *statements: dict[str, Any], trusts: str | None = None) -> str:
        principal = {"Service": trusts} if trusts else {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
        if statements:
            iam.put_role_policy(
                RoleName=name, PolicyName="only", PolicyDocument=document(*statements)
            )
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    return make


@pytest.fixture(scope="session")
def acting_as(cloud: RunningCloud, make_role: Callable[..., str]) -> Callable[..., ClientOf]:
    """Return boto3 clients of a session of a role that has just these statements."""

    def act(name: str, *statements: dict[str, Any]) -> ClientOf:
        arn = make_role(name, *statements)
        session = cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
        keys = session["Credentials"]

        def client(service: str) -> Any:
            return boto3.client(
                service,
                endpoint_url=cloud.url,
                region_name=REGION,
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
                config=Config(retries={"max_attempts": 1}),
            )

        return client

    return act


@pytest.fixture(scope="session")
def allow() -> Callable[..., dict[str, Any]]:
    """Write an Allow statement: allow(actions, resources, Condition=…)."""

    def statement(actions: Any, resources: Any, **more: Any) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}

    return statement


@pytest.fixture(scope="session")
def refusal() -> Callable[..., tuple[int, str, str]]:
    """Call what must be refused; returns HTTP status, error code and message."""

    def refused(call: Callable[..., Any], **arguments: Any) -> tuple[int, str, str]:
        with pytest.raises(ClientError) as raised:
            call(**arguments)
        answer = raised.value.response
        error = answer["Error"]
        return answer["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]

    return refused


@pytest.fixture(scope="session")
def rule(cloud: RunningCloud) -> Callable[..., Receive]:
    """Put a rule with a queue as its target; returns how to receive what it delivers."""

    def put(pattern: dict[str, Any], let_in: bool = True) -> Receive:
        events, sqs = cloud.client("events"), cloud.client("sqs")
        name = f"strict-{uuid.uuid4().hex[:8]}"
        rule_arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        }
        if let_in:
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

        def receive() -> list[dict[str, Any]]:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

        return receive

    return put


@pytest.fixture(scope="session")
def eventually() -> Callable[[Receive, int], list[dict[str, Any]]]:
    """Receive until there are so many events, or five seconds are over."""

    def wait(receive: Receive, count: int) -> list[dict[str, Any]]:
        received: list[dict[str, Any]] = []
        deadline = time.monotonic() + 5
        while len(received) < count and time.monotonic() < deadline:
            received += receive()
            time.sleep(0.05)
        return received

    return wait


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
