"""Fetches an image from the local ECR and says how its programs are run without a container.

Every fetch goes through the ECR API as the given role, as SageMaker's own pull does, so a role
without `ecr:BatchGetImage` fails here; only the bytes are kept from one fetch to the next.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

from local_cloud import identity, state

ENVIRONMENT_LABEL = "local-cloud.environment"
URI = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[a-z0-9._/-]+)(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w.-]+))"
)
MANIFEST_TYPES = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
]
SYSTEM_PATH = ("/usr/bin", "/bin")


class ImageError(Exception):
    """An image cannot be fetched or run; says which and why."""


@dataclass(frozen=True)
class UnpackedImage:
    """An image's files and configuration on this machine."""

    root: Path  # its file system
    env: dict[str, str] = field(repr=False)
    workdir: str
    cmd: list[str]
    entrypoint: list[str]
    environment: Path  # the Python environment that stands for its base image and its packages


def unpack(uri: str, credentials: dict[str, str], region: str) -> UnpackedImage:
    """Fetch an image of the local ECR as a role and unpack it once per digest.

    `uri` is `<account>.dkr.ecr.<region>.amazonaws.com/<repository>@sha256:…` (or `:tag`);
    `credentials` are boto3 client arguments. Raises ImageError.
    """
    parsed = URI.fullmatch(uri)
    if parsed is None:
        raise ImageError(f"{uri} is not the URI of an image in ECR")
    ecr = identity.client("ecr", credentials, region)
    repository = parsed["repository"]
    wanted = {"imageDigest": parsed["digest"]} if parsed["digest"] else {"imageTag": parsed["tag"]}
    try:
        digest, manifest = _manifest(ecr, uri, repository, wanted)
        blobs = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
        urls = _download_urls(ecr, uri, repository, blobs)
    except ClientError as error:
        raise ImageError(f"cannot pull {uri}: {error.response['Error']['Message']}") from error
    folder = state.folder("images") / digest.replace(":", "-")
    if not folder.exists():
        _unpack_into(folder, [_download(blob, urls[blob]) for blob in blobs])
    return read_unpacked(folder)


def read_unpacked(folder: Path) -> UnpackedImage:
    """Read an image that `write_unpacked` laid out."""
    config = json.loads((folder / "config.json").read_text()).get("config", {})
    environment = (config.get("Labels") or {}).get(ENVIRONMENT_LABEL)
    if environment is None:
        raise ImageError(
            f"{folder.name} has no label {ENVIRONMENT_LABEL}: it was not built by the local "
            "cloud's docker, so there is nothing to run it with here"
        )
    if not Path(environment).is_dir():
        raise ImageError(f"the Python environment {environment} of {folder.name} was deleted")
    return UnpackedImage(
        root=folder / "root",
        env=dict(entry.split("=", 1) for entry in config.get("Env") or []),
        workdir=config.get("WorkingDir") or "/",
        cmd=config.get("Cmd") or [],
        entrypoint=config.get("Entrypoint") or [],
        environment=Path(environment),
    )


def write_unpacked(folder: Path, config: bytes, layers: Iterable[bytes]) -> None:
    """Lay out an image: `config.json`, and the layers over one another under `root`."""
    root = folder / "root"
    root.mkdir(parents=True)
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as archive:
            archive.extractall(root, filter="tar")
    (folder / "config.json").write_bytes(config)


def command(
    image: UnpackedImage, args: list[str], ml_root: Path | None = None
) -> tuple[list[str], dict[str, str], Path]:
    """Say how to run `docker run IMAGE args…` as a process: (argv, environment, folder).

    Paths of the image in its variables become paths of the unpacked tree; the base image's
    Python is the image's environment. The caller adds its own variables (credentials, ports).
    """
    env = {name: _inside(image, value) for name, value in image.env.items()}
    own = env.get("PATH", "").split(os.pathsep)
    folders = [p for p in own if p.startswith(str(image.root))]
    path = [*folders, str(image.environment / "bin"), *SYSTEM_PATH]
    env["PATH"] = os.pathsep.join(path)
    env["VIRTUAL_ENV"] = str(image.environment)
    env.setdefault("LANG", "C.UTF-8")
    if ml_root is not None:
        env["ML_ROOT"] = str(ml_root)
    argv = [*image.entrypoint, *(args or image.cmd)]
    if not argv:
        raise ImageError("no command specified: the image has neither CMD nor ENTRYPOINT")
    cwd = image.root / image.workdir.lstrip("/")
    cwd.mkdir(parents=True, exist_ok=True)
    return [_executable(image, argv[0], path, cwd), *argv[1:]], env, cwd


def _executable(image: UnpackedImage, program: str, path: list[str], cwd: Path) -> str:
    """Find a program as exec would in the container; ImageError in the runtime's own words."""
    if PurePosixPath(program).is_absolute():
        inside = image.root / program.lstrip("/")
        candidates = [inside if inside.exists() else Path(program)]
    elif "/" in program:
        candidates = [cwd / program]
    else:
        candidates = [Path(folder) / program for folder in path]
    present = [candidate for candidate in candidates if candidate.is_file()]
    for candidate in present:
        if os.access(candidate, os.X_OK):
            return str(candidate)
    reason = "permission denied" if present else "executable file not found in $PATH"
    raise ImageError(f'exec: "{program}": {reason}: unknown')


def _inside(image: UnpackedImage, value: str) -> str:
    """Rewrite each absolute path in a variable that the image holds."""
    parts = value.split(os.pathsep)
    return os.pathsep.join(
        str(image.root / part.lstrip("/"))
        if part.startswith("/") and part != "/" and (image.root / part.lstrip("/")).exists()
        else part
        for part in parts
    )


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
