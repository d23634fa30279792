"""Connections over real sockets, with requests of every good and bad sort."""

import asyncio
import contextlib
import io
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop
from ethnicity_prediction import connection, worker
from ethnicity_prediction.connection import MAX_HEAD_BYTES, Shared
from ethnicity_prediction.logs import Journal
from ethnicity_prediction.message import Request, Response
from ethnicity_prediction.room import Room
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MAX_BODY = 300_000
ROOM = 2 * MAX_BODY
GET = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


def post(body: bytes, path: bytes = b"/echo", extra: bytes = b"") -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n"
    return head % (path, extra, len(body)) + body


class Served:
    """A server in a thread; /slow answers once `go` is set, /large with a lot, others echo."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.requests: list[Request] = []
        self.refused: list[int] = []
        self.go, self.began = threading.Event(), threading.Event()
        self.pool = ThreadPoolExecutor(1)
        started = threading.Event()
        self.thread = threading.Thread(target=lambda: uvloop.run(self._main(started)))
        self.thread.start()
        started.wait()

    async def _main(self, started: threading.Event) -> None:
        self.loop, self.told = asyncio.get_running_loop(), asyncio.Event()
        room = Room(ROOM)
        self.shared = Shared(self._handle, MAX_BODY, room, lambda a: self.refused.append(a.status))
        server = worker.Server(self.shared, Journal(io.StringIO()), self.listener)
        started.set()
        await self.told.wait()
        await server.drain()

    def _handle(self, request: Request, reply: Callable[[Response], None]) -> None:
        self.requests.append(request)
        answer = Response(200, "text/plain", request.body or request.path.encode())
        if request.path == "/slow":
            self.began.set()
            waiting = self.loop.run_in_executor(self.pool, self.go.wait, 10)
            waiting.add_done_callback(lambda _: reply(answer))
        elif request.path == "/raise":
            raise RuntimeError("secret detail")
        else:
            reply(Response(200, "x/y", b"x" * 500_000) if request.path == "/large" else answer)

    def drain(self) -> None:
        self.loop.call_soon_threadsafe(self.told.set)

    def call(self) -> "Caller":
        return Caller(self.port)

    def stop(self) -> None:
        self.go.set()
        if self.thread.is_alive():
            self.drain()
        self.thread.join(timeout=25)
        self.pool.shutdown()
        self.listener.close()
        assert not self.thread.is_alive()
        assert self.shared.room.free == ROOM
        assert not self.shared.room.waiting


class Caller(socket.socket):
    """A plain socket that reads answers."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.settimeout(10)
        self.connect(("127.0.0.1", port))
        self.rest = b""

    def ask(self, data: bytes) -> tuple[int, bytes]:
        self.sendall(data)
        return self.answer()

    def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer; status 0 at the end of the connection."""
        self.head = self.head_of_answer()
        if not self.head:
            return 0, b""
        announced = re.search(rb"content-length: (\d+)", self.head)
        size = int(announced[1]) if announced else 0
        self._receive(lambda: len(self.rest) >= size)
        body, self.rest = self.rest[:size], self.rest[size:]
        return int(self.head.split()[1]), body

    def head_of_answer(self) -> bytes:
        self._receive(lambda: b"\r\n\r\n" in self.rest)
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return head

    def _receive(self, enough: Callable[[], bool]) -> None:
        while not enough():
            received = self.recv(65536)
            if not received:
                return
            self.rest += received

    def ended(self) -> bool:
        """Wait until the other side ends the connection."""
        try:
            return self.rest == b"" and self.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def served() -> Iterator[Served]:
    server = Served()
    yield server
    server.stop()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of tenths of a second."""
    for name in ("IDLE_S", "HEAD_S", "BODY_S", "ROOM_S", "SEND_S", "LINGER_S", "LEAVE_S"):
        monkeypatch.setattr(connection, name, 0.3)
    monkeypatch.setattr(worker, "TICK_S", 0.05)


def test_a_connection_carries_many_requests(served: Served):
    with served.call() as caller:
        for body in (b"one", b"two" * 50_000, b"", b"four"):
            assert caller.ask(post(body)) == (200, body or b"/echo")
            assert b"connection" not in caller.head


def test_requests_sent_ahead_are_answered_in_order(served: Served):
    with served.call() as caller:
        caller.sendall(post(b"1") + post(b"2", b"/slow") + GET + post(b"4", b"/slow") + post(b"5"))
        assert caller.answer() == (200, b"1")
        served.go.set()
        bodies = [caller.answer()[1] for _ in range(4)]
    assert bodies == [b"2", b"/ping", b"4", b"5"]


