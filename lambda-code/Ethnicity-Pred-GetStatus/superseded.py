"""Deleting what a successful deployment has replaced.

This is done here and not in DeployModel because the old config must outlive the update: SageMaker
goes back to it when the new fleet fails, and only this action sees the new one InService.
"""

from collections.abc import Mapping
from typing import Any

from common.failures import is_missing
from common.logs import logger
from common.names import is_ours_to_delete


def delete_superseded(sagemaker: Any, started: Mapping[str, Any]) -> None:
    """Delete the endpoint config before ours and its models, if they are of this pipeline.

    Again and again it does no harm. A deletion that AWS refuses is logged, not raised: the
    deployment itself has succeeded, and what is left costs nothing until `make clean-up`.
    """
    old, current = started.get("previous_endpoint_config_name"), started["endpoint_config_name"]
    if not old or not is_ours_to_delete(old, current):
        return
    try:
        config = sagemaker.describe_endpoint_config(EndpointConfigName=old)
        for model in {variant["ModelName"] for variant in config["ProductionVariants"]}:
            if is_ours_to_delete(model, started["model_name"]):
                _delete(sagemaker.delete_model, ModelName=model)
        _delete(sagemaker.delete_endpoint_config, EndpointConfigName=old)
    except Exception as error:
        if not is_missing(error):
            logger().error("cannot delete %s: %s", old, error)


def _delete(call: Any, **what: str) -> None:
    try:
        call(**what)
    except Exception as error:
        if not is_missing(error):
            raise
