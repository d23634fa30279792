"""API Gateway's limits and refusals that ministack does not know.

A body over 10 MB is 413, an integration over its time 504, a function's failure 502 without its
words, a function that API Gateway may not invoke 500; and a caller without execute-api:Invoke
gets the stage's own ACCESS_DENIED.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
from collections.abc import Awaitable, Callable
from typing import Any

from local_cloud import seams
from local_cloud.strict import api_deployments
from local_cloud.strict import seams as private

BODY_LIMIT = 10_485_760  # bytes
LAMBDA_LIMIT = 6_291_556  # bytes of the event
PRINCIPAL = "apigateway.amazonaws.com"
INTERNAL = "Internal server error"
FAILED = json.dumps({"message": INTERNAL}).encode()

_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("api_request_id")
_unheard: set[asyncio.Future] = set()  # integrations that nobody waits for any more


def install() -> None:
    """Wrap the data plane of REST APIs."""
    private.API_EXECUTE.wrap(_limit_body)
    private.API_VALIDATE.wrap(_validate_by_content_type)
    private.API_EVENT.wrap(_one_request_id)
    private.API_PROXY.wrap(_invoke_as_service)
    private.API_PROXY_RESPONSE.wrap(_hide_failure)
    private.API_ENFORCE.wrap(_deny_by_gateway_response)


def _limit_body(known: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def execute(request: dict, api_id: str, stage_name: str, *rest: Any) -> Any:
        stage = private.rest_api_stage(api_id, stage_name)
        body = rest[3]
        if stage and len(body or b"") > BODY_LIMIT:
            request["stage"] = stage
            return private.gateway_error("REQUEST_TOO_LARGE", "Request Too Long")
        token = _request_id.set(request["request_id"])
        try:
            answer = await known(request, api_id, stage_name, *rest)
        finally:
            _request_id.reset(token)
        if isinstance(answer, BadGateway):
            status, headers, content = private.API_RENDER_ERROR(answer.error, request)
            return 502 if status == 500 else status, headers, content
        if not private.is_gateway_error(answer):
            answer[1]["x-amzn-requestid"] = request["request_id"]
        return answer

    return execute


def _one_request_id(known: Callable[..., dict]) -> Callable[..., dict]:
    """Give the function the id that the caller and the access log see, too."""

    def build(*arguments: Any, **named: Any) -> dict[str, Any]:
        event = known(*arguments, **named)
        event["requestContext"]["requestId"] = _request_id.get()
        return event

    return build


class BadGateway:
    """A function's failure: DEFAULT_5XX, with 502 where nothing else is declared."""

    error = private.gateway_error("DEFAULT_5XX", INTERNAL)


def _validate_by_content_type(known: Callable[..., Any]) -> Callable[..., Any]:
    """Validate a body by the model of its own content type, else by none, as AWS does."""

    def validate(method: dict, api_id: str, request: dict, headers: dict, *rest: Any) -> Any:
        declared = headers.get("content-type") or "application/json"
        models = method.get("requestModels") or {}
        model = models.get(declared.split(";", 1)[0].strip()) or models.get("$default")
        chosen = {**method, "requestModels": {"application/json": model} if model else {}}
        if "content-type" in headers:
            headers = {**headers, "content-type": "application/json"}
        return known(chosen, api_deployments.deployed(api_id), request, headers, *rest)

    return validate


def _invoke_as_service(known: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def invoke(
        integration: dict, api_id: str, stage_name: str, stage: dict, resource: dict,
        path: str, method: str, headers: dict, body: bytes, *rest: Any, **named: Any,
    ) -> Any:  # fmt: skip
        account, region = seams.account_and_region()
        source = f"arn:aws:execute-api:{region}:{account}:{api_id}/{stage_name}/{method}{path}"
        function = private.API_FUNCTION_REFERENCE(integration["uri"])
        if not may_invoke(function, PRINCIPAL, source):
            return private.gateway_error("API_CONFIGURATION_ERROR", INTERNAL)
        if len(json.dumps((body or b"").decode(errors="replace"))) > LAMBDA_LIMIT:
            return private.gateway_error("REQUEST_TOO_LARGE", "Request Entity Too Large")
        call = asyncio.ensure_future(
            known(
                integration, api_id, stage_name, stage, resource, path, method, headers, body,
                *rest, **named,
            )
        )  # fmt: skip
        done, _ = await asyncio.wait({call}, timeout=integration["timeoutInMillis"] / 1000)
        if not done:  # the function runs on: API Gateway only stops waiting
            _unheard.add(call)
            call.add_done_callback(_unheard.discard)
            return private.gateway_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")
        answer = call.result()
        failed = not private.is_gateway_error(answer) and answer[0] == 502
        return BadGateway() if failed and answer[2] == FAILED else answer

    return invoke


def may_invoke(function_arn: str, principal: str, source_arn: str) -> bool:
    """Say whether a function's resource policy lets a service invoke it for this source."""
    policy = private.function_policy(function_arn)
    account, _ = seams.account_and_region()
    context = {"aws:SourceArn": source_arn, "aws:SourceAccount": account}
    action = "lambda:InvokeFunction"
    return policy is not None and seams.service_allowed(
        policy, principal, action, function_arn, context
    )


def _hide_failure(known: Callable[..., Any]) -> Callable[..., Any]:
    """Answer 502 for a failed function and for an answer that is not a proxy's."""

    def response(result: dict[str, Any]) -> tuple[dict | None, str | None]:
        failed = result.get("error") or not _well_formed(result.get("body"))
        if failed and not result.get("throttle"):
            return None, INTERNAL
        answered: tuple[dict | None, str | None] = known(result)
        return answered

    return response


def _well_formed(answer: Any) -> bool:
    """Say whether a function answered in the shape of a proxy integration."""
    return (
        isinstance(answer, dict)
        and str(answer.get("statusCode", "")).isdigit()
        and isinstance(answer.get("body", ""), str | None)
    )


def _deny_by_gateway_response(known: Callable[..., Any]) -> Callable[..., Any]:
    """Put the denial of a signed caller into the words that the stage declares."""

    def enforce(
        api_id: str, stage: str, method: str, execute_path: str, headers: dict, *rest: Any,
        **named: Any,
    ) -> Any:  # fmt: skip
        denied = known(api_id, stage, method, execute_path, headers, *rest, **named)
        if not denied or b"AccessDenied" not in denied[2]:
            return denied
        if private.rest_api_stage(api_id, stage) is None:
            return denied
        account, region = seams.account_and_region()
        arn = f"{region}:********{account[-4:]}:{api_id}/{stage}/{method}{execute_path}"
        message = json.loads(denied[2])["message"].replace(
            "execute-api:Invoke ", f"execute-api:Invoke on resource: arn:aws:execute-api:{arn} ", 1
        )
        error = private.gateway_error("ACCESS_DENIED", message)
        return private.API_RENDER_ERROR(error, private.gateway_request(api_id, stage, headers))

    return enforce
