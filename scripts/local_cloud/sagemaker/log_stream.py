"""A container's output, line by line: to CloudWatch Logs as the role, and to who reads along."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud.background import spawn
from local_cloud.sagemaker.role_session import RoleSession

logger = logging.getLogger("local_cloud")

INTERVAL_S = 0.25
BATCH = 1000
LINE_LIMIT = 256 * 1024 - 26  # bytes of one CloudWatch log event

OnLines = Callable[[list[tuple[float, str]]], None]


class LogGroup:
    """Writes to one log stream as the role; without permission it says so once and gives up."""

    def __init__(self, session: RoleSession, group: str, stream: str) -> None:
        self.session = session
        self.group = group
        self.stream = stream
        self._open = False
        self._given_up = False

    def write(self, lines: list[tuple[float, str]]) -> None:
        """Put (epoch seconds, line) pairs, oldest first."""
        try:
            for start in range(0, len(lines), BATCH):
                self._put(lines[start : start + BATCH])
        except (ClientError, BotoCoreError) as error:
            self._given_up = True
            logger.warning("no logs in %s/%s: %s", self.group, self.stream, error)

    def _put(self, lines: list[tuple[float, str]]) -> None:
        events = [
            {"timestamp": int(at * 1000), "message": line[:LINE_LIMIT]}
            for at, line in lines
            if line
        ]
        if self._given_up or not events:
            return
        logs = self.session.client("logs")
        if not self._open:
            self._create(logs)
            self._open = True
        logs.put_log_events(logGroupName=self.group, logStreamName=self.stream, logEvents=events)

    def _create(self, logs: Any) -> None:
        names = {"logGroupName": self.group, "logStreamName": self.stream}
        try:
            logs.create_log_stream(**names)
        except logs.exceptions.ResourceNotFoundException:
            logs.create_log_group(logGroupName=self.group)
            logs.create_log_stream(**names)


class LogFollower:
    """Follows a growing log file in a thread of its own until told that its writer has ended."""

    def __init__(self, path: Path, on_lines: OnLines) -> None:
        self.path = path
        self._on_lines = on_lines
        self._ended = threading.Event()
        self._thread = spawn(f"log {path.name}", self._follow)

    def finish(self) -> None:
        """Read what is left, the last line even without its end, and stop."""
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        rest, position = b"", 0
        while True:
            ended = self._ended.wait(INTERVAL_S)
            rest, position = self._read(rest, position)
            if ended:
                if rest:
                    self._deliver([rest])
                return

    def _read(self, rest: bytes, position: int) -> tuple[bytes, int]:
        if not self.path.exists():
            return rest, position
        with self.path.open("rb") as file:
            file.seek(position)
            fresh = file.read()
        *lines, rest = (rest + fresh).split(b"\n")
        if lines:
            self._deliver(lines)
        return rest, position + len(fresh)

    def _deliver(self, lines: list[bytes]) -> None:
        now = time.time()
        try:
            self._on_lines([(now, line.decode(errors="replace").rstrip("\r")) for line in lines])
        except Exception:
            logger.exception("the reader of %s failed", self.path)
