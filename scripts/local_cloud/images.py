"""Fetches an image from the local ECR; `command` says how its programs run without a container.

Every fetch goes through the ECR API as the given role, as SageMaker's own pull does, so a role
without `ecr:GetAuthorizationToken` or `ecr:BatchGetImage` fails here; only the bytes are kept from
one fetch to the next.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_cloud import identity, state
from local_cloud.unpacked import (
    ENVIRONMENT_LABEL,
    ImageError,
    UnpackedImage,
    command,
    read_unpacked,
    write_unpacked,
)

__all__ = ["ENVIRONMENT_LABEL", "ImageError", "UnpackedImage", "command", "unpack"]

URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[a-z0-9._/-]+)(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w.-]+))"
)
MANIFEST_TYPES = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
]


@dataclass(frozen=True)
class Located:
    """An image that a role may pull: where it is, and a URL for each of its blobs."""

    repository: str
    digest: str
    token: str = field(repr=False)  # of the registry
    blobs: list[tuple[str, str]] = field(repr=False)  # digest and URL: configuration, then layers


def locate(uri: str, credentials: dict[str, str], region: str) -> Located:
    """Look an image of the local ECR up as a role that pulls it; raises ImageError.

    `uri` is `<account>.dkr.ecr.<region>.amazonaws.com/<repository>@sha256:…` (or `:tag`);
    `credentials` are boto3 client arguments.
    """
    parsed = URI.fullmatch(uri)
    if parsed is None:
        raise ImageError(f"{uri} is not the URI of an image in ECR")
    ecr = identity.client("ecr", credentials, region)
    repository = parsed["repository"]
    wanted = {"imageDigest": parsed["digest"]} if parsed["digest"] else {"imageTag": parsed["tag"]}
    try:
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        digest, manifest = _manifest(ecr, uri, repository, wanted)
        blobs = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
        urls = _download_urls(ecr, uri, repository, blobs)
    except ClientError as error:
        raise ImageError(f"cannot pull {uri}: {error.response['Error']['Message']}") from error
    return Located(repository, digest, token, [(blob, urls[blob]) for blob in blobs])


def unpack(uri: str, credentials: dict[str, str], region: str) -> UnpackedImage:
    """Fetch an image of the local ECR as a role and unpack it once per digest; see `locate`."""
    found = locate(uri, credentials, region)
    folder = state.folder("images") / found.digest.replace(":", "-")
    if not folder.exists():
        _unpack_into(folder, [_download(blob, url) for blob, url in found.blobs])
    return read_unpacked(folder)


def _manifest(
    ecr: Any, uri: str, repository: str, image_id: dict[str, str]
) -> tuple[str, dict[str, Any]]:
    answer = ecr.batch_get_image(
        repositoryName=repository, imageIds=[image_id], acceptedMediaTypes=MANIFEST_TYPES
    )
    if answer["failures"]:
        raise ImageError(f"cannot pull {uri}: {answer['failures'][0]['failureReason']}")
    image = answer["images"][0]
    manifest = json.loads(image["imageManifest"])
    if "manifests" in manifest or "config" not in manifest:
        raise ImageError(
            f"{uri} is of type {image['imageManifestMediaType']}, which SageMaker does not "
            "accept; build with --provenance=false --sbom=false"
        )
    return image["imageId"]["imageDigest"], manifest


def _download_urls(ecr: Any, uri: str, repository: str, blobs: list[str]) -> dict[str, str]:
    answer = ecr.batch_check_layer_availability(repositoryName=repository, layerDigests=blobs)
    if answer["failures"]:
        raise ImageError(f"cannot pull {uri}: {answer['failures'][0]['failureReason']}")
    return {
        blob: ecr.get_download_url_for_layer(repositoryName=repository, layerDigest=blob)[
            "downloadUrl"
        ]
        for blob in blobs
    }


def _download(digest: str, url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content: bytes = answer.read()
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
        raise ImageError(f"the layer {digest} arrived damaged")
    return content


def _unpack_into(folder: Path, blobs: list[bytes]) -> None:
    """Unpack beside and rename, so that nobody sees half an image."""
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".unpacking-"))
    try:
        write_unpacked(beside / "image", blobs[0], blobs[1:])
        (beside / "image").rename(folder)
    except OSError:
        if not folder.exists():  # another thread was faster: its copy is the same
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
