"""Telling the model registry that a model is released.

This is done here because only this action sees the new model in service. A person has approved it
by then: without that the pipeline does not come this far. What is refused, or rolled back, stays
PendingManualApproval.
"""

from collections.abc import Mapping
from typing import Any


def approve(sagemaker: Any, model_package_arn: str, started: Mapping[str, Any]) -> None:
    """Set the version's status to Approved; again and again it does no harm."""
    sagemaker.update_model_package(
        ModelPackageArn=model_package_arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription=(
            f"approved in pipeline execution {started['execution_id']}, "
            f"in service on endpoint {started['endpoint_name']}"
        ),
    )
