"""ECR: ministack's repositories and registry, made as strict as AWS.

ministack keeps the tables. Here they get what it leaves out: IAM on the registry's own `/v2/`
paths, tokens that expire, images that are not there (`ImageNotFoundException`), layers that are,
tags that are deleted without their image, and answers in the shape of botocore's model.

Not emulated: a scanner (`scans` says where findings come from), lifecycle expiry (the policy is
kept, not run), replication, pull-through caches, tag immutability with exclusions, and layer
uploads by the ECR API (a push goes through `/v2/`, as `docker push` does).
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from local_cloud import identity, seams
from local_cloud.ecr import scans
from local_cloud.errors import ApiError
from local_cloud.members import Members, members, refuse_unhonoured
from local_cloud.service import Call, JsonService, Need

TOKEN_SECONDS = 12 * 3600
TICKET_SECONDS = 3600
RESOURCE_TYPE = "AWS::ECR::Repository"

HONOURED: dict[str, Members] = {
    "CreateRepository": members(
        "repositoryName", "tags", "imageTagMutability", "imageScanningConfiguration"
    ),
    "DescribeRepositories": members("repositoryNames"),
    "DescribeImages": members("repositoryName", "imageIds", filter=members("tagStatus")),
    "ListImages": members("repositoryName", filter=members("tagStatus")),
    "BatchGetImage": members("repositoryName", "imageIds", "acceptedMediaTypes"),
    "DescribeImageScanFindings": members("repositoryName", "imageId"),
}

Operation = Callable[["Ecr", dict[str, Any], Call], dict[str, Any]]


def _kept_by_ministack(name: str) -> Operation:
    """Make an operation that ministack answers as AWS does."""

    def operation(_self: Ecr, request: dict[str, Any], _call: Call) -> dict[str, Any]:
        status, answer = seams.ecr_call(name, request)
        if status >= 400:
            raise ApiError(answer["__type"], answer["message"], status)
        return answer

    return operation


@dataclass(frozen=True)
class Grant:
    """A registry token or a download URL's ticket: whose it is, and until when it holds."""

    access_key: str
    expires: float
    blob: tuple[str, str] | None = None  # (repository, digest) of a download


