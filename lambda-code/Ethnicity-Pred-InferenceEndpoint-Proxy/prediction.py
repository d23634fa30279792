"""One API request: parse, fetch the image, ask the endpoint, answer."""

import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api_error import ApiError
from common.failures import WrongConfiguration, error_code, error_message
from common.logs import bind, logger
from common.settings import from_env
from predict_answer import TIMEOUTS, api_answer, endpoint_error, http
from predict_request import check_size, content_type, parse

MISSING = {"NoSuchKey", "404", "AccessDenied", "403"}  # without s3:ListBucket, S3 says 403


@dataclass(frozen=True)
class Settings:
    """The function's environment."""

    data_bucket: str
    endpoints: str
    images_prefix: str = "images/"
    allow_image_uploads: bool = False

    def endpoint(self, stage: str) -> str:
        """Return the endpoint of an API stage; stages that ENDPOINTS does not list have none."""
        try:
            known = json.loads(self.endpoints)
            endpoint = known.get(stage)
        except (ValueError, AttributeError):
            raise WrongConfiguration('ENDPOINTS must be JSON: {"dev": "endpoint name"}') from None
        if not isinstance(endpoint, str):
            raise ApiError("not_found", f"there is no stage {stage[:40]!r}")
        return endpoint


@dataclass(frozen=True)
class Services:
    """How to get the warm clients; made only when a request comes as far."""

    s3: Callable[[], Any]
    runtime: Callable[[], Any]


def respond(
    event: Mapping[str, Any], services: Services, environ: Mapping[str, str]
) -> dict[str, Any]:
    """Answer one event; whatever happens, in the API's form and without a traceback."""
    context = event.get("requestContext") or {}
    request_id, started = str(context.get("requestId") or ""), time.monotonic()
    bind(request_id=request_id)
    try:
        settings = from_env(Settings, environ)
        stage = str(context.get("stage") or "")
        status, body = 200, _predict(event, stage, settings, services)
        code = "ok"
    except Exception as error:
        known = error if isinstance(error, ApiError) else _unexpected(error)
        status, code = known.status, known.code
        body = {"error": {"code": code, "message": known.message, "request_id": request_id}}
        _log_cause(known)
    took_ms = round((time.monotonic() - started) * 1000)
    logger().info("answered", extra={"facts": {"status": status, "code": code, "ms": took_ms}})
    return http(status, body, request_id)


def _predict(
    event: Mapping[str, Any], stage: str, settings: Settings, services: Services
) -> dict[str, Any]:
    endpoint = settings.endpoint(stage)
    request = parse(event, allow_uploads=settings.allow_image_uploads)
    image = request.image
    if image is None:
        image = _stored(services.s3(), settings, str(request.image_name))
    check_size(len(image))
    kind = content_type(image)
    try:
        answer = (
            services.runtime()
            .invoke_endpoint(
                EndpointName=endpoint, ContentType=kind, Accept="application/json", Body=image
            )["Body"]
            .read()
        )
    except Exception as error:
        raise endpoint_error(error, endpoint, stage) from error
    return api_answer(answer, request.image_name)


def _stored(s3: Any, settings: Settings, name: str) -> bytes:
    try:
        found = s3.get_object(Bucket=settings.data_bucket, Key=settings.images_prefix + name)
        check_size(found["ContentLength"])
        return found["Body"].read()
    except ApiError:
        raise
    except Exception as error:
        if error_code(error) in MISSING and "kms" not in error_message(error).lower():
            told = f"there is no image {name!r} under {settings.images_prefix} of the data bucket"
            raise ApiError("not_found", told) from error
        if type(error).__name__ in TIMEOUTS:
            raise ApiError("timeout", "reading the image took too long; try again") from error
        raise


def _unexpected(error: Exception) -> ApiError:
    trace = "".join(traceback.format_exception(error))
    logger().error("unexpected error", extra={"facts": {"traceback": trace}})
    return ApiError("internal_error", "something is wrong with this API; its log says what")


def _log_cause(error: ApiError) -> None:
    cause = error.__cause__
    if error.status >= 500 and cause is not None:
        facts = {"cause": f"{type(cause).__name__}: {cause}"[:1_000]}
        logger().error(error.message, extra={"facts": facts})
