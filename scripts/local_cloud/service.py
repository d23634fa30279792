"""The base of each emulated JSON service: routing, IAM, and botocore's model as the referee.

A service subclasses `JsonService` and writes one method per operation, named as in boto3
(`create_training_job`). An operation without a method answers 501 and names itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import json
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from botocore import xform_name
from botocore.model import OperationModel

from local_cloud import seams
from local_cloud.errors import ApiError
from local_cloud.shapes import request_faults, response_faults, service_model

logger = logging.getLogger("local_cloud")


@dataclass(frozen=True)
class Call:
    """Who calls: credentials, account and region of the request in hand."""

    access_key: str
    account: str
    region: str

    def authorize(self, action: str, resource: str = "*", **context: Any) -> None:
        """Raise AccessDenied unless IAM allows the caller this action on this ARN."""
        refused = seams.denial(self.access_key, action, resource, context or None)
        if refused:
            raise ApiError(*refused, status=400)

    def authorize_pass_role(self, role_arn: str, service: str) -> None:
        """Check iam:PassRole with iam:PassedToService, as `service` would on AWS."""
        refused = seams.denial(
            self.access_key, "iam:PassRole", role_arn, {"iam:PassedToService": service}
        )
        if refused:
            raise ApiError(*refused, status=400)


@dataclass(frozen=True)
class Need:
    """One IAM check of an operation: the action, the ARN and the condition keys."""

    action: str
    resource: str = "*"
    context: dict[str, Any] = field(default_factory=dict)


class JsonService:
    """An AWS service with the JSON protocol (X-Amz-Target), checked in both directions."""

    name: ClassVar[str]  # botocore's service name
    invalid_request_code: ClassVar[str] = "ValidationException"

    def __init__(self) -> None:
        self.model = service_model(self.name)
        self.namespace: str = self.model.signing_name

    def needs(self, operation: str, request: dict[str, Any], call: Call) -> Iterable[Need]:
        """Say which IAM checks AWS makes for an operation; override to name resources."""
        return [Need(f"{self.namespace}:{operation}")]

    def install(self) -> None:
        """Register the service in ministack."""
        seams.register_service(
            self.name, self.model.metadata["targetPrefix"], self.namespace, self.handle
        )

    async def handle(
        self, method: str, path: str, headers: dict, body: bytes, query: dict
    ) -> seams.Response:
        """Answer one HTTP request; the operation runs in a worker thread."""
        context = contextvars.copy_context()
        return await asyncio.to_thread(context.run, self._answer, headers, body, query)

    def _answer(self, headers: dict, body: bytes, query: dict) -> seams.Response:
        operation = headers.get("x-amz-target", "").rsplit(".", 1)[-1]
        call = Call(seams.access_key_of(headers, query), *seams.account_and_region())
        try:
            response = self.call(operation, json.loads(body or b"{}"), call)
            status = 200
        except ApiError as error:
            status = error.status
            response = {"__type": error.code, "message": error.message}
        except Exception as error:
            logger.exception("%s:%s failed", self.name, operation)
            status = 500
            response = {"__type": "InternalFailure", "message": f"local cloud: {error}"}
        return status, _headers(response), json.dumps(response, default=_epoch).encode()

    def call(self, operation: str, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Run one operation: known, well formed, allowed, done, and answered in AWS's shape."""
        model = self._operation(operation)
        method = getattr(self, xform_name(operation), None)
        if method is None:
            raise ApiError(
                "NotImplemented",
                f"{self.name}:{operation} is not emulated by the local cloud",
                501,
            )
        if faults := request_faults(model, request):
            raise ApiError(self.invalid_request_code, "; ".join(faults))
        for need in self.needs(operation, request, call):
            call.authorize(need.action, need.resource, **need.context)
        response: dict[str, Any] = method(request, call) or {}
        if faults := response_faults(model, response):
            raise AssertionError(f"{operation} answered out of shape: {'; '.join(faults)}")
        return response

    def _operation(self, operation: str) -> OperationModel:
        if operation not in self.model.operation_names:
            raise ApiError("UnknownOperationException", f"{self.name} has no {operation!r}")
        return self.model.operation_model(operation)


def _headers(response: dict[str, Any]) -> dict[str, str]:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    if "__type" in response:
        headers["x-amzn-errortype"] = response["__type"]
    return headers


def _epoch(value: Any) -> float:
    """Write timestamps as the JSON protocol does: epoch seconds."""
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} has no place in a JSON answer")