def test_thousands_may_wait_behind_a_slow_one(served: Served):
    with served.call() as caller:
        sending = threading.Thread(target=caller.sendall, args=[post(b"", b"/slow") + GET * 5000])
        sending.start()
        served.began.wait(5)
        served.go.set()
        assert [caller.answer()[0] for _ in range(5001)] == [200] * 5001
        sending.join()


@pytest.mark.parametrize("at", [1, 20, 60, 90, 95])
def test_a_request_may_come_in_pieces(served: Served, at):
    whole = post(b"0123456789", extra=b"Accept: text/csv\r\n")
    with served.call() as caller:
        caller.sendall(whole[:at])
        time.sleep(0.02)
        assert caller.ask(whole[at:]) == (200, b"0123456789")
    assert served.requests[0].headers[b"accept"] == b"text/csv"


def test_chunks_make_one_body_and_trailers_are_no_headers(served: Served):
    with served.call() as caller:
        status, body = caller.ask(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;ext=1\r\nabc\r\n4\r\ndefg\r\n0\r\nAccept: no\r\n\r\n"
        )
        assert (status, body) == (200, b"abcdefg")
        assert caller.ask(GET) == (200, b"/ping")
    assert b"accept" not in served.requests[0].headers


def test_a_caller_who_asks_first_is_told_to_go_on(served: Served):
    expect = b"Expect: 100-continue\r\n"
    with served.call() as caller:
        assert caller.ask(post(b"abc", extra=expect)[:-3])[0] == 100
        assert caller.ask(b"abc") == (200, b"abc")
    with served.call() as caller:
        assert caller.ask(post(b"a" * (MAX_BODY + 1), extra=expect)[: -MAX_BODY - 1])[0] == 413


@pytest.mark.parametrize(
    ("request_line", "path"),
    [
        (b"GET http://elsewhere:80/a/b?c=1 HTTP/1.1", "/a/b"),
        (b"GET /a?b HTTP/1.1", "/a"),
        (b"OPTIONS * HTTP/1.1", "*"),
    ],
)
def test_a_target_names_a_path(served: Served, request_line, path):
    with served.call() as caller:
        caller.ask(request_line + b"\r\nHost: x\r\n\r\n")
    assert served.requests[0].path == path


def test_head_gets_no_body(served: Served):
    with served.call() as caller:
        caller.sendall(GET.replace(b"GET", b"HEAD") + GET)
        assert b"content-length: 5" in caller.head_of_answer()
        assert caller.answer() == (200, b"/ping")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /ping HTTP/1.0\r\n\r\n",
        b"GET /ping HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    ],
)
def test_the_last_request_ends_the_connection(served: Served, request_):
    with served.call() as caller:
        assert caller.ask(request_) == (200, b"/ping")
        assert b"connection: close" in caller.head
        assert caller.ended()


def test_a_wish_for_another_protocol_is_passed_over(served: Served):
    """Java's client asks for h2c in its first request, a POST too."""
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"
    with served.call() as caller:
        assert caller.ask(post(b"body", extra=upgrade)) == (200, b"body")
        assert caller.ask(GET.replace(b"\r\n\r\n", b"\r\n" + upgrade + b"\r\n")) == (200, b"/ping")
        assert caller.ask(GET) == (200, b"/ping")


def test_wishes_for_another_protocol_may_be_many(served: Served):
    upgrade = GET.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
    with served.call() as caller:
        caller.sendall(upgrade * 600)
        assert [caller.answer()[0] for _ in range(600)] == [200] * 600


