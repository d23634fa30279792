#!/usr/bin/env python3
"""Deploys stack 2 from what stack 1 and `package-lambdas` left: bucket and newest code prefix.

Usage: deploy_pipeline.py PREP_STACK PIPELINE_STACK [Key=Value …]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from package_lambdas import upload
from stacks import AWS_ERRORS, StackError, Stacks, key_values

ROOT = Path(__file__).resolve().parent.parent
LOG_ROLE = "ManageApiGatewayLogRole"


def main() -> int:
    """Upload the zips as they stand, then create or update stack 2 with their prefix."""
    prep, pipeline, *pairs = sys.argv[1:]
    try:
        outputs = deploy(prep, pipeline, key_values(pairs))
    except (StackError, *AWS_ERRORS) as error:
        print(error, file=sys.stderr)
        return 1
    for key, value in outputs.items():
        print(f"{key} = {value}")
    return 0


def deploy(prep: str, pipeline: str, given: dict[str, str]) -> dict[str, str]:
    """Upload and deploy with the parameters that were given; return the stack's outputs."""
    check_hyperparameters(given.get("HyperParameters", "{}"))
    s3 = boto3.client("s3")
    stacks = Stacks(boto3.client("cloudformation"), s3)
    bucket = stacks.outputs(prep).get("LambdaFunctionsBucket")
    if bucket is None:
        raise StackError(f"{prep} has no output LambdaFunctionsBucket, so it is not stack 1")
    if LOG_ROLE not in given and stacks.describe(pipeline) is None:
        given = given | log_role(boto3.client("apigateway"), pipeline)
    parameters = {
        "LambdaFunctionsBucket": bucket,
        "LambdaCodePrefix": upload(s3, bucket, sorted((ROOT / "build/lambda").glob("*.zip"))),
        **given,
    }
    return stacks.deploy(pipeline, ROOT / "02-build-pipeline.yml", parameters, bucket)


def check_hyperparameters(text: str) -> None:
    """Refuse what no training could read; else it would be told only when one starts."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        around = text[max(0, error.pos - 20) : error.pos + 20]
        raise StackError(f"HyperParameters is not JSON: {error.msg}, at {around!r}") from None


def log_role(apigateway: Any, stack: str) -> dict[str, str]:
    """Leave the account's log role as it is, unless an earlier stack of this name has set it.

    API Gateway has one for the account and region: a new stack would replace another's unasked.
    """
    there = apigateway.get_account().get("cloudwatchRoleArn", "")
    if not there or f":role/{stack}-ApiGatewayLogRole-" in there:
        return {}
    print(f"{LOG_ROLE}=false: API Gateway writes its logs as {there} here, and goes on with it")
    return {LOG_ROLE: "false"}


if __name__ == "__main__":
    sys.exit(main())
