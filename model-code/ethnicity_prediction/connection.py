"""One HTTP/1.1 connection: whole requests in, whole answers out, in their order.

httptools (Node.js's parser, strict) reads and the event loop moves the bytes. What lies between is
here: limits, deadlines, keep-alive, and an end that loses neither a request nor an answer.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import httptools

from .message import Reply, Request, Response, fault, path_of, refusal
from .room import Place, Room
from .server import ABSENT

MAX_HEAD_BYTES = 16 * 1024
SMALL_BODY_BYTES = 64 * 1024  # so much needs no place in the room for bodies
IDLE_S = 75.0  # between two requests
HEAD_S = 10.0  # from a request's first byte to the end of its head
BODY_S = 60.0  # from there to its last byte
ROOM_S = 10.0  # for a large body to be let in; SageMaker and its callers wait a minute at most
SEND_S = 30.0  # for a caller to take an answer that does not fit into the socket's buffers
LINGER_S = 2.0  # for a caller to read the last answer before the connection is cut
LEAVE_S = 2.0  # while draining: for a request that was sent before the caller could know
log = logging.getLogger("serve")


@dataclass
class Shared:
    """What the connections of a worker have in common."""

    handler: Callable[[Request, Reply], None]  # replies once, at once or later, from the loop
    max_body_bytes: int
    room: Room
    on_refusal: Callable[[Response], None]  # of what never became a request
    now: float = 0.0  # the loop's time, a little late
    draining: bool = False
    open: set["Connection"] = field(default_factory=set)
    loads: "memoryview[int]" = field(default_factory=lambda: memoryview(bytearray(4)).cast("i"))
    slot: int = 0  # ours among the workers' loads

    def count(self) -> None:
        """Let the other workers know how many connections there are here."""
        self.loads[self.slot] = ABSENT if self.draining else len(self.open)


class Connection(asyncio.Protocol):
    """Reads requests, has them handled one after the other, and writes the answers."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.parser = httptools.HttpRequestParser(self)
        self.waiting: deque[tuple[Request, bool, Place | None]] = deque()  # behind one under way
        self.place: Place | None = None  # of the body that is being read …
        self.place_of_busy: Place | None = None  # … and of the one that is being handled
        self.busy = False  # a request is being handled
        self.advancing = False  # in the loop that has them handled
        self.clogged = False  # more was written than the caller takes
        self.reading = False  # a request has begun and is not complete
        self.in_head = True
        self.ended = False  # the caller has sent all that it wanted to
        self.last: Response | None = None  # to be sent after all others; nothing more is read
        self.closing = False  # the last answer was given; what still comes is thrown away
        self.received = 0  # bytes of the request that is being read
        self.deadline = shared.now + IDLE_S

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.shared.open.add(self)
        self.shared.count()

    def connection_lost(self, exc: Exception | None) -> None:
        self.shared.open.discard(self)
        self.shared.count()
        self.closing = True
        self._drop_unhandled()

    def data_received(self, data: bytes) -> None:
        if self.closing or self.last:
            return
        if self.busy:  # enough for now: who pipelines more has to wait
            self.transport.pause_reading()
        self.received += len(data)
        self._feed(data)
        if self.reading and self.in_head and self.received > MAX_HEAD_BYTES:
            self._refuse(431, f"the request's head is larger than {MAX_HEAD_BYTES} bytes")
        elif self.reading and self.received > 2 * self.shared.max_body_bytes:
            self._refuse_body()  # chunks with little in them, or endless trailers

    def _feed(self, data: bytes) -> None:
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    data = b""
                except httptools.HttpParserUpgrade as error:
                    data = self._without_upgrade(data[error.args[0] :])
        except httptools.HttpParserCallbackError:
            log.exception("a connection failed")
            self.transport.abort()
        except httptools.HttpParserError as error:
            self._refuse(400, f"not HTTP/1.1: {error}")

    def eof_received(self) -> bool:
        """The caller sends no more; true: the connection stays for the answers it waits for."""
        self.ended = True
        return self.busy or bool(self.waiting)

    def pause_writing(self) -> None:
        """The caller does not take what it asked for: nothing more is done for it meanwhile."""
        self.clogged, self.deadline = True, self.shared.now + SEND_S
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.clogged = False
        if not self.busy and not self.closing:
            self._advance()

    # Called by the parser.

    def on_message_begin(self) -> None:
        self.reading = self.in_head = True
        self.target = b""
        self.headers: dict[bytes, bytes] = {}
        self.chunks: list[bytes] = []
        self.size = 0
        self.deadline = self.shared.now + HEAD_S

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # and no trailer
            name, headers = name.lower(), self.headers
            headers[name] = headers[name] + b", " + value if name in headers else value

    def on_headers_complete(self) -> None:
        if self.closing or self.last or self.parser.should_upgrade():
            return
        self.in_head = False
        self.deadline = self.shared.now + BODY_S
        self.version, headers = self.parser.get_http_version(), self.headers
        wrong = fault(self.version, headers)
        if wrong:
            self._refuse(*wrong)
        elif int(headers.get(b"content-length", 0)) > self.shared.max_body_bytes:
            self._refuse_body()
        elif b"expect" in headers and self.version == "1.1" and not self.busy:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        if self.closing or self.last:
            return
        self.size += len(chunk)
        if self.size > self.shared.max_body_bytes:
            self._refuse_body()
        else:
            self.chunks.append(chunk)
            if self.size > SMALL_BODY_BYTES and not self.place:
                self._enter_room()

    def on_message_complete(self) -> None:
        if self.closing or self.last or self.parser.should_upgrade():
            return
        self.reading, self.received = False, 0
        chunks, self.chunks = self.chunks, []  # the request alone keeps its bytes, while it lasts
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        method = self.parser.get_method().decode()
        request = Request(method, path_of(self.target), self.headers, body)
        keep = self.version == "1.1" and self.parser.should_keep_alive()
        self.waiting.append((request, keep, self.place))
        self.place = None
        if not self.busy:
            self._advance()

    # Ours.

    def _without_upgrade(self, rest: bytes) -> bytes:
        """What is to be read as if the request had not asked for another protocol."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(405, "there are GET /ping and POST /invocations")
            return b""
        dropped = (b"upgrade", b"connection")
        lines = [b"%s: %s\r\n" % pair for pair in self.headers.items() if pair[0] not in dropped]
        self.parser = httptools.HttpRequestParser(self)
        head = b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.target, version, b"".join(lines))
        return head + rest

    def _enter_room(self) -> None:
        """Read on once all bodies together leave room for the rest of this one."""
        size = int(self.headers.get(b"content-length", self.shared.max_body_bytes))
        self.place = self.shared.room.enter(size, self._go_on)
        if not self.place.granted:
            self.deadline = self.shared.now + ROOM_S
            self.transport.pause_reading()

    def _go_on(self) -> None:
        if self.place and self.place.granted and not (self.busy or self.clogged):
            self.deadline = self.shared.now + BODY_S
            self.transport.resume_reading()

    def _leave_room(self, place: Place | None) -> None:
        if place:
            self.shared.room.leave(place)

    def _drop_unhandled(self) -> None:
        """Forget the requests that wait, and what there is of the next."""
        places = [self.place, *(place for _, _, place in self.waiting)]
        self.waiting.clear()
        self.chunks, self.place = [], None
        for place in places:
            self._leave_room(place)

    def _advance(self) -> None:
        """Have the next requests handled, until one takes longer than this call."""
        self.advancing = True
        while self.waiting and not (self.busy or self.clogged or self.closing):
            request, self.keep, self.place_of_busy = self.waiting.popleft()
            self.method, self.busy, self.deadline = request.method, True, math.inf
            try:
                self.shared.handler(request, self._answer)
            except Exception:
                log.exception("a request could not be handled")
                if self.busy:
                    self._answer(refusal(500, "internal error; the log has the details"))
        self.advancing = False
        if self.busy or self.clogged or self.closing:
            return
        if self.last:
            self._send(self.last, False, "")
        elif self.ended:
            self._finish()
        else:
            self.deadline = self.shared.now + (HEAD_S if self.reading else IDLE_S)
            if not (self.place and not self.place.granted):
                self.transport.resume_reading()

    def _answer(self, answer: Response) -> None:
        """Send the answer to the request that was being handled, and go on."""
        self.busy = False
        place, self.place_of_busy = self.place_of_busy, None
        self._leave_room(place)
        if not self.closing:
            self._send(answer, self.keep, self.method)
            if not self.advancing:
                self._advance()

    def _send(self, answer: Response, keep: bool, method: str) -> None:
        keep = keep and not self.shared.draining
        head = answer.head(not keep)
        self.transport.write(head if method == "HEAD" else head + answer.body)
        if not keep:
            self._finish()

    def _refuse(self, status: int, text: str) -> None:
        """Give up what is being read; the answer follows those to the requests before."""
        if not (self.closing or self.last):
            self.last = refusal(status, text)
            self.shared.on_refusal(self.last)
            place, self.place, self.chunks = self.place, None, []
            self._leave_room(place)
            if not (self.busy or self.advancing):
                self._advance()

    def _refuse_body(self) -> None:
        self._refuse(413, f"the body is larger than {self.shared.max_body_bytes} bytes")

    def _finish(self) -> None:
        """End our side, and let the caller read before the connection is cut."""
        self.closing, self.deadline = True, self.shared.now + LINGER_S
        self._drop_unhandled()
        if self.ended:
            self.transport.close()
        else:
            self.transport.resume_reading()
            self.transport.write_eof()

    # Called by the worker, a few times a second.

    def drain(self) -> None:
        """Answer what is under way and what the caller may have sent already, then end."""
        if not (self.busy or self.reading):
            self.deadline = min(self.deadline, self.shared.now + LEAVE_S)

    def check(self) -> None:
        """End a connection whose time is over."""
        late = self.shared.now - self.deadline
        if late < 0:
            return
        unsent = self.transport.get_write_buffer_size()
        if (unsent and not self.closing) or (self.closing and (not unsent or late > SEND_S)):
            self.transport.abort()
        elif self.closing:
            return
        elif self.place and not self.place.granted:
            self._refuse(503, "too many large requests at once; try again later")
        elif self.reading:
            self._refuse(408, "the request did not arrive in time")
        else:
            self.closing = True
            self.transport.close()
