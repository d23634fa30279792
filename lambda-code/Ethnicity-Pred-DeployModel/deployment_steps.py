"""The SageMaker calls of a deployment; each may be repeated without harm."""

from collections.abc import Mapping
from typing import Any

from common.failures import ActionFailed, error_code, error_message, exists_already, is_missing
from deployment_request import PREVIOUS


def endpoint_now(sagemaker: Any, name: str) -> dict[str, Any] | None:
    """Describe the endpoint, None if there is none."""
    try:
        return sagemaker.describe_endpoint(EndpointName=name)
    except Exception as error:
        if is_missing(error):
            return None
        raise


def config_now(sagemaker: Any, name: str) -> dict[str, Any] | None:
    """Describe an endpoint config, None if somebody has deleted it."""
    try:
        return sagemaker.describe_endpoint_config(EndpointConfigName=name)
    except Exception as error:
        if is_missing(error):
            return None
        raise


def create_model(sagemaker: Any, request: Mapping[str, Any]) -> None:
    """Create the model; one of this name must be of the same image and artifact."""
    try:
        sagemaker.create_model(**request)
    except Exception as error:
        if not exists_already(error):
            raise
        there = sagemaker.describe_model(ModelName=request["ModelName"])["PrimaryContainer"]
        for key, value in request["PrimaryContainer"].items():
            if there.get(key) != value:
                raise ActionFailed(
                    f"model {request['ModelName']} exists already with another {key}: "
                    f"{there.get(key)}; retry the stage for a new name"
                ) from error


def create_config(sagemaker: Any, request: Mapping[str, Any]) -> None:
    """Create the endpoint config; one of this name must host the same model."""
    name = request["EndpointConfigName"]
    try:
        sagemaker.create_endpoint_config(**request)
    except Exception as error:
        if not exists_already(error):
            raise
        there = sagemaker.describe_endpoint_config(EndpointConfigName=name)
        models = [variant["ModelName"] for variant in there["ProductionVariants"]]
        if models != [variant["ModelName"] for variant in request["ProductionVariants"]]:
            raise ActionFailed(
                f"endpoint config {name} exists already for {models}; retry the stage"
            ) from error


def delete_endpoint(sagemaker: Any, name: str) -> None:
    """Begin to delete the endpoint, if it is there."""
    try:
        sagemaker.delete_endpoint(EndpointName=name)
    except Exception as error:
        if not is_missing(error):
            raise


def is_busy(error: BaseException) -> bool:
    """Tell whether SageMaker refused because the endpoint came to be in motion meanwhile."""
    message = error_message(error).lower()
    return error_code(error) == "ValidationException" and (
        "in-progress" in message or "already exist" in message
    )


def is_unseen(error: BaseException, name: str) -> bool:
    """Tell whether SageMaker does not find the model or config `name` that was made just now.

    It looks them up with eventual consistency, and advises to ask again.
    """
    return is_missing(error) and name in error_message(error)


def replaced_by(sagemaker: Any, name: str) -> str | None:
    """Read from config `name`'s tags which one it replaced (a redelivery has no other memory)."""
    config = config_now(sagemaker, name)
    found = sagemaker.list_tags(ResourceArn=config["EndpointConfigArn"])["Tags"] if config else []
    return next((tag["Value"] for tag in found if tag["Key"] == PREVIOUS), None)
