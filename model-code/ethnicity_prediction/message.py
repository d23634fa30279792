"""Requests and answers of HTTP/1.1, apart from how they come and go. Pure."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import httptools

from .media import JSON

STATUS_LINES = {s.value: b"HTTP/1.1 %d %s\r\n" % (s, s.phrase.encode()) for s in HTTPStatus}


@dataclass(slots=True)
class Request:
    method: str
    path: str
    headers: dict[bytes, bytes]  # names in lower case; values of a repeated one, comma-joined
    body: bytes


@dataclass(slots=True)
class Response:
    status: int
    kind: str  # content type
    body: bytes
    headers: bytes = b""  # further lines, each with its CRLF

    def head(self, last: bool) -> bytes:
        """All before the body; `last` says that the connection ends with it."""
        return b"%scontent-type: %s\r\ncontent-length: %d\r\n%s%s\r\n" % (
            STATUS_LINES[self.status],
            self.kind.encode(),
            len(self.body),
            self.headers,
            b"connection: close\r\n" if last else b"",
        )


Reply = Callable[[Response], None]


def refusal(status: int, text: str, headers: bytes = b"") -> Response:
    """An answer that says what is wrong."""
    return Response(status, JSON, json.dumps({"error": text}).encode(), headers)


def fault(version: str, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
    """What is wrong with a head that the parser lets pass."""
    if version == "1.1":
        if b"host" not in headers or b"," in headers[b"host"]:
            return 400, "a request of HTTP/1.1 has exactly one Host header"
    elif version != "1.0":
        return 505, f"HTTP/{version} is not spoken here; use HTTP/1.1"
    coding = headers.get(b"transfer-encoding")
    if coding is not None and (coding.lower() != b"chunked" or version == "1.0"):
        return 501, "the only transfer coding is chunked, in HTTP/1.1"
    return None


def path_of(target: bytes) -> str:
    """The path in a request's target, which may be a whole URL; empty where there is none."""
    if not target.startswith(b"/"):
        try:
            target = httptools.parse_url(target).path or b""
        except httptools.HttpParserInvalidURLError:
            return ""
    return target.partition(b"?")[0].decode("latin-1")
