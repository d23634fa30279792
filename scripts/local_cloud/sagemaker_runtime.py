"""SageMaker Runtime: InvokeEndpoint, in front of the model servers that SageMaker has started.

Limits as on AWS: 6 MiB each way (4 MiB each way for a serverless variant), 60 s for an answer.
Streaming and asynchronous invocations are not emulated and say so.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from local_cloud import seams
from local_cloud.errors import ApiError
from local_cloud.sagemaker.arns import ENDPOINT, Place
from local_cloud.sagemaker.fleet import NotServing, Traffic, UnknownVariant
from local_cloud.sagemaker.invocation_metrics import NO_ANSWER, InvocationMetrics
from local_cloud.sagemaker.server import LOG_GROUPS, ModelServer, TooManyRequests
from local_cloud.service import Call
from local_cloud.shapes import request_faults, service_model

logger = logging.getLogger("local_cloud")

ROUTE = re.compile(r"/endpoints/(?P<name>[^/]+)/(?P<kind>[a-z-]+)")
LIMIT_BYTES = 6 * 1024 * 1024
SERVERLESS_LIMIT_BYTES = 4 * 1024 * 1024
TIMEOUT_S = 60.0
MESSAGE_LIMIT = 2048
PREFIX = "x-amzn-sagemaker-"
CUSTOM_ATTRIBUTES = f"{PREFIX}custom-attributes"
PASSED_ON = ("content-type", "accept", CUSTOM_ATTRIBUTES, f"{PREFIX}inference-id")
HONOURED = {
    "EndpointName",
    "Body",
    "ContentType",
    "Accept",
    "CustomAttributes",
    "InferenceId",
    "TargetVariant",
}
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


class ModelError(Exception):
    """The container answered with an error, or not at all."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class Answer:
    """A container's own answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Runtime:
    """The data plane; `serving` finds the traffic of an endpoint that answers."""

    def __init__(self, serving: Callable[[str], Traffic | None]) -> None:
        self.serving = serving
        self.metrics = InvocationMetrics()
        self.model = service_model("sagemaker-runtime").operation_model("InvokeEndpoint")

    def wants(self, path: str) -> bool:
        """Take every path below /endpoints/."""
        return path.startswith("/endpoints/")

    def answer(self, path: str, headers: dict, body: bytes, query: dict) -> seams.Response:
        """Answer one HTTP request."""
        try:
            return self._invoke(path, headers, body, query)
        except ApiError as error:
            return _error(error.status, error.code, {"Message": error.message})
        except Exception as error:
            logger.exception("invocation of %s failed", path)
            return _error(500, "InternalFailure", {"Message": f"local cloud: {error}"})

    def _invoke(self, path: str, headers: dict, body: bytes, query: dict) -> seams.Response:
        route = ROUTE.fullmatch(path)
        if route is None or route["kind"] != "invocations":
            raise ApiError("NotImplemented", f"{path} is not emulated by the local cloud", 501)
        name = unquote(route["name"])
        call = Call(seams.access_key_of(headers, query), *seams.account_and_region())
        self._check(name, headers, body)
        _authorize(call, Place(call.account, call.region).arn(ENDPOINT, name))
        not_found = ApiError(
            "ValidationError", f"Endpoint {name} of account {call.account} not found."
        )
        traffic = self.serving(name)
        if traffic is None:
            raise not_found
        variant = headers.get(f"{PREFIX}target-variant", "")
        try:
            with traffic.server(variant) as server:
                return self._forward(server, headers, body, call)
        except NotServing:
            raise not_found from None
        except UnknownVariant:
            message = f"Variant {variant} not found for endpoint {name}."
            raise ApiError("ValidationError", message) from None
        except TooManyRequests:
            raise ApiError(
                "ThrottlingException", f"Endpoint {name} is at its MaxConcurrency", 429
            ) from None

    def _check(self, name: str, headers: dict, body: bytes) -> None:
        request = {"EndpointName": name, "Body": ""} | self._members(headers)
        if refused := sorted(request.keys() - HONOURED):
            message = f"the local cloud does not emulate {', '.join(refused)} of InvokeEndpoint"
            raise ApiError("NotImplemented", message, 501)
        if faults := request_faults(self.model, request):
            raise ApiError("ValidationError", "; ".join(faults))
        _check_size(body, LIMIT_BYTES)

    def _members(self, headers: dict) -> dict[str, Any]:
        """Return the request's members that travel in headers."""
        members = self.model.input_shape.members if self.model.input_shape else {}
        places = {
            shape.serialization["name"].lower(): member
            for member, shape in members.items()
            if shape.serialization.get("location") == "header"
        }
        return {member: headers[name] for name, member in places.items() if name in headers}

    def _forward(
        self, server: ModelServer, headers: dict, body: bytes, call: Call
    ) -> seams.Response:
        if server.variant.max_concurrency is not None:
            _check_size(body, SERVERLESS_LIMIT_BYTES)
        started = time.perf_counter()
        status = NO_ANSWER
        try:
            answer = _ask(server, headers, body)
            status = answer.status
        except ModelError as error:
            return _model_error(server, error, call)
        finally:
            elapsed_us = (time.perf_counter() - started) * 1e6
            variant = server.variant
            self.metrics.count(variant.endpoint, variant.name, status, elapsed_us)
        if http.client.OK <= status < http.client.MULTIPLE_CHOICES:
            return _success(server, answer)
        failure = ModelError(status, answer.body.decode(errors="replace"))
        return _model_error(server, failure, call)


