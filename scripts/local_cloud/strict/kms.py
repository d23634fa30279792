"""Use of a KMS key by a service on its caller's behalf: key policy, identity policy, grants."""

from __future__ import annotations

import json
from typing import Any

from local_cloud import seams
from local_cloud.errors import ApiError
from local_cloud.strict import seams as private


def key_arn(reference: str) -> str | None:
    """Return the ARN behind a key id, key ARN, alias or alias ARN; None if there is no such key."""
    record = private.KMS_RESOLVE_KEY(reference)
    return record["Arn"] if record else None


def require_use(
    access_key: str, action: str, reference: str, via: str, encryption_context: dict[str, str]
) -> None:
    """Raise the error that AWS gives unless the caller may use the key through the service `via`.

    `via` is the service's short name, such as `s3`; the codes carry S3's `KMS.` prefix.
    """
    record = private.KMS_RESOLVE_KEY(reference)
    if record is None:
        raise ApiError("KMS.NotFoundException", f"Key '{reference}' does not exist")
    account, region = seams.account_and_region()
    context = {
        "kms:ViaService": f"{via}.{region}.amazonaws.com",
        "kms:CallerAccount": account,
        "kms:EncryptionContextKeys": sorted(encryption_context),
        **{f"kms:EncryptionContext:{key}": value for key, value in encryption_context.items()},
    }
    refused = seams.denial(access_key, action, record["Arn"], context)
    if refused and not _granted(access_key, action, record["Arn"], encryption_context, refused[1]):
        raise ApiError("AccessDenied", refused[1], 403)
    if state := private.KMS_KEY_STATE_ERROR(record):
        fault = json.loads(state[2])
        raise ApiError(f"KMS.{fault['__type']}", fault["message"])


def service_may_use(
    reference: str, service: str, encryption_context: dict[str, str], **source: str
) -> bool:
    """Say whether the key's own policy lets a service principal encrypt and decrypt with it."""
    record = private.KMS_RESOLVE_KEY(reference)
    if record is None:
        return False
    context = dict(source)
    for name, value in encryption_context.items():
        context[f"kms:EncryptionContext:{name}"] = value
    return all(
        seams.service_allowed(record.get("Policy"), service, action, record["Arn"], context)
        for action in ("kms:GenerateDataKey", "kms:Decrypt")
    )


def _granted(
    access_key: str, action: str, arn: str, encryption_context: dict[str, str], refusal: str
) -> bool:
    """Say whether a grant on the key makes up for policies that do not allow (a Deny stays one)."""
    if "explicit deny" in refusal:
        return False
    caller = seams.caller_arn(access_key)
    return any(
        grant["KeyId"] == arn
        and action.removeprefix("kms:") in grant["Operations"]
        and private.PRINCIPAL_MATCHES({"AWS": grant["GranteePrincipal"]}, caller)
        and _constraints_hold(grant.get("Constraints") or {}, encryption_context)
        for grant in private.kms_grants()
    )


def _constraints_hold(constraints: dict[str, Any], encryption_context: dict[str, str]) -> bool:
    equals = constraints.get("EncryptionContextEquals")
    subset = constraints.get("EncryptionContextSubset") or {}
    return (equals is None or equals == encryption_context) and (
        subset.items() <= encryption_context.items()
    )
