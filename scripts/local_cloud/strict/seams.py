"""The private parts of ministack that strictness changes, each with the parameters it must have.

`local_cloud.seams` holds what the services lean on; this table holds what is wrapped. A `Seam` is
called like the function it names. `tests/contract/test_ministack_seams.py` checks every entry.
"""

from __future__ import annotations

import contextvars
import copy
import inspect
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime, responses
from ministack.services import (
    apigateway_v1,
    cloudwatch,
    cloudwatch_logs,
    eventbridge,
    kms,
    lambda_svc,
    s3,
    sns,
    sts,
)
from ministack.services.cloudformation import engine, provisioners

from local_cloud import seams


@dataclass(frozen=True)
class Seam:
    """One private function of ministack: where it is and what it takes."""

    module: ModuleType | type
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


# Authorisation
EXTRACT_RESOURCE_ARN = Seam(
    iam_actions,
    "extract_resource_arn",
    "service method path headers body query_params region account_id",
)

# Authentication
IS_ROOT_KEY = Seam(iam_evaluator, "is_root_access_key", "access_key_id")
STS_IS_ROOT_KEY = Seam(sts, "is_root_access_key", "access_key_id")
NEEDS_NO_SIGNATURE = Seam(iam_evaluator, "_is_root_key", "access_key_id")
PIN_SIGNED_REQUEST = Seam(
    iam_evaluator, "pin_signed_request", "method raw_path query_params raw_headers handshake"
)
APP_PIN_SIGNED_REQUEST = Seam(app, "pin_signed_request", PIN_SIGNED_REQUEST.parameters)
PRINCIPAL_MATCHES = Seam(iam_evaluator, "_principal_matches", "principal caller_arn")
PIN_CALLER = Seam(iam_evaluator, "pin_request_caller", "headers query_params")
CONDITION_KEY = Seam(iam_evaluator, "_resolve_condition_key", "key ctx")

# Doors of ministack's own that ask for no credentials
ADMIN_DOORS = (
    Seam(app, "_handle_admin_reset", "path method query_params"),
    Seam(app, "_handle_admin_config_request", "path method body"),
    Seam(app, "_handle_sqs_messages_request", "method path headers query_params"),
    Seam(app, "_handle_ses_messages_request", "method path headers query_params"),
    Seam(app, "_handle_sns_sms_messages_request", "method path headers query_params"),
)

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

# Lambda
LAMBDA_WORKER_CLASS = Seam(lambda_runtime, "_worker_class_for", "config")
LAMBDA_KILL_WORKERS = Seam(lambda_runtime, "kill_workers", "workers")
LAMBDA_LEASE = Seam(
    lambda_runtime, "acquire_worker", "func_name config code_zip qualifier max_concurrency"
)
LAMBDA_RELEASE = Seam(lambda_runtime, "release_worker", "worker")
LAMBDA_START_REAPER = Seam(lambda_svc, "_ensure_reaper_thread", "")
LAMBDA_EXECUTE = Seam(lambda_svc, "_execute_function_warm", "func event request_id")
LAMBDA_EMIT_LOGS = Seam(
    lambda_svc, "_emit_lambda_logs", "func request_id log_text error duration_ms log_source"
)
LAMBDA_INVALIDATE = Seam(lambda_svc, "invalidate_worker", "func_name qualifier account region")
LAMBDA_CREATE = Seam(lambda_svc, "_create_function", "data")
LAMBDA_UPDATE_CONFIG = Seam(lambda_svc, "_update_config", "name data")
LAMBDA_INVOKE = Seam(lambda_svc, "_invoke", "name event headers path_qualifier query_params")
LAMBDA_FETCH_CODE = Seam(lambda_svc, "_fetch_code_from_s3", "bucket key version_id")
LAMBDA_ZIP_FAULT = Seam(lambda_svc, "_reject_unreadable_zip", "zip_data")
LAMBDA_ZIP_SIZE_FAULT = Seam(lambda_svc, "_validate_total_unzipped_size", "code_zip layers")
LAMBDA_ZIP_INLINE = Seam(provisioners, "_zip_inline", "source handler runtime")
LAMBDA_PUT_CONCURRENCY = Seam(lambda_svc, "_put_function_concurrency", "func_name data")
LAMBDA_DELETE_CONCURRENCY = Seam(lambda_svc, "_delete_function_concurrency", "func_name")

# CloudWatch Logs
LOGS_CREATE_GROUP = Seam(cloudwatch_logs, "_create_log_group", "data")
LOGS_CREATE_STREAM = Seam(cloudwatch_logs, "_create_log_stream", "data")
LOGS_PUT_EVENTS = Seam(cloudwatch_logs, "_put_log_events", "data")

