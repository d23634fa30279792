"""Lambda functions that AWS would not create: no code, no trust, no iam:PassRole, bad values.

ministack creates a function without code when its zip is missing (and answers for it), overwrites
one of the same name, and drops the template's properties that it does not know.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Awaitable, Callable
from typing import Any

from local_cloud import identity, seams
from local_cloud.errors import ApiError
from local_cloud.shapes import request_faults, service_model
from local_cloud.strict import caller
from local_cloud.strict import seams as private

RESOURCE_TYPE = "AWS::Lambda::Function"
SERVICE = "lambda.amazonaws.com"
CANNOT_ASSUME = "The role defined for the function cannot be assumed by Lambda."
ENVIRONMENT_LIMIT = 4096  # bytes
REQUEST_LIMITS = {"RequestResponse": 6_291_456, "Event": 1_048_576}  # bytes
MINISTACKS_OWN = {
    "Architectures",
    "Code",
    "Description",
    "Environment",
    "EphemeralStorage",
    "FunctionName",
    "Handler",
    "LoggingConfig",
    "MemorySize",
    "PackageType",
    "Role",
    "Runtime",
    "SnapStart",
    "Tags",
    "Timeout",
    "TracingConfig",
}
APPLIED = {"DeadLetterConfig", "KmsKeyArn", "ReservedConcurrentExecutions"}
# fmt: off
RESERVED = {
    "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API", "AWS_REGION", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY",
    "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN", "LAMBDA_RUNTIME_DIR", "LAMBDA_TASK_ROOT", "TZ",
    "_HANDLER",
}
# fmt: on
Answer = tuple[int, dict[str, Any], bytes]


def install() -> None:
    """Wrap Lambda's API and its CloudFormation type."""
    private.LAMBDA_CREATE.wrap(_create_by_api)
    private.LAMBDA_UPDATE_CONFIG.wrap(_update_by_api)
    private.LAMBDA_INVOKE.wrap(_invoke)
    private.LAMBDA_ZIP_INLINE.wrap(_readable)
    handlers = seams.resource_handler(RESOURCE_TYPE)
    handlers["create"] = _create_by_template(handlers["create"])
    handlers["update"] = _update_by_template(handlers["update"])
    handlers["delete"] = _delete_by_template(handlers["delete"])


def _create_by_api(known: Callable[[dict], Answer]) -> Callable[[dict], Answer]:
    def create(data: dict[str, Any]) -> Answer:
        try:
            _check("CreateFunction", data)
            _check_code(data["Code"])
        except ApiError as fault:
            return private.error_answer(fault.code, fault.message, fault.status)
        return known(data)

    return create


def _update_by_api(known: Callable[..., Answer]) -> Callable[..., Answer]:
    def update(name: str, data: dict[str, Any]) -> Answer:
        try:
            _check("UpdateFunctionConfiguration", data | {"FunctionName": name})
        except ApiError as fault:
            return private.error_answer(fault.code, fault.message, fault.status)
        answer = known(name, data)
        private.LAMBDA_INVALIDATE(name)
        return answer

    return update


def _create_by_template(known: Callable[..., Any]) -> Callable[..., Any]:
    def create(logical_id: str, properties: dict, stack_name: str) -> tuple[str, dict]:
        name = properties.get("FunctionName", "")
        if private.lambda_exists(name):
            raise ValueError(
                f"Resource of type '{RESOURCE_TYPE}' with identifier '{name}' already exists."
            )
        _check_template(properties)
        created: tuple[str, dict] = known(logical_id, properties, stack_name)
        _apply(created[0], properties)
        return created

    return create


def _update_by_template(known: Callable[..., Any]) -> Callable[..., Any]:
    def update(*arguments: Any) -> tuple[str, dict]:
        _check_template(arguments[2])
        updated: tuple[str, dict] = known(*arguments)
        _apply(updated[0], arguments[2])
        return updated

    return update


def _delete_by_template(known: Callable[..., None]) -> Callable[..., None]:
    def delete(physical_id: str, properties: dict) -> None:
        known(physical_id, properties)
        private.LAMBDA_INVALIDATE(physical_id)

    return delete