class Ecr(JsonService):
    """The ECR API; `registry.Registry` is the `/v2/` side of the same tables."""

    name: ClassVar[str] = "ecr"
    invalid_request_code: ClassVar[str] = "InvalidParameterException"

    create_repository = _kept_by_ministack("CreateRepository")
    describe_repositories = _kept_by_ministack("DescribeRepositories")
    get_repository_policy = _kept_by_ministack("GetRepositoryPolicy")
    set_repository_policy = _kept_by_ministack("SetRepositoryPolicy")
    delete_repository_policy = _kept_by_ministack("DeleteRepositoryPolicy")
    put_lifecycle_policy = _kept_by_ministack("PutLifecyclePolicy")
    get_lifecycle_policy = _kept_by_ministack("GetLifecyclePolicy")
    delete_lifecycle_policy = _kept_by_ministack("DeleteLifecyclePolicy")
    list_tags_for_resource = _kept_by_ministack("ListTagsForResource")
    tag_resource = _kept_by_ministack("TagResource")
    untag_resource = _kept_by_ministack("UntagResource")
    put_image_tag_mutability = _kept_by_ministack("PutImageTagMutability")
    put_image_scanning_configuration = _kept_by_ministack("PutImageScanningConfiguration")

    def __init__(self) -> None:
        super().__init__()
        self._grants: dict[str, Grant] = {}

    def install(self) -> None:
        """Register the service, and make the CloudFormation type forget a deleted repository."""
        super().install()
        handler = seams.resource_handler(RESOURCE_TYPE)
        delete = handler["delete"]

        def delete_repository(physical_id: str, properties: dict) -> None:
            delete(physical_id, properties)
            seams.forget_ecr_repository(physical_id)

        seams.register_resource(
            RESOURCE_TYPE, handler["create"], handler["update"], delete_repository
        )

    def needs(self, operation: str, request: dict[str, Any], call: Call) -> Iterable[Need]:
        """Scope each operation to its repositories; the token and the registry have no ARN."""
        names = request.get("repositoryNames") or [request.get("repositoryName")]
        arns = [self.arn(name, call) if name else request.get("resourceArn", "*") for name in names]
        actions = [f"ecr:{operation}"]
        if operation == "CreateRepository" and request.get("tags"):
            actions.append("ecr:TagResource")
        return [Need(action, arn) for action in actions for arn in arns]

    @staticmethod
    def arn(name: str, call: Call) -> str:
        """Return a repository's ARN."""
        return f"arn:aws:ecr:{call.region}:{call.account}:repository/{name}"

    def call(self, operation: str, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Run one operation; `registryId` may only name this account."""
        if request.pop("registryId", call.account) != call.account:
            raise ApiError("NotImplemented", "registryId: the local cloud has one account", 501)
        if operation in HONOURED:
            refuse_unhonoured(f"ecr:{operation}", HONOURED[operation], request)
        return super().call(operation, request, call)

    def delete_repository(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        status, answer = seams.ecr_call("DeleteRepository", request)
        if status >= 400:
            raise ApiError(answer["__type"], answer["message"], status)
        seams.forget_ecr_repository(request["repositoryName"])
        return answer

    def get_authorization_token(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        password = self._grant(Grant(call.access_key, time.time() + TOKEN_SECONDS))
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        proxy = f"https://{call.account}.dkr.ecr.{call.region}.amazonaws.com"
        expires = time.time() + TOKEN_SECONDS
        data = {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": proxy}
        return {"authorizationData": [data]}

    def describe_images(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["repositoryName"]
        if ids := request.get("imageIds"):
            images = [self._image(name, image_id) for image_id in ids]
        else:
            images = [i for i in self._images(name) if _wanted(i, request)]
        return {"imageDetails": [self._detail(name, image, call) for image in images]}

    def list_images(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        images = [i for i in self._images(request["repositoryName"]) if _wanted(i, request)]
        return {
            "imageIds": [
                {"imageDigest": image["imageDigest"], **({"imageTag": tag} if tag else {})}
                for image in images
                for tag in (image["imageTags"] or [None])
            ]
        }

    def batch_get_image(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["repositoryName"]
        found, failures = [], []
        for image_id in request["imageIds"]:
            image = _find(self._images(name), image_id)
            if image is None:
                failures.append(_missing(image_id))
                continue
            found.append(
                {
                    "registryId": call.account,
                    "repositoryName": name,
                    "imageId": {"imageDigest": image["imageDigest"], **image_id},
                    "imageManifest": image["imageManifest"],
                    "imageManifestMediaType": image["imageManifestMediaType"],
                }
            )
        return {"images": found, "failures": failures}

    def batch_delete_image(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        images = self._images(request["repositoryName"])
        deleted, failures = [], []
        for image_id in request["imageIds"]:
            image = _find(images, image_id)
            if image is None:
                failures.append(_missing(image_id))
                continue
            if tag := image_id.get("imageTag"):
                image["imageTags"].remove(tag)
            if not image_id.get("imageTag") or not image["imageTags"]:
                images.remove(image)
            deleted.append({"imageDigest": image["imageDigest"], **image_id})
        return {"imageIds": deleted, "failures": failures}

    def batch_check_layer_availability(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["repositoryName"]
        self._images(name)
        blobs = seams.ecr_blobs(name)
        layers, failures = [], []
        for digest in request["layerDigests"]:
            if digest in blobs:
                layer = {"layerDigest": digest, "layerAvailability": "AVAILABLE"}
                layers.append({**layer, "layerSize": len(blobs[digest])})
            else:
                failures.append(
                    {
                        "layerDigest": digest,
                        "failureCode": "MissingLayerDigest",
                        "failureReason": "Requested layer digest is not in the repository",
                    }
                )
        return {"layers": layers, "failures": failures}

    def get_download_url_for_layer(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name, digest = request["repositoryName"], request["layerDigest"]
        self._images(name)
        if digest not in seams.ecr_blobs(name):
            message = f"The layer with digest '{digest}' does not exist in '{name}'"
            raise ApiError("LayersNotFoundException", message)
        expires = time.time() + TICKET_SECONDS
        ticket = self._grant(Grant(call.access_key, expires, blob=(name, digest)))
        url = f"{identity.endpoint_url()}/v2/{name}/blobs/{digest}?ticket={ticket}"
        return {"downloadUrl": url, "layerDigest": digest}

    def batch_get_repository_scanning_configuration(
        self, request: dict[str, Any], call: Call
    ) -> dict[str, Any]:
        found, failures = [], []
        for name in request["repositoryNames"]:
            try:
                found.append(scans.configuration(self._repository(name)))
            except ApiError as error:
                failure = {"failureCode": "REPOSITORY_NOT_FOUND", "failureReason": error.message}
                failures.append({"repositoryName": name, **failure})
        return {"scanningConfigurations": found, "failures": failures}

    def describe_image_scan_findings(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        name = request["repositoryName"]
        image = self._image(name, request["imageId"])
        return {
            "registryId": call.account,
            "repositoryName": name,
            "imageId": {"imageDigest": image["imageDigest"], **request["imageId"]},
            **scans.result(self._repository(name), image, time.time()),
        }

    def granted(self, secret: str) -> Grant | None:
        """Return what a token or ticket grants; None for an unknown or expired one."""
        grant = self._grants.get(secret)
        return grant if grant and grant.expires > time.time() else None

    def _grant(self, grant: Grant) -> str:
        secret = secrets.token_urlsafe(32)
        self._grants[secret] = grant
        return secret

    def _repository(self, name: str) -> dict[str, Any]:
        status, answer = seams.ecr_call("DescribeRepositories", {"repositoryNames": [name]})
        if status >= 400:
            raise ApiError(answer["__type"], answer["message"])
        record: dict[str, Any] = answer["repositories"][0]
        return record

    def _images(self, name: str) -> list[dict[str, Any]]:
        self._repository(name)
        return seams.ecr_images(name)

    def _image(self, name: str, image_id: dict[str, str]) -> dict[str, Any]:
        image = _find(self._images(name), image_id)
        if image is None:
            wanted = ", ".join(f"{key}:'{value}'" for key, value in image_id.items())
            message = f"The image with imageId {{{wanted}}} does not exist within the repository"
            raise ApiError("ImageNotFoundException", f"{message} with name '{name}'")
        return image

    def _detail(self, name: str, image: dict[str, Any], call: Call) -> dict[str, Any]:
        manifest = json.loads(image["imageManifest"])
        media_type = manifest.get("config", {}).get("mediaType", image["imageManifestMediaType"])
        tags = {"imageTags": image["imageTags"]} if image["imageTags"] else {}
        return {
            "registryId": call.account,
            "repositoryName": name,
            "imageDigest": image["imageDigest"],
            **tags,
            "imageSizeInBytes": sum(layer["size"] for layer in manifest.get("layers", [])),
            "imagePushedAt": image["imagePushedAt"],
            "imageManifestMediaType": image["imageManifestMediaType"],
            "artifactMediaType": media_type,
        }


def _find(images: list[dict[str, Any]], image_id: dict[str, str]) -> dict[str, Any] | None:
    """Find the image that carries the digest and the tag that are asked for."""
    digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
    for image in images:
        if digest in (None, image["imageDigest"]) and (tag is None or tag in image["imageTags"]):
            return image
    return None


def _missing(image_id: dict[str, str]) -> dict[str, Any]:
    return {
        "imageId": image_id,
        "failureCode": "ImageNotFound",
        "failureReason": "Requested image not found",
    }


def _wanted(image: dict[str, Any], request: dict[str, Any]) -> bool:
    status = request.get("filter", {}).get("tagStatus", "ANY")
    return status == "ANY" or (status == "TAGGED") == bool(image["imageTags"])
