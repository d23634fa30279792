"""What actions really do, one module for each provider, and what they share."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from local_cloud.codepipeline.model import Location
from local_cloud.codepipeline.work import ActionFailed, Work

PERMISSION_CODES = {"AccessDenied", "AccessDeniedException", "403", "Forbidden"}


def message_of(error: ClientError) -> str:
    """Return AWS's own message."""
    return str(error.response["Error"].get("Message") or error)


def is_denied(error: ClientError) -> bool:
    """Say whether IAM refused."""
    return error.response["Error"]["Code"] in PERMISSION_CODES


def denied(work: Work, what: str, error: ClientError) -> ActionFailed:
    """Word a refusal by IAM as CodePipeline does."""
    return ActionFailed(
        "PermissionError",
        f"The service role or action role doesn't have the permissions required to access {what}. "
        f"Update the IAM role permissions, and then try again. Error: {message_of(error)}",
    )


def encryption(work: Work) -> dict[str, str]:
    """Return put_object's arguments for the artifact store's key."""
    key = work.execution.pipeline.encryption_key
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}


def put_artifact(work: Work, location: Location, body: bytes) -> None:
    """Store an output artifact as the action's role."""
    try:
        work.client("s3").put_object(
            Bucket=location.bucket, Key=location.key, Body=body, **encryption(work)
        )
    except ClientError as error:
        raise denied(work, f"the Amazon S3 bucket named {location.bucket}", error) from error


def artifact_faults(work: Work) -> list[str]:
    """Return the names of declared output artifacts that nobody has stored."""
    s3: Any = work.client("s3")
    missing = []
    for name, location in work.run.outputs.items():
        try:
            s3.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError:
            missing.append(name)
    return missing