def _check_template(properties: dict[str, Any]) -> None:
    """Check a template's function as its creation would be; ValueError fails the resource."""
    if dropped := sorted(properties.keys() - MINISTACKS_OWN - APPLIED):
        raise ValueError(
            f"{RESOURCE_TYPE}: {', '.join(dropped)} is not emulated by the local cloud"
        )
    request = {key: value for key, value in properties.items() if key in MINISTACKS_OWN - {"Tags"}}
    for number in ("Timeout", "MemorySize"):
        if number in request:
            request[number] = int(request[number])
    inline = "ZipFile" in properties["Code"]
    if inline:
        request["Code"] = {}
    try:
        _check("CreateFunction", {"FunctionName": "named-by-cloudformation", **request})
        if not inline:
            _check_code(properties["Code"])
    except ApiError as fault:
        raise ValueError(
            f"{fault.message} (Service: Lambda, Status Code: {fault.status})"
        ) from fault


def _check(operation: str, data: dict[str, Any]) -> None:
    """Raise what AWS answers to values out of shape, a role not trusting, and bad variables."""
    if faults := request_faults(service_model("lambda").operation_model(operation), data):
        raise ApiError("ValidationException", f"{len(faults)} validation error detected: {faults}")
    _check_variables(data.get("Environment", {}).get("Variables", {}))
    if role := data.get("Role"):
        caller.require_pass_role(role, SERVICE)
        try:
            identity.assume_service_role(role, SERVICE, "creation")
        except ApiError as refused:
            raise ApiError("InvalidParameterValueException", CANNOT_ASSUME) from refused


def _check_variables(variables: dict[str, str]) -> None:
    prefix = "Lambda was unable to configure your environment variables because the environment "
    if reserved := sorted(RESERVED & variables.keys()):
        raise ApiError(
            "InvalidParameterValueException",
            f"{prefix}variables you have provided contains reserved keys that are currently not "
            f"supported for modification. Reserved keys used in this request: {reserved}",
        )
    if len(json.dumps(variables, separators=(",", ":")).encode()) > ENVIRONMENT_LIMIT:
        raise ApiError(
            "InvalidParameterValueException",
            f"{prefix}variables you have provided exceeded the 4KB limit.",
        )


def _check_code(code: dict[str, Any]) -> None:
    """Raise unless the zip in S3 is there, the caller may read it, and Lambda can unpack it."""
    if "ImageUri" in code:
        raise ApiError("NotImplemented", "container images are not run by the local cloud", 501)
    if "S3Bucket" not in code:
        return
    bucket, key, version = code["S3Bucket"], code["S3Key"], code.get("S3ObjectVersion")
    try:
        caller.require("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
    except ApiError as refused:
        raise ApiError(
            "AccessDeniedException", f"{_s3_fault('AccessDenied')} {refused}", 403
        ) from None
    content = private.LAMBDA_FETCH_CODE(bucket, key, version_id=version)
    if content is None:
        raise ApiError("InvalidParameterValueException", _s3_fault("NoSuchKey"))
    if fault := private.LAMBDA_ZIP_FAULT(content) or private.LAMBDA_ZIP_SIZE_FAULT(content, []):
        body = json.loads(fault[2])
        raise ApiError(body["__type"], body["message"], fault[0])


def _s3_fault(code: str) -> str:
    words = {"NoSuchKey": "The specified key does not exist.", "AccessDenied": "Access Denied"}
    return f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {words[code]}"


def _apply(name: str, properties: dict[str, Any]) -> None:
    """Apply what ministack drops of a template; a property that is gone is reset."""
    reserved = properties.get("ReservedConcurrentExecutions")
    if reserved is None:
        private.LAMBDA_DELETE_CONCURRENCY(name)
    else:
        request = {"ReservedConcurrentExecutions": int(reserved)}
        private.LAMBDA_PUT_CONCURRENCY(name, request)
    configuration = {
        "KMSKeyArn": properties.get("KmsKeyArn", ""),
        "DeadLetterConfig": properties.get("DeadLetterConfig", {}),
    }
    private.lambda_configuration(name).update(configuration)


def _readable(known: Callable[..., bytes | None]) -> Callable[..., bytes | None]:
    """Zip a template's inline code as CloudFormation does, readable for all."""

    def zip_inline(*arguments: Any) -> bytes | None:
        made = known(*arguments)
        if made is None:
            return None
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(made)) as old, zipfile.ZipFile(buffer, "w") as new:
            for entry in old.infolist():
                content = old.read(entry)
                entry.external_attr = 0o644 << 16
                new.writestr(entry, content)
        return buffer.getvalue()

    return zip_inline


def _invoke(known: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    async def invoke(name: str, event: Any, headers: dict, *more: Any) -> Answer:
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        limit = REQUEST_LIMITS.get(kind)
        if limit and len(json.dumps(event).encode()) > limit:
            message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
            refused: Answer = private.error_answer("RequestTooLargeException", message, 413)
            return refused
        return await known(name, event, headers, *more)

    return invoke
