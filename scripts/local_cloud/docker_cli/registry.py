"""`docker login` and `docker push` against the local ECR, by the registry's own protocol."""

from __future__ import annotations

import base64
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from local_cloud.docker_cli.layers import digest_of
from local_cloud.docker_cli.store import MANIFEST_TYPE, Image, Store

ECR_HOST = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com")


class RegistryError(Exception):
    """The registry refuses, or is none that can be reached offline; in docker's words."""


class Credentials:
    """Docker's own file of logins, $DOCKER_CONFIG/config.json."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        home = Path(environment.get("HOME", "."))
        self.path = Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"

    def read(self, host: str) -> str | None:
        """Return the base64 of user:password for a registry."""
        if not self.path.exists():
            return None
        entry = json.loads(self.path.read_text()).get("auths", {}).get(host, {})
        token: str | None = entry.get("auth")
        return token

    def write(self, host: str, token: str) -> None:
        """Keep a login, readable by its user alone."""
        known = json.loads(self.path.read_text()) if self.path.exists() else {}
        known.setdefault("auths", {})[host] = {"auth": token}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch(mode=0o600)
        self.path.write_text(json.dumps(known, indent=1))


class Registry:
    """One registry host, answered by the local cloud."""

    def __init__(self, host: str, token: str | None) -> None:
        if not ECR_HOST.fullmatch(host):
            raise RegistryError(f"{host}: only a registry of ECR can be reached offline")
        self.host = host
        self.token = token
        self.endpoint = os.environ["AWS_ENDPOINT_URL"]

    def ping(self) -> None:
        """Raise RegistryError unless the token is good."""
        status, _, _ = self._request("GET", "/v2/")
        if status != 200:
            reason = "401 Unauthorized" if status == 401 else str(status)
            raise RegistryError(
                f"Error response from daemon: login attempt to https://{self.host}/v2/ failed "
                f"with status: {reason}"
            )

    def push_blob(self, repository: str, digest: str, content: bytes) -> bool:
        """Upload a blob; False if the registry has it already."""
        status, _, body = self._request("HEAD", f"/v2/{repository}/blobs/{digest}")
        if status == 200:
            return False
        if status != 404:
            raise self._refused(status, body)
        status, headers, body = self._request("POST", f"/v2/{repository}/blobs/uploads/")
        if status != 202:
            raise self._refused(status, body)
        location = urlsplit(headers["Location"]).path
        status, _, body = self._request("PATCH", location, content)
        if status == 202:
            status, _, body = self._request("PUT", f"{location}?digest={digest}")
        if status != 201:
            raise self._refused(status, body)
        return True

    def push_manifest(self, repository: str, tag: str, manifest: bytes) -> None:
        """Put a manifest under a tag."""
        path = f"/v2/{repository}/manifests/{tag}"
        status, _, body = self._request("PUT", path, manifest, {"Content-Type": MANIFEST_TYPE})
        if status != 201:
            raise self._refused(status, body)

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        sent = {"Host": self.host, "Content-Type": "application/octet-stream", **(headers or {})}
        if self.token:
            sent["Authorization"] = f"Basic {self.token}"
        url = f"{self.endpoint}{path}"
        request = urllib.request.Request(url, data=body, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def _refused(self, status: int, body: bytes) -> RegistryError:
        if status == 401:
            return RegistryError("no basic auth credentials")
        try:
            error = json.loads(body)["errors"][0]
        except (ValueError, KeyError, IndexError):
            return RegistryError(f"unexpected status from the registry: {status}")
        if error["code"] == "TAG_INVALID":
            return RegistryError(f"tag invalid: {error['message']}")
        if error["code"] == "NAME_UNKNOWN":
            return RegistryError(f"name unknown: {error['message']}")
        return RegistryError(f"{error['code'].lower()}: {error['message']}")


def login(host: str, user: str, password: str) -> None:
    """Check a password and keep it."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    Registry(host, token).ping()
    Credentials(os.environ).write(host, token)


def push(store: Store, image: Image, name: str) -> None:
    """Upload an image under `host/repository:tag`, as `docker push` prints it."""
    host, _, rest = name.partition("/")
    repository, _, tag = rest.rpartition(":")
    registry = Registry(host, Credentials(os.environ).read(host))
    print(f"The push refers to repository [{host}/{repository}]")
    manifest = json.loads(image.manifest)
    for layer in manifest["layers"]:
        digest = layer["digest"]
        fresh = registry.push_blob(repository, digest, store.blob(digest))
        print(f"{digest[7:19]}: {'Pushed' if fresh else 'Layer already exists'}")
    registry.push_blob(repository, image.id, image.config)
    registry.push_manifest(repository, tag, image.manifest)
    size = len(image.manifest)
    print(f"{tag}: digest: {digest_of(image.manifest)} size: {size}", flush=True)