def _authorize(call: Call, arn: str) -> None:
    try:
        call.authorize("sagemaker:InvokeEndpoint", arn)
    except ApiError as refused:
        raise ApiError(refused.code, refused.message, 403) from None


def _check_size(body: bytes, limit: int) -> None:
    if len(body) > limit:
        raise ApiError(
            "ValidationError",
            f"Body has {len(body)} bytes, at most {limit} are allowed: store the payload in S3, "
            "or make it smaller",
        )


def _ask(server: ModelServer, headers: dict, body: bytes) -> Answer:
    """Post to the container; ModelError with status 0 if it does not answer within 60 s."""
    sent = {name: headers[name] for name in PASSED_ON if name in headers}
    connection = http.client.HTTPConnection(*server.address, timeout=TIMEOUT_S)
    try:
        connection.request("POST", "/invocations", body, sent)
        answer = connection.getresponse()
        content = answer.read(LIMIT_BYTES + 1)
    except TimeoutError as error:
        raise ModelError(NO_ANSWER, TIMED_OUT) from error
    except (OSError, http.client.HTTPException) as error:
        message = f"The connection to container primary failed: {error!r}"
        raise ModelError(NO_ANSWER, message) from error
    finally:
        connection.close()
    if len(content) > LIMIT_BYTES:
        message = f"The response is larger than {LIMIT_BYTES} bytes."
        raise ModelError(http.client.INTERNAL_SERVER_ERROR, message)
    received = {name.lower(): value for name, value in answer.getheaders()}
    return Answer(answer.status, received, content)


def _success(server: ModelServer, answer: Answer) -> seams.Response:
    headers = {  # in lower case, or ministack takes the container's JSON for an envelope
        "content-type": answer.headers.get("content-type", "application/octet-stream"),
        "x-Amzn-Invoked-Production-Variant": server.variant.name,
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    if attributes := answer.headers.get(CUSTOM_ATTRIBUTES):
        headers["X-Amzn-SageMaker-Custom-Attributes"] = attributes
    return 200, headers, answer.body


def _model_error(server: ModelServer, error: ModelError, call: Call) -> seams.Response:
    group = f"{LOG_GROUPS}/{server.variant.endpoint}"
    console = (
        f"https://{call.region}.console.aws.amazon.com/cloudwatch/home?region={call.region}"
        f"#logEventViewer:group={group}"
    )
    client_error = http.client.BAD_REQUEST <= error.status < http.client.INTERNAL_SERVER_ERROR
    whose = "client" if client_error else "server"
    tail = f'". See {console} in account {call.account} for more information.'
    head = f'Received {whose} error ({error.status}) from primary with message "'
    room = MESSAGE_LIMIT - len(head) - len(tail)
    place = f"arn:aws:logs:{call.region}:{call.account}:log-group:{group}"
    return _error(
        424,
        "ModelError",
        {
            "Message": head + error.message[:room] + tail,
            "OriginalStatusCode": error.status,
            "OriginalMessage": error.message[:MESSAGE_LIMIT],
            "LogStreamArn": f"{place}:log-stream:{server.log_stream}",
        },
    )


def _error(status: int, code: str, content: dict[str, Any]) -> seams.Response:
    headers = {
        "Content-Type": "application/json",
        "x-amzn-ErrorType": code,
        "x-amzn-RequestId": str(uuid.uuid4()),
    }
    return status, headers, json.dumps(content).encode()
