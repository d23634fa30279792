#!/usr/bin/env python3
"""Uploads the built Lambda zips and byo-staging.zip to the code bucket.

Usage: package_lambdas.py BUCKET FILE…

Each file goes up twice: flat, under the seed document's own key, and below a prefix made from
the contents of all. CloudFormation sees no change in a zip uploaded again under the same key, so
the prefix, printed at the end, is what stack 2 gets as its parameter LambdaCodePrefix.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import boto3
from stacks import AWS_ERRORS


def content_prefix(files: list[Path]) -> str:
    """Return `<16 hex digits>/`, the same for the same files and contents."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda f: f.name):
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return f"{digest.hexdigest()[:16]}/"


def upload(s3: Any, bucket: str, files: list[Path]) -> str:
    """Upload every file flat and below the content prefix; return that prefix."""
    prefix = content_prefix(files)
    for file in files:
        for key in (file.name, prefix + file.name):
            s3.upload_file(str(file), bucket, key)
    return prefix


def main() -> int:
    """Upload, and say which prefix stack 2 needs."""
    bucket, *names = sys.argv[1:]
    files = [Path(name) for name in names]
    try:
        prefix = upload(boto3.client("s3"), bucket, files)
    except AWS_ERRORS as error:
        print(f"upload to s3://{bucket} failed: {error}", file=sys.stderr)
        return 1
    for file in files:
        print(f"s3://{bucket}/{file.name}  and  s3://{bucket}/{prefix}{file.name}")
    print(f"LambdaCodePrefix={prefix}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
