"""How an emulated service acts as the role that it was given: trust first, then a session."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

import boto3
from botocore.config import Config

from local_cloud import seams
from local_cloud.errors import ApiError

_making_clients = threading.Lock()  # boto3's default session is not safe to share without it


def endpoint_url() -> str:
    """Return the URL at which the local cloud answers."""
    return os.environ["AWS_ENDPOINT_URL"]


def assume_service_role(
    role_arn: str, service: str, session_name: str, policy: dict[str, Any] | None = None
) -> dict[str, str]:
    """Open a session of a role for a service such as `sagemaker.amazonaws.com`.

    Returns boto3 client arguments; raises AccessDenied if the role is missing or its trust policy
    does not name the service. A session policy, if given, narrows what the role allows.
    """
    role = seams.find_role(role_arn)
    if role is None or not _trusts(role["AssumeRolePolicyDocument"], service):
        raise ApiError(
            "AccessDeniedException",
            f"{service} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
        )
    return seams.open_role_session(role_arn, session_name, policy)


def client(service: str, credentials: dict[str, str], region: str) -> Any:
    """Make a boto3 client that acts with these credentials against the local cloud."""
    with _making_clients:
        return boto3.client(
            service,
            endpoint_url=endpoint_url(),
            region_name=region,
            config=Config(retries={"max_attempts": 1}),
            **credentials,
        )


def environment(credentials: dict[str, str], region: str) -> dict[str, str]:
    """Return a scrubbed environment for a child process: nothing of the user's, PATH aside."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "AWS_ENDPOINT_URL": endpoint_url(),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": credentials["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": credentials["aws_secret_access_key"],
        "AWS_SESSION_TOKEN": credentials["aws_session_token"],
    }


def _trusts(document: str | dict, service: str) -> bool:
    """Say whether a trust policy lets the service of this account assume the role.

    A condition on aws:SourceArn counts as met: no service says here for which resource it acts.
    """
    policy = json.loads(document) if isinstance(document, str) else document
    statements = policy["Statement"]
    listed = statements if isinstance(statements, list) else [statements]
    judged = {"Statement": [_without_source_arn(statement) for statement in listed]}
    account, _ = seams.account_and_region()
    context = {"aws:SourceAccount": account}
    return seams.service_allowed(judged, service, "sts:AssumeRole", "*", context)


def _without_source_arn(statement: dict[str, Any]) -> dict[str, Any]:
    conditions = {
        operator: {key: want for key, want in keys.items() if key.lower() != "aws:sourcearn"}
        for operator, keys in statement.get("Condition", {}).items()
    }
    return {**statement, "Condition": conditions}
