"""The web application: GET /ping and POST /invocations; decode, predict, encode."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .errors import MalformedError, NotAnImageError, OutOfRangeError, TooLargeError
from .predictor import Predictor
from .wire import (
    JSON,
    MAX_BODY_BYTES,
    NotAcceptableError,
    UnsupportedTypeError,
    answer_type,
    media_type,
    read_request,
    write_answer,
)

INLINE_BYTES = 64 * 1024  # of a body; a larger one is worked off beside the event loop
STATUS = {
    MalformedError: 400,
    NotAcceptableError: 406,
    TooLargeError: 413,
    UnsupportedTypeError: 415,
    NotAnImageError: 422,
    OutOfRangeError: 422,
}
Answer = tuple[int, str, bytes]  # status, content type, body
Headers = Mapping[bytes, str]
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
log = logging.getLogger("serve")


class CallerGoneError(Exception):
    """The connection ended before the request did."""


class App:
    """The ASGI application around a predictor that is already loaded."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.turn = asyncio.Semaphore(1)  # large requests one by one; small ones get through

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        if path == "/invocations" and method == "POST":
            await self._invoke(_headers(scope), receive, send)
        elif path == "/ping" and method in ("GET", "HEAD"):
            await _send(send, 200, JSON, b"{}")
        elif path in ("/ping", "/invocations"):
            await _send(send, *_refusal(405, f"{path} does not take {method}"))
        else:
            await _send(send, *_refusal(404, "there are GET /ping and POST /invocations"))

    async def _invoke(self, headers: Headers, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        rows = 0
        try:
            rows, answer = await self._answer(await _read_body(headers, receive), headers)
        except tuple(STATUS) as error:
            answer = _refusal(STATUS[type(error)], str(error))
        except CallerGoneError:
            return
        except Exception:
            log.exception("invocation failed")
            answer = _refusal(500, "internal error; the log has the details")
        await _send(send, *answer)
        _log_invocation(answer, headers, rows, time.perf_counter() - started)

    async def _answer(self, body: bytes, headers: Headers) -> tuple[int, Answer]:
        if len(body) <= INLINE_BYTES:
            return self._work(body, headers)
        async with self.turn:
            return await asyncio.to_thread(self._work, body, headers)

    def _work(self, body: bytes, headers: Headers) -> tuple[int, Answer]:
        """Rows and the good answer; raise BadInputError for a bad request."""
        content_type = media_type(headers.get(b"content-type", ""))
        kind = answer_type(headers.get(b"accept", ""), content_type)
        images = read_request(body, content_type, self.predictor.spec)
        text = write_answer(self.predictor.predict(images), kind, self.predictor.card)
        return len(images), (200, kind, text)


def _headers(scope: Scope) -> dict[bytes, str]:
    wanted = (b"content-type", b"accept", b"content-length")
    return {name: value.decode("latin-1") for name, value in scope["headers"] if name in wanted}


async def _read_body(headers: Headers, receive: Receive) -> bytes:
    """The whole body; refused as soon as it is known to be too large."""
    announced = headers.get(b"content-length", "")
    _check_size(int(announced) if announced.isdecimal() else 0)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        chunk = message.get("body", b"")
        size += len(chunk)
        _check_size(size)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_size(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise TooLargeError(f"the body is larger than {MAX_BODY_BYTES} bytes")


def _refusal(status: int, text: str) -> Answer:
    return status, JSON, json.dumps({"error": text}).encode()


async def _send(send: Send, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
    if status == 413:
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _log_invocation(answer: Answer, headers: Headers, rows: int, seconds: float) -> None:
    """One line per answer: facts about it, never what is in the image."""
    status, _, body = answer
    facts = {
        "event": "invocation",
        "status": status,
        "content_type": media_type(headers.get(b"content-type", ""))[:40],
        "rows": rows,
        "ms": round(seconds * 1000, 2),
    }
    if status != 200:
        facts["error"] = json.loads(body)["error"]
    log.log(logging.INFO if status < 500 else logging.ERROR, facts)
