"""The registry side of ECR: `/v2/` with the login's token, and IAM for each step of a push or pull.

The protocol itself is ministack's. On AWS each of its requests stands for an ECR action of the
user whose token it carries; `ACTIONS` is that table.
"""

from __future__ import annotations

import base64
import binascii
import contextvars
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from local_cloud import seams
from local_cloud.ecr import Ecr, Grant
from local_cloud.service import Call

ACTIONS = {
    ("POST", "blob_uploads"): "ecr:InitiateLayerUpload",
    ("PATCH", "blob_upload_session"): "ecr:UploadLayerPart",
    ("GET", "blob_upload_session"): "ecr:UploadLayerPart",
    ("PUT", "blob_upload_session"): "ecr:CompleteLayerUpload",
    ("HEAD", "blob"): "ecr:BatchCheckLayerAvailability",
    ("GET", "blob"): "ecr:GetDownloadUrlForLayer",
    ("PUT", "manifest"): "ecr:PutImage",
    ("GET", "manifest"): "ecr:BatchGetImage",
    ("HEAD", "manifest"): "ecr:BatchGetImage",
    ("GET", "tags_list"): "ecr:ListImages",
}
REALM = 'Basic realm="https://ecr.amazonaws.com/",service="ecr.amazonaws.com"'


class Registry:
    """The front route of the registry's paths."""

    def __init__(self, ecr: Ecr) -> None:
        self.ecr = ecr

    def wants(self, scope: dict[str, Any]) -> bool:
        """Take /v2/ and what has the form of a blob, a manifest or a list of tags."""
        return seams.ecr_registry_path(scope["path"]) is not None

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Answer one request of a registry client."""
        body = bytearray()
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, headers, answer = await self._answer(scope, bytes(body))
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: dict[str, Any], body: bytes) -> seams.Response:
        parsed = seams.ecr_registry_path(scope["path"])
        if parsed is None:
            return refusal(404, "UNSUPPORTED", f"{scope['path']} is no path of a registry")
        verb, repository, reference = parsed
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = parse_qs(scope["query_string"].decode())
        grant = self._authenticate(headers, query)
        if grant is None:
            code, message = "UNAUTHORIZED", "authentication required"
            status, challenge, answer = refusal(401, code, message)
            return status, challenge | {"WWW-Authenticate": REALM}, answer
        if refused := self._refuse(scope["method"], verb, repository, reference, grant):
            return refused
        if (scope["method"], verb) == ("PUT", "manifest"):
            refused = refuse_manifest(repository, body) or refuse_tag(repository, reference, body)
            if refused:
                return refused
        return await seams.ecr_registry(scope["method"], scope["path"], headers, body, query)

    def _authenticate(self, headers: dict[str, str], query: dict[str, list[str]]) -> Grant | None:
        if "ticket" in query:
            return self.ecr.granted(query["ticket"][0])
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        grant = self.ecr.granted(password)
        return grant if user == "AWS" and grant and grant.blob is None else None

    def _refuse(
        self, method: str, verb: str, repository: str, reference: str, grant: Grant
    ) -> seams.Response | None:
        """Check a ticket against its blob, and a token's owner against IAM."""
        if grant.blob is not None:
            allowed = method == "GET" and verb == "blob" and grant.blob == (repository, reference)
            return None if allowed else refusal(403, "DENIED", "the URL is for another layer")
        if verb == "ping":
            return None
        action = ACTIONS.get((method, verb))
        if action is None:
            return refusal(405, "UNSUPPORTED", f"ECR's registry has no {method} of a {verb}")
        arn = self.ecr.arn(repository, Call(grant.access_key, *seams.account_and_region()))
        context = contextvars.copy_context()
        denied = context.run(seams.denial, grant.access_key, action, arn)
        return refusal(403, "DENIED", denied[1]) if denied else None


def refuse_manifest(repository: str, body: bytes) -> seams.Response | None:
    """Refuse a manifest that is not JSON or names blobs that the repository does not hold."""
    try:
        manifest = json.loads(body)
    except ValueError:
        return refusal(400, "MANIFEST_INVALID", "the manifest is not JSON")
    if "manifests" in manifest:
        known = {image["imageDigest"] for image in seams.ecr_images(repository)}
        named = [entry["digest"] for entry in manifest["manifests"]]
    else:
        known = set(seams.ecr_blobs(repository))
        named = [b["digest"] for b in [manifest.get("config", {}), *manifest.get("layers", [])]]
    missing = [digest for digest in named if digest not in known]
    if missing:
        message = f"Layers with digests '{', '.join(missing)}' required for pushing do not exist"
        return refusal(404, "BLOB_UNKNOWN", message)
    return None


def refuse_tag(repository: str, reference: str, body: bytes) -> seams.Response | None:
    """Refuse to move a tag of an immutable repository to another image."""
    _, answer = seams.ecr_call("DescribeRepositories", {"repositoryNames": [repository]})
    records = answer.get("repositories", [])
    if not records or records[0]["imageTagMutability"] == "MUTABLE":
        return None
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    for image in seams.ecr_images(repository):
        if reference in image["imageTags"] and image["imageDigest"] != digest:
            message = (
                f"The image tag '{reference}' already exists in the '{repository}' repository and "
                "cannot be overwritten because the tag is immutable."
            )
            return refusal(400, "TAG_INVALID", message)
    return None


def refusal(status: int, code: str, message: str) -> seams.Response:
    """Word an error as a registry does."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    headers = {
        "Content-Type": "application/json",
        "Docker-Distribution-Api-Version": "registry/2.0",
    }
    return status, headers, body
