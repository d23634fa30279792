"""`serve` as SageMaker runs it, over real sockets: answers, errors, signals, workers."""

from __future__ import annotations

import base64
import csv
import http.client
import io
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from containers import (
    MODEL_CODE,
    Images,
    ProcessImages,
    Server,
    children,
    free_port,
    log_of,
    start,
)
from draw_glyphs import NAMES, write_data
from local_cloud import unpacked
from PIL import Image

TEST_DATA = MODEL_CODE.parent / "notebooks/test-data"


@pytest.fixture(scope="module")
def server(images: Images, trained_on_glyphs: Path) -> Iterator[Server]:
    running = Server(images, trained_on_glyphs)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def smoketest(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    folder = tmp_path_factory.mktemp("smoke")
    write_data(folder, 7, {"train": 5, "validation": 5, "smoketest": 40})
    with (folder / "smoketest/smoketest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def eventually(true: Callable[[], object], limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def names(rows: list[dict[str, str]]) -> list[str]:
    return [NAMES[int(row["ethnicity"])] for row in rows]


def right(answer: bytes, rows: list[dict[str, str]]) -> float:
    pairs = zip(answer.decode().splitlines(), names(rows), strict=True)
    return sum(a == b for a, b in pairs) / len(rows)


def test_all_fourteen_test_images_are_recognised(server: Server):
    with (TEST_DATA / "labels.csv").open(newline="") as file:
        labels = {row["file"]: row["label"] for row in csv.DictReader(file)}
    answers = {}
    for name in labels:
        _, _, body = server.invoke((TEST_DATA / name).read_bytes(), "image/jpeg")
        answers[name] = json.loads(body)["predictions"][0]["predict"]
    assert len(labels) == 14
    assert answers == labels


@pytest.mark.parametrize("form", ["spaces", "commas", "label and spaces", "label and commas"])
def test_pixel_rows_give_one_label_a_line(server: Server, smoketest, form):
    rows = [row["pixels"].replace(" ", "," if "commas" in form else " ") for row in smoketest]
    if "label" in form:
        rows = [f"{row['ethnicity']},{pixels}" for row, pixels in zip(smoketest, rows, strict=True)]
    status, kind, body = server.invoke("\n".join(rows).encode(), "text/csv")
    assert (status, kind) == (200, "text/csv")
    assert right(body, smoketest) >= 0.95


def test_json_names_the_model_and_its_version(server: Server, smoketest):
    image = Image.frombytes("L", (48, 48), bytes(map(int, smoketest[0]["pixels"].split())))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    instances = [
        {"image": base64.b64encode(buffer.getvalue()).decode()},
        {"pixels": [int(p) for p in smoketest[0]["pixels"].split()]},
    ]
    body = json.dumps({"instances": instances}).encode()
    status, _, answer = server.invoke(body, "application/json")
    content = json.loads(answer)
    assert status == 200
    assert content["predictions"][0] == content["predictions"][1]
    assert content["model"]["version"] == "glyphs-1"
    assert content["model"]["sensitive"] is False


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"1 2 3", "text/csv", 400),
        (b"{", "application/json", 400),
        (b"1\n" * 2000, "text/csv", 413),
        (b"hello", "text/plain", 415),
        (b"no image", "image/png", 422),
        (b"300" + b" 1" * 2303, "text/csv", 422),
    ],
)
def test_bad_requests_get_their_status_and_a_reason(server: Server, body, content_type, status):
    answered, kind, answer = server.invoke(body, content_type)
    assert (answered, kind) == (status, "application/json")
    assert list(json.loads(answer)) == ["error"]
    assert "Traceback" not in answer.decode()


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(server: Server):
    with socket.create_connection(server.container.address, timeout=10) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
            b"Content-Length: 99999999\r\n\r\n1 2 3"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")


def test_junk_on_the_socket_harms_nobody(server: Server):
    for junk in (
        b"\x00" * 64,
        b"GET\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ):
        with socket.create_connection(server.container.address, timeout=10) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)
    assert server.call("GET", "/ping")[0] == 200


