"""The private parts of ministack that strictness changes, each with the parameters it must have.

`local_cloud.seams` holds what the services lean on; this table holds what is wrapped. A `Seam` is
called like the function it names. `tests/contract/test_ministack_seams.py` checks every entry.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, responses
from ministack.services import kms, s3, sts


@dataclass(frozen=True)
class Seam:
    """One private function of ministack: where it is and what it takes."""

    module: ModuleType
    attribute: str
    parameters: str

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function as it stands now, wrapped or not."""
        return getattr(self.module, self.attribute)(*arguments, **named)

    def wrap(self, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        """Put `around(known)` in the function's place."""
        setattr(self.module, self.attribute, around(getattr(self.module, self.attribute)))

    def signature(self) -> str:
        """Return the names of the function's parameters as ministack has them."""
        return " ".join(inspect.signature(getattr(self.module, self.attribute)).parameters)


# Authentication
IS_ROOT_KEY = Seam(iam_evaluator, "is_root_access_key", "access_key_id")
STS_IS_ROOT_KEY = Seam(sts, "is_root_access_key", "access_key_id")
NEEDS_NO_SIGNATURE = Seam(iam_evaluator, "_is_root_key", "access_key_id")
PIN_SIGNED_REQUEST = Seam(
    iam_evaluator, "pin_signed_request", "method raw_path query_params raw_headers handshake"
)
APP_PIN_SIGNED_REQUEST = Seam(app, "pin_signed_request", PIN_SIGNED_REQUEST.parameters)
PRINCIPAL_MATCHES = Seam(iam_evaluator, "_principal_matches", "principal caller_arn")
CONDITION_KEY = Seam(iam_evaluator, "_resolve_condition_key", "key ctx")

# S3
S3_DISPATCH = Seam(s3, "_dispatch", "method bucket key headers body query_params")
S3_ERROR = Seam(s3, "_error", "code message status resource extra headers")
S3_WRITE_ENCRYPTION = Seam(s3, "_resolve_sse_write_headers", "headers bucket_name")
S3_DEFAULT_ENCRYPTION = Seam(s3, "_bucket_default_sse_headers", "bucket_name")
S3_STORED_ENCRYPTION = Seam(s3, "_stored_sse_headers", "obj")
S3_READ_ENCRYPTED = Seam(s3, "_check_sse_read_headers", "headers obj")
S3_COPY_ENCRYPTED = Seam(s3, "_check_sse_c_copy_source", "headers src_obj")
S3_PART_ENCRYPTED = Seam(s3, "_check_sse_c_part", "headers upload")
S3_PUT_ENCRYPTION = Seam(s3, "_put_bucket_encryption", "name body")
S3_DELETE_ENCRYPTION = Seam(s3, "_delete_bucket_encryption", "name")
S3_GET_ENCRYPTION = Seam(s3, "_get_bucket_encryption", "name")
S3_PUT_LIFECYCLE = Seam(s3, "_put_bucket_lifecycle", "name body")
S3_DELETE_LIFECYCLE = Seam(s3, "_delete_bucket_lifecycle", "name")
S3_PUT_VERSIONING = Seam(s3, "_put_bucket_versioning", "name body")
S3_PUT_LOGGING = Seam(s3, "_put_bucket_logging", "name body")
S3_PUT_OWNERSHIP = Seam(s3, "_put_bucket_ownership_controls", "name body")
S3_PUT_TAGGING = Seam(s3, "_put_bucket_tagging", "name body")
S3_DELETE_TAGGING = Seam(s3, "_delete_bucket_tagging", "name")
S3_DELETE_BUCKET = Seam(s3, "_delete_bucket", "name")

# KMS
KMS_RESOLVE_KEY = Seam(kms, "_resolve_key", "key_id_or_arn")
KMS_KEY_STATE_ERROR = Seam(kms, "_check_key_state", "rec")


def service_allowed(
    policy: str | dict | None, service: str, action: str, arn: str, context: dict[str, str]
) -> bool:
    """Say whether a resource policy lets a service principal do something with the resource."""
    account, region = responses.get_account_id(), responses.get_region()
    evaluation = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account,
        action=action,
        resource_arn=arn,
        region=region,
        service_context={key.lower(): value for key, value in context.items()},
    )
    result = iam_evaluator.evaluate_resource_policy(policy, evaluation, service=service)
    return result.decision == "Allow"


def kms_grants() -> list[dict[str, Any]]:
    """List the grants of the account and region in hand."""
    return list(kms._grants.values())


def every_seam() -> dict[str, Seam]:
    """Return every entry of this table by name."""
    return {name: value for name, value in globals().items() if isinstance(value, Seam)}
