"""The operations on models and endpoint configurations."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.sagemaker import arns, listing
from local_cloud.sagemaker.base import SageMakerBase, place_of
from local_cloud.sagemaker.engine import PullError
from local_cloud.sagemaker.hosting_rules import check_config
from local_cloud.sagemaker.permissions import SERVICE
from local_cloud.sagemaker.refusals import NotEmulated, Refused
from local_cloud.sagemaker.role_session import RoleSession, open_session
from local_cloud.service import Call
from local_cloud.strict import kms

SINGLE_MODEL = "SingleModel"


class HostingApi(SageMakerBase):
    """Models and endpoint configurations by their name."""

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}

    def create_model(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["ModelName"]
        arn = place_of(call).arn(arns.MODEL, name)
        _refuse_a_taken_name("model", name, arn, self.models)
        _check_model(request)
        session = open_session(request["ExecutionRoleArn"], call.region)
        self._require_image(request["PrimaryContainer"]["Image"], session)
        _require_model_data(request["PrimaryContainer"], session)
        container = {"Mode": SINGLE_MODEL, "Environment": {}, **request["PrimaryContainer"]}
        record = {
            "ModelName": name,
            "ModelArn": arn,
            "PrimaryContainer": container,
            "ExecutionRoleArn": request["ExecutionRoleArn"],
            "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
            "CreationTime": time.time(),
        }
        with self.lock:
            _refuse_a_taken_name("model", name, arn, self.models)
            self.models[name] = record
        self.tag(arn, request)
        return {"ModelArn": arn}

    def describe_model(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return self.model_named(request["ModelName"], call)

    def delete_model(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.model_named(request["ModelName"], call)
        del self.models[record["ModelName"]]
        self.untag(record["ModelArn"])
        return {}

    def list_models(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        shown = ("ModelName", "ModelArn", "CreationTime")
        entries = [{name: record[name] for name in shown} for record in self.models.values()]
        return listing.page(request, entries, answer="Models", name="ModelName")

    def create_endpoint_config(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["EndpointConfigName"]
        arn = place_of(call).arn(arns.ENDPOINT_CONFIG, name)
        _refuse_a_taken_name("endpoint configuration", name, arn, self.configs)
        models = {
            variant["ModelName"]: self.model_named(variant["ModelName"], call)
            for variant in request["ProductionVariants"]
            if _has_model(variant)
        }
        check_config(request, models)
        key = request.get("KmsKeyId", "")
        if key and kms.key_arn(key) is None:
            raise Refused(f"KMS key {key} does not exist")
        variants = [
            {"InitialVariantWeight": 1.0, **variant} for variant in request["ProductionVariants"]
        ]
        record = {
            "EndpointConfigName": name,
            "EndpointConfigArn": arn,
            "ProductionVariants": variants,
            "CreationTime": time.time(),
            "EnableNetworkIsolation": False,
            **({"KmsKeyId": key} if key else {}),
        }
        with self.lock:
            _refuse_a_taken_name("endpoint configuration", name, arn, self.configs)
            self.configs[name] = record
        self.tag(arn, request)
        return {"EndpointConfigArn": arn}

    def describe_endpoint_config(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        return self.config_named(request["EndpointConfigName"], call)

    def delete_endpoint_config(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.config_named(request["EndpointConfigName"], call)
        del self.configs[record["EndpointConfigName"]]
        self.untag(record["EndpointConfigArn"])
        return {}

    def list_endpoint_configs(self, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        shown = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        entries = [{name: record[name] for name in shown} for record in self.configs.values()]
        return listing.page(request, entries, answer="EndpointConfigs", name="EndpointConfigName")

    def model_named(self, name: str, call: Call) -> dict[str, Any]:
        """Return a model; the error that AWS gives if there is none."""
        if name not in self.models:
            raise Refused(f'Could not find model "{place_of(call).arn(arns.MODEL, name)}".')
        return self.models[name]

    def config_named(self, name: str, call: Call) -> dict[str, Any]:
        """Return an endpoint configuration; the error that AWS gives if there is none."""
        if name not in self.configs:
            arn = place_of(call).arn(arns.ENDPOINT_CONFIG, name)
            raise Refused(f'Could not find endpoint configuration "{arn}".')
        return self.configs[name]

    def _require_image(self, image: str, session: RoleSession) -> None:
        try:
            self.engine.pull(image, session)
        except PullError as error:
            raise Refused(
                f"Could not access image {image} with the role {session.role_arn}: {error}"
            ) from error


def _has_model(variant: dict[str, Any]) -> bool:
    if "ModelName" not in variant:
        raise NotEmulated(
            f"inference components (variant {variant['VariantName']} has no ModelName)"
        )
    return True


def _check_model(request: dict[str, Any]) -> None:
    container = request.get("PrimaryContainer", {})
    if "Image" not in container:
        raise Refused("PrimaryContainer.Image is missing")
    if "ExecutionRoleArn" not in request:
        raise Refused("ExecutionRoleArn is missing")
    if container.get("Mode", SINGLE_MODEL) != SINGLE_MODEL:
        raise NotEmulated(f"container mode {container['Mode']}; use {SINGLE_MODEL}")
    url = container.get("ModelDataUrl", "s3://")
    if not url.startswith("s3://"):
        raise NotEmulated(f"a ModelDataUrl of https ({url}); use s3://")


def _require_model_data(container: dict[str, Any], session: RoleSession) -> None:
    if "ModelDataUrl" not in container:
        return
    url = container["ModelDataUrl"]
    bucket, key = arns.split_s3(url)
    try:
        session.client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise Refused(
            f"Could not access model data at {url}. Please ensure that the role "
            f'"{session.role_arn}" exists and that its trust relationship policy allows the '
            f'action "sts:AssumeRole" for the service principal "{SERVICE}". Also ensure that the '
            f'role has "s3:GetObject" permissions and that the object is located in '
            f"{session.region}."
        ) from error


def _refuse_a_taken_name(kind: str, name: str, arn: str, taken: dict[str, Any]) -> None:
    if name in taken:
        raise Refused(f'Cannot create already existing {kind} "{arn}".')