def blank_png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "clients"), [("text/csv", 2), ("image/png", 16)])
def test_ping_is_quick_while_large_requests_run(server: Server, smoketest, kind, clients):
    rows = "\n".join(smoketest[i % 40]["pixels"] for i in range(600)).encode()
    body = rows if kind == "text/csv" else blank_png(4800, 5000)  # 23 KB, 24 million pixels
    busy = [
        threading.Thread(target=server.invoke, args=(body, kind))
        for _ in range(clients * len(server.workers()))
    ]
    for thread in busy:
        thread.start()
    slowest = 0.0
    while any(thread.is_alive() for thread in busy):
        begun = time.monotonic()
        assert server.call("GET", "/ping")[0] == 200
        slowest = max(slowest, time.monotonic() - begun)
    assert slowest < 2  # SageMaker's limit


def test_every_answer_leaves_a_line_with_facts(server: Server, smoketest):
    def lines() -> list[str]:
        return [line for line in log_of(server.root, "serve").splitlines() if '"rows": 37' in line]

    server.invoke("\n".join(row["pixels"] for row in smoketest[:37]).encode(), "text/csv")
    eventually(lambda: len(lines()) == 1)  # they are written a few times a second
    facts = json.loads(lines()[0])
    assert (facts["event"], facts["status"]) == ("invocation", 200)
    assert facts["ms"] > 0
    assert smoketest[0]["pixels"][:40] not in log_of(server.root, "serve")


def test_there_is_a_worker_for_each_cpu(server: Server):
    assert len(server.workers()) == len(os.sched_getaffinity(0))


def test_there_are_as_many_workers_as_asked_for(images: Images, trained_on_glyphs: Path):
    server = Server(images, trained_on_glyphs, {"SAGEMAKER_MODEL_SERVER_WORKERS": "3"})
    try:
        assert len(server.workers()) == 3
    finally:
        server.stop()


def test_a_worker_that_dies_is_replaced(images: Images, trained_on_glyphs: Path):
    server = Server(images, trained_on_glyphs)
    before = server.workers()
    images.kill(server.container, before[0])
    eventually(lambda: set(server.workers()) - set(before))
    server.wait_until_ready()
    assert len(server.workers()) == len(before)
    assert server.stop() == 0


def test_sigterm_answers_what_is_under_way_and_leaves(
    images: Images, trained_on_glyphs: Path, smoketest
):
    server = Server(images, trained_on_glyphs)
    body = "\n".join(smoketest[i % 40]["pixels"] for i in range(600)).encode()
    head = (
        "POST /invocations HTTP/1.1\r\nHost: model\r\nContent-Type: text/csv\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    half = len(body) // 2
    with socket.create_connection(server.container.address, timeout=60) as client:
        client.sendall(head.encode())
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"  # a worker has it
        client.sendall(body[:half])
        server.container.terminate()
        time.sleep(0.5)  # the worker is told meanwhile
        client.sendall(body[half:])
        answer = http.client.HTTPResponse(client)
        answer.begin()
        assert answer.status == 200
        assert len(answer.read().splitlines()) == 600
    assert server.stop() == 0


def test_workers_leave_when_the_supervisor_is_killed(
    processes: ProcessImages, trained_on_glyphs: Path
):
    argv, env, cwd = unpacked.command(processes.image("serve"), ["serve"], trained_on_glyphs)
    port = free_port()
    supervisor = subprocess.Popen(argv, env=env | {"SAGEMAKER_BIND_TO_PORT": str(port)}, cwd=cwd)
    eventually(lambda: children(supervisor.pid))
    workers = children(supervisor.pid)
    supervisor.kill()
    supervisor.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def test_a_port_that_is_taken_is_told(processes: ProcessImages, trained_on_glyphs: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        container = start(processes, ["serve"], trained_on_glyphs, port=port)
        assert container.wait(20) == 1
    assert f"cannot listen on port {port}" in log_of(trained_on_glyphs, "serve")


def test_the_serving_image_has_no_training_framework(images: Images, trained_on_glyphs: Path):
    command = ["python3", "-c", "import torch"]
    container = start(images, command, trained_on_glyphs, target="serve")
    assert container.wait(30) == 1
    assert "No module named 'torch'" in log_of(trained_on_glyphs, "python3")
