"""What the operations of every part of SageMaker share: the referee, the tags, the engine."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, ClassVar

from local_cloud import engines, seams
from local_cloud.errors import ApiError
from local_cloud.sagemaker import permissions
from local_cloud.sagemaker.arns import Place
from local_cloud.sagemaker.docker_engine import DockerEngine
from local_cloud.sagemaker.engine import Engine, ProcessEngine
from local_cloud.sagemaker.honoured import refuse_the_rest
from local_cloud.sagemaker.refusals import NotEmulated, Refused
from local_cloud.service import Call, JsonService, Need
from local_cloud.strict import kms

Tags = dict[str, str]


class SageMakerBase(JsonService):
    """One SageMaker; each part adds its operations by inheritance."""

    name: ClassVar[str] = "sagemaker"

    def __init__(self) -> None:
        super().__init__()
        with_docker = engines.chosen() == engines.DOCKER
        self.engine: Engine = DockerEngine() if with_docker else ProcessEngine()
        self.tags: dict[str, Tags] = {}  # by the ARN of what exists
        self.lock = threading.RLock()

    def needs(self, operation: str, request: dict[str, Any], call: Call) -> Iterable[Need]:
        """Scope every operation to the resources that it names."""
        return permissions.needs(operation, request, place_of(call))

    def call(self, operation: str, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Run one operation; a member that is not honoured and a broken rule answer by name."""
        refuse_the_rest(operation, request)
        try:
            return super().call(operation, request, call)
        except Refused as refusal:
            raise ApiError("ValidationException", str(refusal)) from refusal
        except NotEmulated as refusal:
            message = f"the local cloud does not emulate {refusal}"
            raise ApiError("NotImplemented", message, 501) from refusal

    def tag(self, arn: str, request: dict[str, Any]) -> None:
        """Record a new resource, and the tags that its request carries."""
        self.tags[arn] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}

    def untag(self, arn: str) -> None:
        """Forget a deleted resource."""
        self.tags.pop(arn, None)


def place_of(call: Call) -> Place:
    """Return the account and region of a request."""
    return Place(call.account, call.region)


def creator(call: Call) -> dict[str, Any]:
    """Return who calls, as a UserContext."""
    return {"IamIdentity": {"Arn": seams.caller_arn(call.access_key)}}


def require_volume_key(key: str, region: str, *access_keys: str) -> None:
    """Check that one of these callers may grant SageMaker's volumes the use of a KMS key."""
    arn = kms.key_arn(key)
    if arn is None:
        raise Refused(f"KMS key {key} does not exist")
    context = {
        "kms:GrantIsForAWSResource": "true",
        "kms:ViaService": f"sagemaker.{region}.amazonaws.com",
    }
    refusals = [
        seams.denial(access_key, "kms:CreateGrant", arn, context) for access_key in access_keys
    ]
    if refusals and all(refusals):
        raise ApiError("AccessDeniedException", refusals[-1][1])  # type: ignore[index]
