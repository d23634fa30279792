"""CloudWatch Logs: what touches a log stream is authorised on the stream's ARN.

AWS's own role for a function allows `logs:CreateLogStream` on `log-group:NAME:*`; ministack
compares with the bare group, which such a policy does not match.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from local_cloud.strict import seams

STREAM_ACTIONS = frozenset({"CreateLogStream", "DeleteLogStream", "PutLogEvents", "GetLogEvents"})


def install() -> None:
    """Wrap the resource that ministack's IAM check names."""
    seams.EXTRACT_RESOURCE_ARN.wrap(_with_log_stream)


def _with_log_stream(known: Callable[..., str]) -> Callable[..., str]:
    def extract(
        service: str, method: str, path: str, headers: dict, body: bytes, *rest: Any
    ) -> str:
        arn = known(service, method, path, headers, body, *rest)
        operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        if service != "logs" or operation not in STREAM_ACTIONS or arn == "*":
            return arn
        return f"{arn}:log-stream:{json.loads(body).get('logStreamName', '')}"

    return extract
