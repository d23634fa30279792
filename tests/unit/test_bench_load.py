"""The load generator against a server of a few lines, and the soak's judgement."""

import socketserver
import threading

import pytest
from bench.load import PING, Kind, Load, Outcome, post
from bench.soak import Report, kinds

ANSWER = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n%s\r\n%s"


class Handler(socketserver.StreamRequestHandler):
    """Answers what the path says: /200, /500, /cut (ends half way), /close (answers, then ends)."""

    def handle(self):
        while line := self.rfile.readline():
            what, length = line.split()[1].decode().strip("/"), 0
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            body = self.rfile.read(length)
            if len(body) < length:
                self.server.left.append(len(body))
                return
            if what == "cut":
                self.wfile.write(ANSWER[:12] % 200)
                return
            extra = b"Connection: close\r\n" if what == "close" else b""
            status = int(what) if what.isdecimal() else 200
            self.wfile.write(ANSWER % (status, 4, extra, b"body"))
            if what == "close":
                return


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    request_queue_size = 64


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as running:
        running.left = []
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        yield running
        running.shutdown()


def kind(path, status=200, weight=1.0, answer=None):
    return Kind(path, f"GET /{path} HTTP/1.1\r\n\r\n".encode(), status, weight, answer)


def run(server, *asked, clients=1, **options):
    return Load(server.server_address[1], clients, asked, **options).run()


def test_every_request_is_answered_and_timed(server):
    outcome = run(server, kind("200"), clients=8, requests=100)
    assert outcome.failures == []
    assert outcome.answered == 100
    assert outcome.statuses == {("200", 200): 100}
    assert 0 < outcome.latency("200") <= outcome.latency("200", 0.99) < outcome.seconds


def test_a_status_that_was_expected_is_no_failure(server):
    assert run(server, kind("422", 422), requests=3).failures == []


def test_another_status_is_a_failure_and_says_what_came(server):
    outcome = run(server, kind("500"), requests=2)
    assert outcome.failures == ["500: answered 500: b'body'"] * 2


def test_another_body_is_a_failure(server):
    assert len(run(server, kind("200", answer=b"other"), requests=1).failures) == 1
    assert run(server, kind("200", answer=b"body"), requests=1).failures == []


def test_an_answer_that_is_cut_is_a_failure(server):
    outcome = run(server, kind("cut"), requests=2)
    assert outcome.failures == ["cut: the connection ended after 13 bytes of the answer"] * 2


def test_a_connection_that_was_announced_to_end_is_made_anew(server):
    outcome = run(server, kind("close"), kind("200"), clients=4, requests=80)
    assert outcome.failures == []
    assert outcome.answered == 80


def test_who_leaves_half_way_waits_for_nothing(server):
    leaves = Kind("leaves", post("", b"x" * 50, "text/csv").data[:-20], None)
    outcome = run(server, leaves, kind("200"), requests=50)
    assert outcome.failures == []
    assert server.left
    assert set(server.left) == {30}


def test_nobody_listening_is_a_failure_until_the_server_may_leave(server):
    server.shutdown()
    server.server_close()
    assert "cannot connect" in run(server, kind("200"), requests=1).failures[0]
    assert run(server, kind("200"), requests=1, leaving=True).failures == []


def test_the_load_ends_when_its_time_is_over(server):
    outcome = run(server, kind("200"), clients=4, seconds=0.2)
    assert outcome.failures == []
    assert 0.2 <= outcome.seconds < 5


def test_the_same_seed_asks_the_same(server):
    asked = (kind("200", weight=3), kind("422", 422))
    first, second = (run(server, *asked, requests=60, seed=5) for _ in range(2))
    assert first.statuses == second.statuses
    assert first.statuses["200", 200] > first.statuses["422", 422] > 0


def test_the_soak_asks_good_and_bad_requests_of_every_status():
    asked = kinds()
    assert {each.status for each in asked} >= {200, 400, 413, 415, 422, 431, None}
    assert PING.name in {each.name for each in asked}
    assert len({each.name for each in asked}) == len(asked)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"memory_mb": [100.0] * 8 + [130.0] * 4}, "memory grew by 30%"),
        ({"replaced": 0}, "no worker was told to leave"),
        ({"missing": 77}, "no other worker came for 77 within 30 s"),
        ({"exit_status": 1}, "serve left with 1"),
        ({"outcome": Outcome(failures=["csv row: answered 500"])}, "answered 500"),
    ],
)
def test_the_soak_names_what_did_not_hold(changes, words):
    good = {"memory_mb": [80.0, 90.0, 100.0] * 4, "replaced": 2, "exit_status": 0}
    report = Report(**({"outcome": Outcome()} | good | changes))
    faults = report.faults()
    assert (words in faults[0]) if words else faults == []
