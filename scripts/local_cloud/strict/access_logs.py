"""Access logs of an API's stages: written as the template formats them, with the account's role.

ministack drops a stage's AccessLogSetting. On AWS a stage that logs cannot be made before the
account has a role for it, which is what new accounts stumble over.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from local_cloud import identity, seams
from local_cloud.errors import ApiError
from local_cloud.strict import seams as private

logger = logging.getLogger("local_cloud")

RESOURCE_TYPE = "AWS::ApiGateway::Stage"
PRINCIPAL = "apigateway.amazonaws.com"
VARIABLE = re.compile(r"\$context\.([A-Za-z.]+[A-Za-z])")
NO_ROLE = (
    "CloudWatch Logs role ARN must be set in account settings to enable logging "
    "(Service: ApiGateway, Status Code: 400)"
)
SESSION_S = 1800
Answer = tuple[int, dict[str, str], bytes]


def install() -> None:
    """Wrap the CloudFormation type and the way into every API."""
    handlers = seams.resource_handler(RESOURCE_TYPE)
    handlers["create"] = _with_log(handlers["create"], 1)
    handlers["update"] = _with_log(handlers["update"], 2)
    private.API_HANDLE.wrap(_logged)


def _with_log(known: Callable[..., Any], position: int) -> Callable[..., Any]:
    def provision(*arguments: Any) -> Any:
        properties = arguments[position]
        setting = properties.get("AccessLogSetting") or {}
        methods = properties.get("MethodSettings") or []
        asks = setting or any(m.get("LoggingLevel", "OFF") != "OFF" for m in methods)
        if asks and not private.api_log_role():
            raise ValueError(NO_ROLE)
        made = known(*arguments)
        stage = private.rest_api_stage(properties["RestApiId"], properties["StageName"])
        if stage is not None:
            stage["accessLogSettings"] = {
                name: setting[key]
                for name, key in (("destinationArn", "DestinationArn"), ("format", "Format"))
                if key in setting
            }
        return made

    return provision


def _logged(known: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def handle(
        host: str, path: str, method: str, headers: dict, *rest: Any, **named: Any
    ) -> Any:
        started = time.perf_counter()
        answer = await known(host, path, method, headers, *rest, **named)
        target = private.API_URL(host, path)
        if answer is None or target is None:
            return answer
        api_id, stage_name, resource = target
        stage = private.rest_api_stage(api_id, stage_name) or {}
        if setting := stage.get("accessLogSettings"):
            facts = {
                "stage": stage_name,
                "apiId": api_id,
                "httpMethod": method,
                "path": f"/{stage_name}{resource}",
                "resourcePath": resource,
                "responseLatency": str(int((time.perf_counter() - started) * 1000)),
                "identity.caller": seams.caller_arn(seams.access_key_of(headers, {})),
                **_facts_of_answer(answer),
            }
            _write(api_id, stage_name, setting, facts)
        return answer

    return handle


def _facts_of_answer(answer: Answer) -> dict[str, str]:
    status, headers, body = answer
    named = {name.lower(): value for name, value in headers.items()}
    return {
        "status": str(status),
        "requestId": str(named.get("x-amzn-requestid", "-")),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "protocol": "HTTP/1.1",
        "responseLength": str(len(body)),
        "identity.sourceIp": "127.0.0.1",
        "error.message": _error_message(body) if status >= 400 else "-",
    }


def _error_message(body: bytes) -> str:
    try:
        content = json.loads(body)
    except ValueError:
        return "-"
    content = content.get("error", content) if isinstance(content, dict) else {}
    return str(content.get("message", "-")) if isinstance(content, dict) else "-"


def _write(api_id: str, stage: str, setting: dict[str, str], facts: dict[str, str]) -> None:
    """Write one line if the account's role may; what is not known of a request is a dash."""
    group = setting["destinationArn"].removesuffix(":*").split(":log-group:")[1]
    stream = hashlib.sha256(f"{api_id}/{stage}".encode()).hexdigest()[:32]
    line = VARIABLE.sub(lambda found: facts.get(found[1], "-"), setting["format"]).strip()
    arn = f"{setting['destinationArn'].removesuffix(':*')}:log-stream:{stream}"
    try:
        key = _session_key(str(private.api_log_role()), int(time.time() // SESSION_S))
    except ApiError as refused:
        denied: tuple[str, str] | None = (refused.code, refused.message)
    else:
        denied = private.denial_as(key, "logs:PutLogEvents", arn)
    if denied:
        logger.warning("API %s: no access log, as on AWS: %s", api_id, denied[1])
    else:
        private.append_log(group, stream, [line])


@functools.lru_cache(maxsize=16)
def _session_key(role_arn: str, _half_hour: int) -> str:
    """Return the access key of a session of the role, the same one for half an hour."""
    session = identity.assume_service_role(role_arn, PRINCIPAL, "BackplaneAssumeRoleSession")
    return session["aws_access_key_id"]
