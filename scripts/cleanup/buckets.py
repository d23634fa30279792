"""Emptying and deleting a bucket, its old versions and delete markers included."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from cleanup.aws import error_code

BATCH = 1_000  # what DeleteObjects takes, and a page of ListObjectVersions holds
PASSES = 5


class NotEmpty(RuntimeError):
    """A bucket cannot be emptied."""


def empty_bucket(s3: Any, bucket: str) -> None:
    """Delete every version and delete marker; NotEmpty if S3 keeps any, or more keep coming."""
    for _ in range(PASSES):
        if not _delete_all(s3, bucket):
            return
    raise NotEmpty(f"somebody still writes to {bucket}: emptied {PASSES} times, not empty")


def delete_bucket(s3: Any, bucket: str) -> None:
    """Empty a bucket and delete it."""
    for attempt in range(PASSES):
        empty_bucket(s3, bucket)
        try:
            s3.delete_bucket(Bucket=bucket)
        except ClientError as error:
            if error_code(error) != "BucketNotEmpty" or attempt == PASSES - 1:
                raise
        else:
            return


def _delete_all(s3: Any, bucket: str) -> int:
    """Delete what one listing shows; return how much that was."""
    deleted = 0
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": BATCH}
    )
    for page in pages:
        versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        doomed = [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in versions]
        for at in range(0, len(doomed), BATCH):
            batch = doomed[at : at + BATCH]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
            if errors := answer.get("Errors"):
                first = errors[0]
                raise NotEmpty(
                    f"S3 keeps {len(errors)} objects of {bucket}, "
                    f"{first['Key']} among them: {first.get('Message', first['Code'])}"
                )
        deleted += len(doomed)
    return deleted
