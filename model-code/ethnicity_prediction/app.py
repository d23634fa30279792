"""The web application: GET /ping and POST /invocations; decode, predict, encode."""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from .errors import (
    BadInputError,
    MalformedError,
    NotAnImageError,
    OutOfRangeError,
    TooLargeError,
)
from .logs import Journal
from .media import JSON
from .message import Reply, Request, Response, refusal
from .predictor import Predictor
from .wire import (
    AnswerWriter,
    Limits,
    NotAcceptableError,
    UnsupportedTypeError,
    answer_type,
    media_type,
    read_request,
)

# A request beyond any of these is worked off beside the event loop, lest /ping has to wait.
INLINE_BYTES = 64 * 1024  # of a body
INLINE_PIXELS = 500_000  # of its images: 10 ms as PNG, and a file of 20 KB can hold 24 million
INLINE_S = 0.002  # of prediction; times a worker's connections, it is less than /ping's 2 s
TOGETHER = 8  # rows of different requests in one run; more gain nothing and wait longer
STATUS: dict[type[BadInputError], int] = {
    MalformedError: 400,
    NotAcceptableError: 406,
    TooLargeError: 413,
    UnsupportedTypeError: 415,
    NotAnImageError: 422,
    OutOfRangeError: 422,
}
METHODS = {"/ping": ("GET", "HEAD"), "/invocations": ("POST",)}
PONG = Response(200, JSON, b"{}")
log = logging.getLogger("serve")


def inline_limits(row_s: float) -> Limits:
    """What a request may hold for the event loop, where predicting a row takes `row_s`."""
    return Limits(int(INLINE_S / row_s), INLINE_PIXELS)


@dataclass(slots=True)
class Invocation:
    """A request for predictions, on its way to its answer."""

    request: Request
    reply: Reply
    started: float
    content_type: str
    kind: str = ""  # of the answer
    rows: int = 0


class App:
    """Answers requests with a predictor that is already loaded.

    Small requests that are there at the same time are predicted together. Nothing waits for
    others to come: a batch is what has arrived while the one before it was worked off.
    """

    def __init__(self, predictor: Predictor, journal: Journal, inline: Limits) -> None:
        self.predictor, self.journal, self.inline = predictor, journal, inline
        self.write = AnswerWriter(predictor.labels, predictor.card)
        self.large = ThreadPoolExecutor(1)  # large requests one by one; small ones get through
        self.batch: list[tuple[Invocation, np.ndarray]] = []

    def __call__(self, request: Request, reply: Reply) -> None:
        """Reply to one request, now or later."""
        methods = METHODS.get(request.path)
        if methods is None:
            reply(refusal(404, "there are GET /ping and POST /invocations"))
        elif request.method not in methods:
            allow = f"allow: {', '.join(methods)}\r\n".encode()
            reply(refusal(405, f"{request.path} does not take {request.method}", allow))
        elif request.path == "/ping":
            reply(PONG)
        else:
            content_type = media_type(request.headers.get(b"content-type", b""))
            self._invoke(Invocation(request, reply, time.perf_counter(), content_type))

    def _invoke(self, invocation: Invocation) -> None:
        if not self.inline.rows or len(invocation.request.body) > INLINE_BYTES:
            self._set_aside(invocation)
            return
        try:
            images = self._decode(invocation, self.inline)
        except TooLargeError:  # for here; what nobody takes is told in the thread
            self._set_aside(invocation)
        except Exception as error:
            self._answer(invocation, error)
        else:
            self.batch.append((invocation, images))
            if len(self.batch) == 1:
                asyncio.get_running_loop().call_soon(self._run_batch)

    def _set_aside(self, invocation: Invocation) -> None:
        work = asyncio.get_running_loop().run_in_executor(self.large, self._work, invocation)
        work.add_done_callback(lambda done: self._answer(invocation, done.result()))

    def _decode(self, invocation: Invocation, limits: Limits) -> np.ndarray:
        """The request's images; raise BadInputError for a bad one."""
        request = invocation.request
        accept = request.headers.get(b"accept", b"")
        invocation.kind = answer_type(accept, invocation.content_type)
        images = read_request(request.body, invocation.content_type, self.predictor.spec, limits)
        invocation.rows = len(images)
        return images

    def _work(self, invocation: Invocation) -> bytes | Exception:
        """All of a large request, in a thread: the answer's text, or why there is none."""
        try:
            probabilities = self.predictor.predict(self._decode(invocation, Limits()))
            return self.write(probabilities, invocation.kind)
        except Exception as error:
            return error

    def _run_batch(self) -> None:
        batch, self.batch = self.batch, []
        part: list[tuple[Invocation, np.ndarray]] = []
        rows = 0
        for each in batch:
            part.append(each)
            rows += each[0].rows
            if rows >= TOGETHER:
                self._predict(part)
                part, rows = [], 0
        if part:
            self._predict(part)

    def _predict(self, batch: Sequence[tuple[Invocation, np.ndarray]]) -> None:
        """Predict several requests in one run, and answer each."""
        images = batch[0][1] if len(batch) == 1 else np.concatenate([each for _, each in batch])
        outcomes: list[bytes | Exception] = []
        end = 0
        try:
            probabilities = self.predictor.predict(images)
            for invocation, _ in batch:
                start, end = end, end + invocation.rows
                outcomes.append(self.write(probabilities[start:end], invocation.kind))
        except Exception as error:
            outcomes += [error] * (len(batch) - len(outcomes))
        for (invocation, _), outcome in zip(batch, outcomes, strict=True):
            self._answer(invocation, outcome)

    def _answer(self, invocation: Invocation, outcome: bytes | Exception) -> None:
        """Reply, and note it: the one end of every invocation."""
        error = ""
        if isinstance(outcome, bytes):
            answer = Response(200, invocation.kind, outcome)
        elif isinstance(outcome, BadInputError):
            error = str(outcome)
            answer = refusal(STATUS[type(outcome)], error)
        else:
            log.error("invocation failed", exc_info=outcome)
            error = type(outcome).__name__
            answer = refusal(500, "internal error; the log has the details")
        invocation.reply(answer)
        seconds = time.perf_counter() - invocation.started
        self.journal.note(answer.status, invocation.content_type, invocation.rows, seconds, error)

    def note_refusal(self, answer: Response) -> None:
        """Log what was refused before it was a request."""
        self.journal.note(answer.status, "", 0, 0.0, json.loads(answer.body)["error"])
