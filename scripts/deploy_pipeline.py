#!/usr/bin/env python3
"""Deploys stack 2 from what stack 1 and `package-lambdas` left: bucket and newest code prefix.

Usage: deploy_pipeline.py PREP_STACK PIPELINE_STACK [Key=Value …]
"""

from __future__ import annotations

import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from package_lambdas import upload
from stacks import StackError, Stacks, key_values

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Upload the zips as they stand, then create or update stack 2 with their prefix."""
    prep, pipeline, *pairs = sys.argv[1:]
    s3 = boto3.client("s3")
    stacks = Stacks(boto3.client("cloudformation"), s3)
    files = sorted((ROOT / "build/lambda").glob("*.zip"))
    try:
        bucket = stacks.outputs(prep)["LambdaFunctionsBucket"]
        parameters = {
            "LambdaFunctionsBucket": bucket,
            "LambdaCodePrefix": upload(s3, bucket, files),
            **key_values(pairs),
        }
        template = ROOT / "02-build-pipeline.yml"
        outputs = stacks.deploy(pipeline, template, parameters, bucket)
    except (StackError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    for key, value in outputs.items():
        print(f"{key} = {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
