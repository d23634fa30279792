"""From the endpoint's answer, or its failure, to the API's."""

import json
import math
from collections.abc import Mapping
from typing import Any

from api_error import ApiError
from common.failures import error_code, error_message
from common.notice import STANDING_NOTE

BUSY = {
    "ThrottlingException",
    "TooManyRequestsException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "ModelNotReadyException",
}
TIMEOUTS = {"ReadTimeoutError", "ConnectTimeoutError"}
_MODEL_STATUS = {400: "bad_request", 413: "too_large", 415: "not_an_image", 422: "not_an_image"}


def api_answer(body: bytes, image_name: str | None) -> dict[str, Any]:
    """Return the API's 200 for the endpoint's JSON; raise model_error for any other form.

    A model is taken to have sensitive labels unless it says that it has not.
    """
    try:
        content = json.loads(body)
        [prediction] = content["predictions"]
        model, probabilities = content["model"], prediction["probabilities"]
        if not all(math.isfinite(value) for value in probabilities.values()):
            raise ValueError("a probability is no number")  # noqa: TRY301
        answer = {
            "predict": prediction["predict"],
            "probabilities": probabilities,
            "model": {"name": model["name"], "version": model["version"]},
        }
        sensitive = model.get("sensitive") is not False
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ApiError("model_error", "the model's answer has not the expected form") from error
    named = {"image_name": image_name} if image_name is not None else {}
    return named | answer | ({"note": STANDING_NOTE} if sensitive else {})


def endpoint_error(error: Exception, endpoint: str, stage: str) -> ApiError:
    """Say in the API's terms why the endpoint gave no answer."""
    if type(error).__name__ in TIMEOUTS:
        return _timeout()
    code, message = error_code(error), error_message(error)
    if code == "ModelError":
        return _model_error(error)
    if code in BUSY:
        return ApiError("throttled", "too many requests at once; try again in a few seconds")
    if code in {"ValidationError", "ValidationException"} and "not found" in message.lower():
        return ApiError(
            "not_deployed",
            f"there is no endpoint {endpoint} yet: push model code and training data (step 4) and "
            f"wait until the pipeline has passed its {stage} deployment",
        )
    if code:
        return ApiError("internal_error", "the model could not be asked; the log says why")
    return ApiError("model_error", "the model's endpoint cannot be reached")


def _model_error(error: Any) -> ApiError:
    status = error.response.get("OriginalStatusCode")
    if status in (0, 408, 504):  # SageMaker says 0 when the container took more than 60 s
        return _timeout()
    if status in (429, 503):
        return ApiError("throttled", "the model is busy; try again in a few seconds")
    if code := _MODEL_STATUS.get(status):
        return ApiError(code, _told(error.response.get("OriginalMessage")))
    return ApiError("model_error", "the model failed on this image; its log says why")


def _told(message: Any) -> str:
    """Return the text in the container's {"error": text}; never anything else it may have sent."""
    try:
        text = json.loads(message)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        text = None
    return text[:500] if isinstance(text, str) and text else "the model refuses this image"


def _timeout() -> ApiError:
    return ApiError("timeout", "the model took too long; it may be starting: try again in a minute")


def http(status: int, body: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    """Return an API Gateway proxy response."""
    headers = {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Id": request_id,
    }
    if status == 429:
        headers["Retry-After"] = "5"
    return {
        "statusCode": status,
        "headers": headers,
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
