"""The front route of the API: the path of a stage is answered by the API that has this stage.

On AWS an API has a host of its own, `<api>.execute-api.<region>.amazonaws.com`; here
`POST http://127.0.0.1:PORT/dev/predict` is the same call, signed or not. A request that still
carries the API's host name in its Host header is answered by that API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from local_cloud import seams
from local_cloud.strict import seams as private

API_HOST = re.compile(r"(?P<api>[a-z0-9]+)\.execute-api\.")


class StageFront:
    """Answers /<stage>/… as the one REST API that has the stage."""

    def wants(self, scope: dict[str, Any]) -> bool:
        """Take a path under a stage's name, unless the request is signed for another service."""
        stage = scope["path"].lstrip("/").partition("/")[0]
        return bool(stage and private.rest_apis_with_stage(stage)) and _signed_for(scope) in {
            "",
            "execute-api",
        }

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Hand the request to the API; its signature is checked as it was sent."""
        stage = scope["path"].lstrip("/").partition("/")[0]
        apis = private.rest_apis_with_stage(stage)
        if (named := API_HOST.match(_headers(scope).get("host", ""))) and named["api"] in apis:
            apis = [named["api"]]
        if len(apis) > 1:
            await _refuse(send, stage, apis)
            return
        path = f"/_aws/execute-api/{apis[0]}{scope['path']}"
        raw = scope.get("raw_path") or scope["path"].encode()
        await seams.serve_asgi({**scope, "path": path, "raw_path": raw}, receive, send)


def _signed_for(scope: dict[str, Any]) -> str:
    """Return the service of the request's SigV4 scope, or an empty string."""
    headers = _headers(scope)
    query = parse_qs(scope["query_string"].decode())
    credential = headers.get("authorization", "").partition("Credential=")[2]
    fields = (credential or query.get("X-Amz-Credential", [""])[0]).split(",")[0].split("/")
    return fields[3] if len(fields) == 5 else ""


def _headers(scope: dict[str, Any]) -> dict[str, str]:
    return {name.decode().lower(): value.decode() for name, value in scope["headers"]}


async def _refuse(send: Callable, stage: str, apis: list[str]) -> None:
    """Say that the stage alone does not name an API."""
    hosts = ", ".join(f"/_aws/execute-api/{api}/{stage}/" for api in apis)
    message = f"{len(apis)} REST APIs have a stage {stage!r}; call one by its own path: {hosts}"
    body = json.dumps({"message": message}).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 409, "headers": headers})
    await send({"type": "http.response.body", "body": body})