# EventBridge
EVENTS_PUT_TARGETS = Seam(eventbridge, "_put_targets", "data")
EVENTS_INVOKE_TARGET = Seam(eventbridge, "_invoke_target", "target event rule view")
EVENTS_TO_LAMBDA = Seam(eventbridge, "_dispatch_to_lambda", "arn payload")

# SNS and the alarms that speak to it
SNS_PUBLISH = Seam(sns, "_publish", "params")
SNS_ERROR = Seam(sns, "_error", "code message status")
ALARM_ACTIONS = Seam(cloudwatch, "_dispatch_alarm_actions", "alarm old_state new_state reason")

# CloudFormation
CFN_COMPOSE_NODE = Seam(engine.CfnLoader, "compose_node", "self parent index")

# API Gateway (REST)
API_IMPORT = Seam(apigateway_v1, "_import_rest_api", "spec base_data")
API_PUT_RESPONSE = Seam(apigateway_v1, "_put_gateway_response", "api_id response_type data")
API_CREATE_VALIDATOR = Seam(apigateway_v1, "_create_request_validator", "api_id data")
API_CREATE_MODEL = Seam(apigateway_v1, "_create_model", "api_id data")
API_CREATE_DEPLOYMENT = Seam(apigateway_v1, "_create_deployment", "api_id data")
API_DELETE_DEPLOYMENT = Seam(apigateway_v1, "_delete_deployment", "api_id deployment_id")
API_DELETE = Seam(apigateway_v1, "_delete_rest_api", "api_id")
API_MATCH = Seam(apigateway_v1, "_match_resource_tree", "api_id segments")
API_MATCH_GREEDY = Seam(apigateway_v1, "_match_greedy_fallback", "api_id segments http_method")
API_VALIDATE = Seam(
    apigateway_v1,
    "_check_request_validation",
    "method_obj api_id request headers body query_params",
)
API_AUTHORIZATION_TYPE = Seam(
    apigateway_v1, "method_authorization_type", "api_id stage_name method path"
)
API_EXECUTE = Seam(
    apigateway_v1,
    "_execute_in_scope",
    "request api_id stage_name method path headers body query_params owner_account_id owner_region",
)
API_PROXY = Seam(
    apigateway_v1,
    "_invoke_lambda_proxy_v1",
    "integration api_id stage_name stage resource request_path method headers body query_params "
    "path_params owner_account_id owner_region binary_media_types authorizer_context "
    "caller_identity",
)
API_EVENT = Seam(
    apigateway_v1,
    "_build_lambda_event_v1",
    "api_id stage_name stage resource request_path method headers body query_params path_params "
    "binary_media_types authorizer_context caller_identity",
)
API_PROXY_RESPONSE = Seam(apigateway_v1, "_lambda_proxy_response", "result")
API_FUNCTION_REFERENCE = Seam(apigateway_v1, "_extract_lambda_ref_from_integration_uri", "uri")
API_RENDER_ERROR = Seam(apigateway_v1, "_gateway_error_response", "error request")
API_ENFORCE = Seam(
    app,
    "_enforce_execute_api",
    "api_id stage method execute_path headers query_params iam_action",
)
API_HANDLE = Seam(
    app,
    "_handle_execute_api_request",
    "host path method headers body query_params raw_path raw_query_string",
)
API_URL = Seam(app, "_parse_execute_api_url", "host path")
API_DEPLOYED_PARTS = ("_resources", "_models", "_request_validators")
API_PARTS = (*API_DEPLOYED_PARTS, "_authorizers_v1", "_gateway_responses")


def rest_api(api_id: str) -> dict[str, Any]:
    """Return ministack's own record of a REST API; writable."""
    record: dict[str, Any] = apigateway_v1._rest_apis[api_id]
    return record


def api_log_role() -> str | None:
    """Return the role with which API Gateway logs in this account and region, None if unset."""
    settings: dict[str, str] = apigateway_v1._account_settings.get("settings") or {}
    return settings.get("cloudwatchRoleArn")


