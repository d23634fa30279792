"""Where ministack is kinder than AWS it is made as strict here, or offline green means nothing.

One module per service wraps what it must through `strict.seams`; `install` puts all in place.
"""

from __future__ import annotations

from local_cloud import lambda_runtime
from local_cloud.strict import (
    access_logs,
    api_deployments,
    apigateway,
    authentication,
    caller,
    cloudformation,
    events,
    functions,
    logs,
    openapi,
    s3,
    s3_bucket,
    topics,
)

MODULES = (
    authentication,
    caller,
    s3,
    s3_bucket,
    functions,
    lambda_runtime,
    openapi,
    api_deployments,
    apigateway,
    access_logs,
    events,
    topics,
    cloudformation,
    logs,
)


def install() -> None:
    """Make every service strict; call once, before the first request."""
    for module in MODULES:
        module.install()
