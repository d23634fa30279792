"""A model that has passed the full test becomes a version in the model registry."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.failures import exists_already
from model_card import model_card

CONTENT_TYPES = ["text/csv", "application/json", "image/jpeg", "image/png"]
RESPONSE_TYPES = ["application/json", "text/csv"]
GROUP = "Models of the ethnicity prediction pipeline that have passed its gate"


@dataclass(frozen=True)
class Settings:
    """The function's environment, which a full test alone needs."""

    model_package_group: str  # its ARN


@dataclass(frozen=True)
class Pages:
    """Where the report of a test lies in S3: for programs, and for people."""

    json: str
    html: str


def register(sagemaker: Any, request: Mapping[str, Any]) -> str:
    """Create the version, and its group before the first one; return the version's ARN.

    The same request again gives the same version, by its ClientToken.
    """
    group = request["ModelPackageGroupName"].rsplit("/", 1)[1]
    try:
        sagemaker.create_model_package_group(
            ModelPackageGroupName=group, ModelPackageGroupDescription=GROUP
        )
    except Exception as error:
        if not exists_already(error):
            raise
    return sagemaker.create_model_package(**request)["ModelPackageArn"]


def package_request(
    settings: Settings,
    report: Mapping[str, Any],
    deployed: Mapping[str, Any],
    pages: Pages,
    instance_types: Sequence[str],
    token: str,
) -> dict[str, Any]:
    """Return the request; it says nothing of its own time, so that a redelivery asks for the same.

    A version of a group cannot have tags of its own: what they would tell is in its metadata.
    """
    group = settings.model_package_group
    training_arn = f"{group.rsplit(':', 1)[0]}:training-job/{report['training_job_name']}"
    card = model_card(report, deployed, pages.html, training_arn)
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": (
            f"{report['training_job_name']} of commit {report['commit']}: macro recall "
            f"{report['macro_recall']['value']:.3f} on {report['rows']} rows"
        ),
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": _inference(deployed, instance_types),
        "ModelMetrics": _metrics(report, pages.json),
        "CustomerMetadataProperties": {
            "commit": report["commit"],
            "pipeline-execution-id": report["execution_id"],
            "training-job": report["training_job_name"],
            "report": pages.html,
        },
        "Domain": "COMPUTER_VISION",
        "Task": "IMAGE_CLASSIFICATION",
        "ModelCard": {
            "ModelCardContent": json.dumps(card, sort_keys=True, allow_nan=False),
            "ModelCardStatus": "PendingReview",
        },
        "ClientToken": token,
    }


def _inference(deployed: Mapping[str, Any], instance_types: Sequence[str]) -> dict[str, Any]:
    container = {"Image": deployed["serve_image"], "ModelDataUrl": deployed["model_data_url"]}
    specification: dict[str, Any] = {
        "Containers": [container],
        "SupportedContentTypes": CONTENT_TYPES,
        "SupportedResponseMIMETypes": RESPONSE_TYPES,
    }
    if instance_types:
        specification["SupportedRealtimeInferenceInstanceTypes"] = sorted(set(instance_types))
    return specification


def _metrics(report: Mapping[str, Any], uri: str) -> dict[str, Any]:
    """Name the report as the model's quality and, where the data knows groups, as its bias."""
    source = {"ContentType": "application/json", "S3Uri": uri}
    metrics = {"ModelQuality": {"Statistics": source}}
    if any(kind["groups"] for kind in report["groups"].values()):
        metrics["Bias"] = {"PostTrainingReport": source}
    return metrics
