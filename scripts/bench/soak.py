#!/usr/bin/env python3
"""Minutes of mixed load on `serve`: good requests, bad ones, workers told to leave, and the end.

What must hold: a good request is answered 200 and right, a bad one with its 4xx; memory is flat;
workers that are told to leave one after the other, and at last the whole server, lose no request
that was sent on an open connection.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np
from draw_glyphs import SEED, draw_many
from local_cloud.docker_cli.prime import environment_of
from PIL import Image

from bench import load, watch
from bench.load import Kind, Load, Outcome, post
from bench.servers import MODEL_CODE, Server

CLIENTS = 64
GROWTH = 1.10  # of memory from the second quarter of the time to its last, at most
REPLACED_S = 30.0  # a worker may drain for 20
ROLLING = 0.25  # of the time, at its end, workers are told to leave one after the other


@dataclass
class Report:
    """What the soak found."""

    outcome: Outcome
    memory_mb: list[float] = field(default_factory=list)  # each second, before workers are told
    replaced: int = 0
    missing: int = 0  # the process id of a worker that was not replaced
    exit_status: int | None = None

    @property
    def growth(self) -> float:
        """Memory at the end over memory once warm."""
        quarter = max(1, len(self.memory_mb) // 4)
        return median(self.memory_mb[-quarter:]) / median(self.memory_mb[quarter : 2 * quarter])

    def faults(self) -> list[str]:
        """Return what did not hold."""
        found = self.outcome.failures[:20]
        if self.growth > GROWTH:
            found.append(f"memory grew by {self.growth - 1:.0%}, at most {GROWTH - 1:.0%} may be")
        if self.replaced == 0:
            found.append("no worker was told to leave")
        if self.missing:
            found.append(f"no other worker came for {self.missing} within {REPLACED_S:.0f} s")
        if self.exit_status != 0:
            found.append(f"serve left with {self.exit_status}")
        return found


def kinds() -> list[Kind]:
    """Return requests of every good and bad sort."""
    images, _ = draw_many(40, np.random.default_rng(SEED))
    rows = [" ".join(map(str, image.ravel())) for image in images]
    csv, several = rows[0].encode(), "\n".join(rows).encode()
    jpeg, png = _file(images[0], "JPEG"), _file(images[1], "PNG")
    large = _file(np.zeros((5000, 4800), np.uint8), "PNG")  # 23 KB, and tenths of a second
    photo = _file(np.random.default_rng(SEED).integers(0, 256, (1800, 1800), np.uint8), "JPEG")
    mixed = [{"image": base64.b64encode(png).decode()}, {"pixels": images[2].ravel().tolist()}]
    instances = json.dumps({"instances": mixed}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (csv[:999], csv[999:]))
    start = f"POST /invocations HTTP/1.1\r\nHost: {load.ADDRESS}\r\nContent-Type: text/csv\r\n"
    head = start.encode()
    return [
        post("csv row", csv, "text/csv", weight=40),
        post("csv, 40 rows", several, "text/csv", weight=1),
        post("jpeg", jpeg, "image/jpeg", weight=15),
        post("png", png, "image/png", weight=5),
        post("large png", large, "image/png", weight=0.1),
        post("jpeg of megabytes", photo, "image/jpeg", weight=0.3),
        post("json", instances, "application/json", weight=5),
        Kind("chunked", head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"),
        Kind(load.PING.name, load.PING.data, weight=5),
        post("pixel over 255", b"300" + csv[csv.index(b" ") :], "text/csv", 422, 2),
        post("too few pixels", b"1 2 3", "text/csv", 400, 2),
        post("no JSON", b"{" * 99, "application/json", 400, 2),
        post("no image", b"\xff\xd8" + b"x" * 500, "image/jpeg", 422, 2),
        post("half an image", jpeg[: len(jpeg) // 2], "image/jpeg", 422, 2),
        post("unknown type", csv, "text/plain", 415, 2),
        post("too many rows", b"1\n" * 2000, "text/csv", 413, 1),
        Kind("too large", head + b"Content-Length: 99999999\r\n\r\n1 2 3", 413),
        Kind("two lengths", head + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        Kind("no HTTP", b"\x00\x01\x02\r\n\r\n", 400),
        Kind("endless head", head + b"A: " + b"a" * 40_000, 431),
        Kind("leaves half way", head + b"Content-Length: 9000\r\n\r\n" + csv[:4000], None),
        Kind("leaves large", head + b"Content-Length: 6000000\r\n\r\n" + b"1 " * 99_999, None),
        Kind("leaves at once", post("", csv, "text/csv").data, None),
    ]


def _file(image: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


def with_answers(port: int, asked: Sequence[Kind]) -> list[Kind]:
    """Return the kinds with the CSV answers that one caller gets, which all must get."""

    def settled(kind: Kind) -> Kind:
        if not kind.name.startswith("csv"):
            return kind
        caller = Load(port, 1, [kind], requests=1)
        caller.run()
        return replace(kind, answer=caller.last_body)

    return list(map(settled, asked))


def soak(server: Server, seconds: float, say: Callable[[str], None] = lambda text: None) -> Report:
    """Run the load against a server that was started, and end the server under it."""
    asked = with_answers(server.port, kinds())
    lasting = Load(server.port, CLIENTS, asked, seconds=seconds * 2)
    report = Report(Outcome())
    watcher = threading.Thread(target=_watch, args=(server, seconds, lasting, report, say))
    watcher.start()
    report.outcome = lasting.run()
    watcher.join()
    report.exit_status = server.stop()
    return report


def _watch(
    server: Server, seconds: float, lasting: Load, report: Report, say: Callable[[str], None]
) -> None:
    """Measure memory; then tell the workers to leave, one after the other; then the server."""
    begun = time.monotonic()
    while (now := time.monotonic() - begun) < seconds * (1 - ROLLING):
        report.memory_mb.append(watch.memory_mb(watch.family(server.pid)))
        if len(report.memory_mb) % 10 == 1:
            say(f"{now:4.0f} s  {report.memory_mb[-1]:.0f} MB")
        time.sleep(1)
    while time.monotonic() - begun < seconds:
        for pid in server.workers():
            if not _replace(server, pid):
                report.missing = pid
                break
            report.replaced += 1
            say(f"{time.monotonic() - begun:4.0f} s  worker {pid} was replaced")
        if report.missing:
            break
    lasting.leaving = True
    time.sleep(0.2)  # who is connecting is connected by now
    server.process.send_signal(signal.SIGTERM)


def _replace(server: Server, pid: int) -> bool:
    """Tell a worker to leave, and say whether another took its place in time."""
    number, deadline = len(server.workers()), time.monotonic() + REPLACED_S
    os.kill(pid, signal.SIGTERM)
    while pid in (now := server.workers()) or len(now) < number:
        if time.monotonic() > deadline or server.process.poll() is not None:
            return False
        time.sleep(0.05)
    time.sleep(2)  # for the new one to load the model
    return True


def told(report: Report) -> str:
    """Return the report as text."""
    outcome = report.outcome
    lines = [
        f"{name:16} {status}  {number:8,d} answers  median {outcome.latency(name) * 1e3:.1f} ms, "
        f"99 % {outcome.latency(name, 0.99) * 1e3:.0f} ms"
        for (name, status), number in sorted(outcome.statuses.items())
    ]
    lines += [
        f"{outcome.answered:,d} answers in {outcome.seconds:.0f} s to {CLIENTS} clients",
        f"memory {report.memory_mb[0]:.0f} MB at first, {report.memory_mb[-1]:.0f} MB at last "
        f"({report.growth - 1:+.1%} since it was warm)",
        f"{report.replaced} workers told to leave and replaced",
        *(f"FAULT {fault}" for fault in report.faults()),
        "nothing failed" if not report.faults() else "",
    ]
    return "\n".join(lines).rstrip()


def main() -> int:
    """Soak what `make train-local` made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ml", type=Path, required=True, help="a folder shaped like /opt/ml")
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    if not (options.ml / "model/model.onnx").is_file():
        parser.error(f"{options.ml}/model holds no model.onnx; run `make train-local` first")
    server = ours(
        str(environment_of(MODEL_CODE / "Dockerfile", "serve", {}) / "bin/python"), options.ml
    )
    server.start()
    report = soak(server, options.minutes * 60, lambda text: print(text, flush=True))
    print(told(report))
    return 1 if report.faults() else 0


def ours(python: str, ml: Path) -> Server:
    """Return this repository's `serve` on a model folder."""
    variables = {"ML_ROOT": str(ml), "SAGEMAKER_BIND_TO_PORT": "{port}"}
    return Server("serve", [python, str(MODEL_CODE / "serve")], variables, ml / "serve.log")


if __name__ == "__main__":
    sys.exit(main())
