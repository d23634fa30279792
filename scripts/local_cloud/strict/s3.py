"""S3 as strict as on AWS: encryption by KMS with its permissions, and 403 for a missing key.

Without s3:ListBucket AWS does not tell whether a key exists; ministack always does. ministack also
stores the encryption of an object as a mere note and never asks KMS.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from local_cloud import seams
from local_cloud.errors import ApiError
from local_cloud.strict import kms
from local_cloud.strict import seams as private

ALGORITHM = "x-amz-server-side-encryption"
KEY_ID = "x-amz-server-side-encryption-aws-kms-key-id"
Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Request:
    """The S3 request in hand, as far as these checks need it."""

    method: str
    bucket: str
    key: str
    access_key: str
    headers: dict[str, str]

    def require_key_use(self, action: str, key_id: str, bucket: str, key: str) -> None:
        """Raise unless the caller may use the KMS key on this object."""
        context = {"aws:s3:arn": f"arn:aws:s3:::{bucket}/{key}"}
        kms.require_use(self.access_key, action, key_id, "s3", context)


_request: contextvars.ContextVar[Request | None] = contextvars.ContextVar(
    "s3_request", default=None
)


def install() -> None:
    """Wrap ministack's S3."""
    private.S3_DISPATCH.wrap(_remember_request)
    private.S3_DEFAULT_ENCRYPTION.wrap(_always_encrypted)
    private.S3_WRITE_ENCRYPTION.wrap(_write_needs_key)
    private.S3_READ_ENCRYPTED.wrap(_read_needs_key)
    private.S3_COPY_ENCRYPTED.wrap(_copy_needs_key)
    private.S3_PART_ENCRYPTED.wrap(_part_needs_key)


def _remember_request(dispatch: Callable[..., Answer]) -> Callable[..., Answer]:
    def strict(
        method: str, bucket: str, key: str, headers: dict, body: bytes, query_params: dict
    ) -> Answer:
        access_key = seams.access_key_of(headers, query_params)
        request = Request(method, bucket, key, access_key, headers)
        token = _request.set(request)
        try:
            answer = dispatch(method, bucket, key, headers, body, query_params)
        finally:
            _request.reset(token)
        return _hide_missing_key(request, answer)

    return strict


def _hide_missing_key(request: Request, answer: Answer) -> Answer:
    """Turn 404 NoSuchKey into 403 where the caller may not list the bucket."""
    if answer[0] != 404 or b"<Code>NoSuchKey</Code>" not in answer[2]:
        return answer
    bucket = request.bucket
    if source := request.headers.get("x-amz-copy-source"):
        bucket, _ = _copy_source(source)
    refused = seams.denial(request.access_key, "s3:ListBucket", f"arn:aws:s3:::{bucket}")
    if refused is None:
        return answer
    return _error(ApiError("AccessDenied", refused[1], 403), request)


def _error(error: ApiError, request: Request) -> Answer:
    resource = f"/{request.bucket}/{request.key}"
    return private.S3_ERROR(error.code, error.message, error.status, resource)


def _always_encrypted(known: Callable[[str], dict]) -> Callable[[str], dict]:
    """Report SSE-S3 for buckets without a configuration, as S3 has done since January 2023."""

    def strict(bucket_name: str) -> dict[str, str]:
        return known(bucket_name) or {ALGORITHM: "AES256"}

    return strict


def _write_needs_key(known: Callable[..., Any]) -> Callable[..., Any]:
    """Resolve the KMS key of a write to its ARN and ask KMS for kms:GenerateDataKey."""

    def strict(headers: dict, bucket_name: str) -> tuple[dict | None, Answer | None]:
        encryption, fault = known(headers, bucket_name)
        request = _request.get()
        if fault or request is None or KEY_ID not in encryption:
            return encryption, fault
        try:
            request.require_key_use(
                "kms:GenerateDataKey", encryption[KEY_ID], bucket_name, request.key
            )
        except ApiError as refused:
            return None, _error(refused, request)
        return {**encryption, KEY_ID: kms.key_arn(encryption[KEY_ID])}, None

    return strict


def _read_needs_key(known: Callable[..., Any]) -> Callable[..., Any]:
    """Ask for kms:Decrypt before a read; HEAD needs it only to tell a checksum."""

    def strict(headers: dict, obj: dict) -> Answer | None:
        request = _request.get()
        shows_content = request is not None and (
            request.method == "GET" or headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
        )
        return known(headers, obj) or (_decrypt_fault(obj) if shows_content else None)

    return strict


def _copy_needs_key(known: Callable[..., Any]) -> Callable[..., Any]:
    def strict(headers: dict, src_obj: dict) -> Answer | None:
        bucket, key = _copy_source(headers["x-amz-copy-source"])
        return known(headers, src_obj) or _decrypt_fault(src_obj, bucket, key)

    return strict


def _copy_source(header: str) -> tuple[str, str]:
    """Return bucket and key of a copy source; a bare `?` begins its version id."""
    bucket, _, key = unquote(header.lstrip("/").partition("?")[0]).partition("/")
    return bucket, key


def _part_needs_key(known: Callable[..., Any]) -> Callable[..., Any]:
    """UploadPart, UploadPartCopy and CompleteMultipartUpload decrypt the upload's data key."""

    def strict(headers: dict, upload: dict) -> Answer | None:
        return known(headers, upload) or _decrypt_fault(upload)

    return strict


def _decrypt_fault(record: dict, bucket: str = "", key: str = "") -> Answer | None:
    request = _request.get()
    key_id = private.S3_STORED_ENCRYPTION(record).get(KEY_ID)
    if request is None or key_id is None:
        return None
    try:
        request.require_key_use("kms:Decrypt", key_id, bucket or request.bucket, key or request.key)
    except ApiError as refused:
        return _error(refused, request)
    return None
