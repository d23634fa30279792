"""Git over HTTP at the clone URL, by git's own `http-backend`.

The password is the one that `aws codecommit credential-helper` makes (a SigV4 signature of the
method GIT, host and path), so a push needs live credentials and codecommit:GitPush, as on AWS.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextvars
import hmac
import re
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_cloud import seams
from local_cloud.codecommit import CodeCommit, git_environment
from local_cloud.errors import ApiError

ROUTE = re.compile(
    r"/v1/repos/(?P<name>[^/]+)/(?P<rest>info/refs|git-upload-pack|git-receive-pack)"
)


class GitHttp:
    """The front route of the clone URLs."""

    def __init__(self, codecommit: CodeCommit) -> None:
        self.codecommit = codecommit

    def wants(self, scope: dict[str, Any]) -> bool:
        """Take the three paths of git's smart protocol under /v1/repos/."""
        return ROUTE.fullmatch(scope["path"]) is not None

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Answer one request of a git client."""
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        context = contextvars.copy_context()
        status, headers, answer = await asyncio.to_thread(context.run, self._answer, scope, body)
        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, scope: dict[str, Any], body: bytes) -> tuple[int, dict[str, str], bytes]:
        route = ROUTE.fullmatch(scope["path"])
        if route is None:
            return 404, {}, b""
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        pushes = "git-receive-pack" in query or route["rest"] == "git-receive-pack"
        try:
            access_key = authenticate(headers, scope["path"])
        except PermissionError as refused:
            challenge = {"WWW-Authenticate": 'Basic realm="codecommit"'}
            return 401, challenge, str(refused).encode()
        account, region = seams.account_and_region()
        action = "codecommit:GitPush" if pushes else "codecommit:GitPull"
        if denied := seams.denial(
            access_key, action, self.codecommit.arn(route["name"], account, region)
        ):
            return 403, {"Content-Type": "text/plain"}, denied[1].encode()
        try:
            before = self.codecommit.heads(route["name"])
        except ApiError as missing:
            return 404, {"Content-Type": "text/plain"}, missing.message.encode()
        answer = self._http_backend(scope, headers, route, body)
        if route["rest"] == "git-receive-pack":
            self.codecommit.announce(route["name"], before, seams.caller_arn(access_key))
        return answer

    def _http_backend(
        self, scope: dict[str, Any], headers: dict[str, str], route: re.Match[str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        bare = self.codecommit.path(route["name"])
        environment = git_environment() | {
            "GIT_PROJECT_ROOT": str(bare.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{bare.name}/{route['rest']}",
            "REQUEST_METHOD": scope["method"],
            "QUERY_STRING": scope["query_string"].decode(),
            "CONTENT_TYPE": headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
            "REMOTE_USER": "codecommit",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
        )
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        return status, fields, answer


def authenticate(headers: dict[str, str], path: str) -> str:
    """Return the access key behind the basic credentials; PermissionError says what is wrong."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise PermissionError("use `aws codecommit credential-helper` as git's credential helper")
    try:
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise PermissionError("the basic credentials are not base64") from None
    access_key, _, token = unquote(user).partition("%")
    secret = seams.secret_key_of(access_key)
    if secret is None or (secret[1] or "") != token:
        raise PermissionError("these credentials are unknown or have expired")
    host = headers.get("host", "").split(":")[0]
    repository = re.split(r"/(?:info/refs|git-upload-pack|git-receive-pack)", path)[0]
    expected = _signature(access_key, secret[0], host, repository, password)
    if not hmac.compare_digest(expected, password):
        raise PermissionError("the password is not this key's signature for this repository")
    return access_key


def _signature(access_key: str, secret: str, host: str, path: str, password: str) -> str:
    """Sign GIT host path as of the password's own timestamp (awscli, customizations/codecommit)."""
    timestamp = password.partition("Z")[0]
    _, region = seams.account_and_region()
    signer = SigV4Auth(Credentials(access_key, secret), "codecommit", region)
    request = AWSRequest(method="GIT", url=f"https://{host}{path}")
    request.context["timestamp"] = timestamp
    canonical = f"GIT\n{path}\n\nhost:{host}\n\nhost\n"
    return f"{timestamp}Z{signer.signature(signer.string_to_sign(request, canonical), request)}"
