"""Callers over plain sockets: each sends its next request when it has its answer."""

from __future__ import annotations

import contextlib
import random
import selectors
import socket
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

TIMEOUT_S = 60.0  # without any answer to anybody
ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Kind:
    """A sort of request, as bytes, and what may come of it."""

    name: str
    data: bytes
    status: int | None = 200  # None: the caller leaves without waiting for an answer
    weight: float = 1.0
    answer: bytes | None = None  # the body that must come, where it is known


def post(name: str, body: bytes, content_type: str, status: int = 200, weight: float = 1.0) -> Kind:
    """Return an invocation."""
    head = f"POST /invocations HTTP/1.1\r\nHost: {ADDRESS}\r\nContent-Type: {content_type}\r\n"
    length = f"Content-Length: {len(body)}\r\n\r\n"
    return Kind(name, (head + length).encode() + body, status, weight)


PING = Kind("ping", f"GET /ping HTTP/1.1\r\nHost: {ADDRESS}\r\n\r\n".encode())


@dataclass
class Outcome:
    """What became of the requests."""

    seconds: float = 0.0
    latencies: dict[str, array[float]] = field(default_factory=lambda: defaultdict(_floats))
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return sum(map(len, self.latencies.values()))

    def latency(self, name: str, share: float = 0.5) -> float:
        """Return a quantile of a kind's latencies in seconds."""
        ordered = sorted(self.latencies[name])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _floats() -> array[float]:
    return array("d")


@dataclass
class Load:
    """Keeps `clients` callers busy until enough was asked or the time is over.

    Once `leaving` is set nobody connects anew: who is told that a connection ends goes home.
    """

    port: int
    clients: int
    kinds: Sequence[Kind]
    requests: int | None = None
    seconds: float | None = None
    seed: int = 0
    leaving: bool = False
    last_body: bytes = b""

    def run(self, while_running: Callable[[], None] = lambda: None) -> Outcome:
        """Ask until the end; `while_running` is called between answers."""
        self.outcome, self.asked = Outcome(), 0
        self.random = random.Random(self.seed)  # noqa: S311  no secret
        self.weights = [kind.weight for kind in self.kinds]
        self.selector, begun = selectors.DefaultSelector(), time.perf_counter()
        self.end = begun + self.seconds if self.seconds else None
        callers = [_Caller(self) for _ in range(self.clients)]
        for caller in callers:
            caller.next()
        while self.selector.get_map():
            ready = self.selector.select(TIMEOUT_S)
            if not ready:
                self.outcome.failures.append(f"nobody was answered for {TIMEOUT_S:.0f} s")
                break
            for key, _ in ready:
                key.data.receive(key.fileobj)
            while_running()
        for caller in callers:
            caller.hang_up()
        self.outcome.seconds = time.perf_counter() - begun
        return self.outcome

    def pick(self) -> Kind | None:
        """Return the next request; None when enough was asked."""
        over = self.end is not None and time.perf_counter() >= self.end
        if over or self.asked == self.requests:
            return None
        self.asked += 1
        if len(self.kinds) == 1:
            return self.kinds[0]
        return self.random.choices(self.kinds, self.weights)[0]


class _Caller:
    """One connection, made anew when the server has ended it."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.socket: socket.socket | None = None
        self.received, self.started = b"", 0.0

    def next(self) -> None:
        """Send the next request, or go home."""
        while kind := self.load.pick():
            self.kind, self.received = kind, b""
            connection = self.socket or self._connect()
            if connection is None:
                return
            self.started = time.perf_counter()
            with contextlib.suppress(OSError):  # an answer may have come nevertheless
                connection.sendall(kind.data)
            if kind.status is not None:
                return
            self.hang_up()
        self.hang_up()

    def _connect(self) -> socket.socket | None:
        if self.load.leaving:
            return None
        try:
            made = socket.create_connection((ADDRESS, self.load.port), timeout=TIMEOUT_S)
        except OSError as error:
            self._fail(f"cannot connect: {error}")
            return None
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.load.selector.register(made, selectors.EVENT_READ, self)
        self.socket = made
        return made

    def receive(self, connection: socket.socket) -> None:
        """Take what has come; note the answer when it is whole, and go on."""
        data = b""
        with contextlib.suppress(OSError):  # reset: as good as ended
            data = connection.recv(1 << 18)
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(x[15:]) for x in lines if x.startswith(b"content-length:")), 0)
        if separator and len(body) >= length:
            self._note(int(lines[0].split()[1]), body)
            if b"connection: close" in lines:
                self.hang_up()
            self.next()
        elif not data:
            self._fail(f"the connection ended after {len(self.received)} bytes of the answer")
            self.hang_up()
            self.next()

    def _note(self, status: int, body: bytes) -> None:
        outcome, self.load.last_body = self.load.outcome, body
        outcome.statuses[self.kind.name, status] += 1
        outcome.latencies[self.kind.name].append(time.perf_counter() - self.started)
        if status != self.kind.status or self.kind.answer not in (None, body):
            self._fail(f"answered {status}: {body[:200]!r}")

    def _fail(self, text: str) -> None:
        self.load.outcome.failures.append(f"{self.kind.name}: {text}")

    def hang_up(self) -> None:
        """Close the connection if there is one."""
        if self.socket is not None:
            self.load.selector.unregister(self.socket)
            self.socket.close()
            self.socket = None