POST = b"POST /echo HTTP/1.1\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x00" * 64, 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nA: a\0b\r\n\r\n", 400),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nA: \rTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"BREW /ping HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /ping HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (POST + b"Host: x\r\nContent-Length: x\r\n\r\n", 400),
        (POST + b"Host: x\r\nContent-Length: -1\r\n\r\n", 400),
        (POST + b"Host: x\r\nContent-Length: 3,3\r\n\r\nabc", 400),
        (POST + b"Host: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        (POST + b"Host: x\r\nContent-Length: 3\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 400),
        (POST + b"Host: x\r\n" + CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Host: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Host: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /echo HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n", 501),
        (POST + b"Host: x\r\n" + CHUNKED + b"\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
        (POST + b"Host: x\r\n" + CHUNKED + b"\r\n3\nabc\n0\n\n", 400),
        (POST + b"Host: x\r\n" + CHUNKED + b"\r\nFFFFFFFFFFFFFFFFF\r\nabc", 400),
        (post(b"a" * (MAX_BODY + 1)), 413),
        (POST + b"Host: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (POST + b"Host: x\r\n" + CHUNKED + b"\r\nFFFFF\r\n" + b"a" * 0xFFFFF, 413),
        (POST + b"Host: x\r\n" + CHUNKED + b"\r\n" + b"1\r\na\r\n" * 200_000, 413),
        (POST + b"Host: x\r\n" + CHUNKED + b"\r\n0\r\n" + b"a: b\r\n" * 200_000, 413),
    ],
)
def test_what_is_not_a_proper_request_is_refused_and_ends_the_connection(
    served: Served, data, status
):
    with served.call() as caller:
        caller.sendall(data)
        with contextlib.suppress(OSError):  # it may have ended already
            caller.sendall(post(b"smuggled"))
        answered, body = caller.answer()
        assert answered == status, body
        assert b'{"error": "' in body
        assert b"connection: close" in caller.head
        assert caller.ended()
    assert served.requests == []
    assert served.refused == [status]


@pytest.mark.parametrize("start", [POST + b"Host: x\r\nA: ", b"GET /", POST + b"A: b\r\n" * 3000])
def test_a_head_without_end_is_refused(served: Served, start):
    with served.call() as caller:
        assert caller.ask(start + b"a" * MAX_HEAD_BYTES)[0] == 431
        assert caller.ended()


@pytest.mark.parametrize(
    ("fault", "status"),
    [(b"\x00\x00", 400), (POST + b"\r\n", 400), (post(b"a" * (MAX_BODY + 1)), 413)],
)
def test_a_refusal_waits_for_its_turn(served: Served, fault, status):
    with served.call() as caller:
        caller.sendall(post(b"1") + post(b"2", b"/slow") + fault)
        assert caller.answer() == (200, b"1")
        served.go.set()
        assert caller.answer() == (200, b"2")
        assert caller.answer()[0] == status
        assert caller.ended()


def test_a_fault_of_ours_is_told_without_details(served: Served, caplog):
    with served.call() as caller:
        status, body = caller.ask(post(b"", b"/raise"))
        assert status == 500
        assert b"secret" not in body
    assert "secret detail" in caplog.text
    with served.call() as caller:
        assert caller.ask(GET)[0] == 200


@pytest.mark.parametrize("start", [b"G", GET[:-2], post(b"abc")[:-1]])
def test_a_request_that_comes_too_slowly_is_ended(hurry, served: Served, start):
    with served.call() as caller:
        caller.sendall(start)
        status, _ = caller.answer()
        assert status == 408
        assert caller.ended()


def test_a_dripping_head_does_not_win_time(hurry, served: Served):
    begun = time.monotonic()
    with served.call() as caller:
        caller.sendall(b"GET /ping HTTP/1.1\r\n")
        with pytest.raises(OSError):  # reset or broken pipe, as the system likes
            while time.monotonic() - begun < 8:
                caller.sendall(b"A: b\r\n")
                time.sleep(0.05)
    assert served.refused == [408]


def test_an_idle_connection_is_ended(hurry, served: Served):
    with served.call() as silent, served.call() as caller:
        assert caller.ask(GET)[0] == 200
        assert caller.ended()
        assert silent.ended()
    assert served.refused == []


def test_who_reads_nothing_is_cut_off_and_costs_little(hurry, served: Served):
    with served.call() as caller:
        caller.sendall(post(b"", b"/large") * 100)  # 50 MB of answers
        end = time.monotonic() + 8
        while served.shared.open and time.monotonic() < end:
            time.sleep(0.05)
        assert not served.shared.open


def test_who_has_sent_all_still_gets_the_answer(served: Served):
    for path in (b"/echo", b"/slow"):
        with served.call() as caller:
            caller.sendall(post(b"abc", path))
            caller.shutdown(socket.SHUT_WR)
            served.go.set()
            assert caller.answer() == (200, b"abc")
            assert caller.ended()


def test_who_leaves_early_harms_nobody(served: Served):
    for data in (b"", b"POST /ec", post(b"abc")[:-1], post(b"", b"/slow"), post(b"", b"/large")):
        caller = served.call()
        caller.sendall(data)
        caller.close()
    served.go.set()
    with served.call() as caller:
        assert caller.ask(GET) == (200, b"/ping")


def test_large_bodies_wait_for_room_and_small_ones_do_not(served: Served):
    """The room is for two; the other four are read once those are answered."""
    large = [bytes([65 + i]) * 250_000 for i in range(6)]
    callers = [served.call() for _ in large]
    with ThreadPoolExecutor(len(large)) as pool:
        asking = [
            pool.submit(c.ask, post(b, b"/slow")) for c, b in zip(callers, large, strict=True)
        ]
        assert served.began.wait(5)
        time.sleep(0.3)
        assert len(served.requests) == 2
        with served.call() as caller:
            assert caller.ask(post(b"x" * 60_000))[0] == 200
        served.go.set()
        assert [each.result(10) for each in asking] == [(200, body) for body in large]
    for caller in callers:
        caller.close()


def test_a_large_body_of_unknown_length_takes_all_that_it_may(served: Served):
    chunk = b"%x\r\n%s\r\n" % (100_000, b"x" * 100_000)
    begun = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
    with served.call() as caller:
        caller.sendall(begun)
        wait_until(lambda: served.shared.room.free == ROOM - MAX_BODY)
        assert caller.ask(b"0\r\n\r\n") == (200, b"x" * 100_000)
    assert served.shared.room.free == ROOM


def test_an_idle_connection_keeps_nothing_of_its_last_body(served: Served):
    with served.call() as caller:
        assert caller.ask(post(b"x" * MAX_BODY))[0] == 200
        [idle] = served.shared.open
        assert idle.chunks == []


def test_who_waits_too_long_for_room_is_told_to_come_again(hurry, served: Served):
    """Two are handled and take as long as they like."""
    busy = [served.call() for _ in range(2)]
    for caller in busy:
        caller.sendall(post(b"b" * 250_000, b"/slow"))
    wait_until(lambda: len(served.requests) == 2)
    with served.call() as late:
        assert late.ask(post(b"l" * 250_000)[:-1]) == (
            503,
            b'{"error": "too many large requests at once; try again later"}',
        )
        assert late.ended()
    served.go.set()
    for caller in busy:
        assert caller.answer()[0] == 200
        caller.close()


@pytest.mark.parametrize("sent", [100_000, 250_000])
def test_who_leaves_gives_room_to_others(served: Served, sent):
    left = [served.call() for _ in range(3)]
    for caller in left:
        caller.sendall(post(b"x" * 250_000)[:sent])
    time.sleep(0.1)
    for caller in left:
        caller.close()
    with served.call() as caller:
        assert caller.ask(post(b"y" * MAX_BODY))[0] == 200


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_draining_loses_no_request_and_no_answer(served: Served):
    idle, late, busy = served.call(), served.call(), served.call()
    for caller in (idle, late):
        assert caller.ask(GET)[0] == 200
    busy.sendall(post(b"slow", b"/slow") + post(b"behind"))
    assert served.began.wait(5)
    served.drain()
    time.sleep(0.1)
    assert late.ask(post(b"late")) == (200, b"late")  # sent before it could know
    assert b"connection: close" in late.head
    served.go.set()
    assert busy.answer() == (200, b"slow")
    assert idle.ended()
    served.thread.join(timeout=10)
    assert not served.thread.is_alive()
    for caller in (idle, late, busy):
        caller.close()


@pytest.fixture(scope="module")
def lasting() -> Iterator[Served]:
    server = Served()
    yield server
    server.stop()


PIECES = st.sampled_from(
    [
        GET,
        POST,
        CHUNKED,
        b"Host: x\r\n",
        b"\r\n",
        b"0\r\n\r\n",
        b"3\r\nabc\r\n",
        b"Content-Length: 3",
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PIECES | st.binary(max_size=40), max_size=8))
def test_no_bytes_whatever_bring_it_down(lasting: Served, pieces):
    with lasting.call() as caller:
        caller.sendall(b"".join(pieces))
        caller.shutdown(socket.SHUT_WR)
        received = b""
        while part := caller.recv(65536):
            received += part
    statuses = re.findall(rb"HTTP/1.1 (\d+)", received)
    assert all(status in {b"200", b"400", b"501", b"505"} for status in statuses)
    with lasting.call() as caller:
        assert caller.ask(GET) == (200, b"/ping")