def rest_api_methods(api_id: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (path, HTTP method, writable method record) of all methods of a REST API."""
    for resource in apigateway_v1._resources[api_id].values():
        for http_method, record in resource["resourceMethods"].items():
            yield resource["path"], http_method, record


def rest_api_stage(api_id: str, stage_name: str) -> dict[str, Any] | None:
    """Return a stage's record, None if there is none."""
    stage: dict[str, Any] | None = apigateway_v1._stages_v1.get(api_id, {}).get(stage_name)
    return stage


def rest_api_deployments(api_id: str) -> set[str]:
    """Return the ids of a REST API's deployments."""
    return set(apigateway_v1._deployments_v1.get(api_id, {}))


def rest_apis_with_stage(stage_name: str) -> list[str]:
    """List the ids of the REST APIs that have a stage of this name."""
    return [
        api_id
        for api_id in apigateway_v1._rest_apis
        if stage_name in apigateway_v1._stages_v1.get(api_id, {})
    ]


def take_rest_api_parts(source: str, target: str) -> None:
    """Give `target` the resources, models and all of `source`, and delete `source`."""
    for part in API_PARTS:
        store = getattr(apigateway_v1, part)
        store[target] = store.get(source, {})
    record = {**apigateway_v1._rest_apis[source], "id": target}
    apigateway_v1._rest_apis[target].update(record)
    apigateway_v1._delete_rest_api(source)
    apigateway_v1._request_validators.pop(source, None)


def copy_rest_api_parts(source: str, target: str) -> None:
    """Keep a copy of what a request is matched and checked against under another id."""
    for part in API_DEPLOYED_PARTS:
        store = getattr(apigateway_v1, part)
        store[target] = copy.deepcopy(store.get(source, {}))


def drop_rest_api_parts(target: str) -> None:
    """Forget a copy."""
    for part in API_DEPLOYED_PARTS:
        getattr(apigateway_v1, part).pop(target, None)


def has_rest_api_parts(target: str) -> bool:
    """Say whether there is a copy under this id."""
    return target in apigateway_v1._resources


def gateway_error(kind: str, message: str) -> Any:
    """Make an error that API Gateway itself answers, through the stage's gateway responses."""
    return apigateway_v1._GatewayError(kind, message)


def is_gateway_error(value: Any) -> bool:
    """Say whether an execution ended in such an error."""
    return isinstance(value, apigateway_v1._GatewayError)


def gateway_request(api_id: str, stage_name: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return what a gateway response is rendered from, as far as it is known before routing."""
    return {
        "api_id": api_id,
        "stage_name": stage_name,
        "stage": rest_api_stage(api_id, stage_name),
        "headers": headers,
        "query_params": {},
        "path_params": {},
        "resource_path": "",
        "request_id": str(uuid.uuid4()),
    }


def function_policy(function_arn: str) -> dict[str, Any] | None:
    """Return a function's resource policy, None if there is no such function."""
    found: tuple[dict, str] | None = lambda_svc.function_policy_for_arn(function_arn)
    return found[0] if found else None


def topic_attributes(arn: str) -> dict[str, Any] | None:
    """Return ministack's own attributes of a topic, writable; None if there is no such topic."""
    topic = sns._topics.get(arn)
    return topic["attributes"] if topic else None


def resource_policy(service: str, arn: str) -> Any:
    """Return the policy that a queue, topic, function … carries; None if it has none."""
    found = iam_evaluator._resource_policy(service, arn)
    return found[0] if found else None


def invoke_asynchronously(function_arn: str, event: Any) -> bool:
    """Queue an event for a function, with Lambda's retries; False if there is no such function."""
    function, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
    if not function or not config:
        return False
    lambda_svc.invoke_async_with_retry(
        lambda_svc._execution_record_for_config(function, config), event
    )
    return True


def denial_as(access_key: str, action: str, arn: str) -> tuple[str, str] | None:
    """Evaluate IAM for a session of the cloud's own, whoever sent the request in hand."""

    def evaluate() -> tuple[str, str] | None:
        iam_evaluator._anonymous.set(False)
        iam_evaluator._signed_request.set(None)
        return seams.denial(access_key, action, arn)

    return contextvars.copy_context().run(evaluate)


def error_answer(code: str, message: str, status: int) -> tuple[int, dict[str, Any], bytes]:
    """Word an error as ministack's JSON services do."""
    answer: tuple[int, dict[str, Any], bytes] = responses.error_response_json(code, message, status)
    return answer


def lambda_exists(name: str) -> bool:
    """Say whether the account and region in hand have a function of this name."""
    return name in lambda_svc._functions


def lambda_configuration(name: str) -> dict[str, Any]:
    """Return ministack's own configuration record of a function; writable."""
    configuration: dict[str, Any] = lambda_svc._functions[name]["config"]
    return configuration


def log_group_exists(name: str) -> bool:
    """Say whether the account and region in hand have this log group."""
    return name in cloudwatch_logs._log_groups


def append_log(group: str, stream: str, lines: list[str]) -> None:
    """Write lines to a log stream, made if it is missing, as is its group."""
    LOGS_CREATE_GROUP({"logGroupName": group})
    LOGS_CREATE_STREAM({"logGroupName": group, "logStreamName": stream})
    now_ms = int(time.time() * 1000)
    events = [{"timestamp": now_ms, "message": line} for line in lines]
    LOGS_PUT_EVENTS({"logGroupName": group, "logStreamName": stream, "logEvents": events})


def kms_grants() -> list[dict[str, Any]]:
    """List the grants of the account and region in hand."""
    return list(kms._grants.values())


def every_seam() -> dict[str, Seam]:
    """Return every entry of this table by name."""
    named = {name: value for name, value in globals().items() if isinstance(value, Seam)}
    return named | {f"ADMIN_DOORS{door.attribute}": door for door in ADMIN_DOORS}
