"""A build's log: a file on this machine, and a CloudWatch Logs stream written as the role."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

FLUSH_SECONDS = 1.0
BATCH_EVENTS = 1000


class BuildLog:
    """Lines go to the file at once and to the stream every second."""

    def __init__(self, path: Path, client: Any | None, group: str, stream: str) -> None:
        self._file = path.open("a", buffering=1)
        self._client = client
        self._target = {"logGroupName": group, "logStreamName": stream}
        self._waiting: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._flushed = time.monotonic()

    def open(self) -> None:
        """Make the stream, and its group where that is missing; ClientError if not allowed."""
        if self._client is None:
            return
        try:
            self._client.create_log_stream(**self._target)
        except self._client.exceptions.ResourceNotFoundException:
            self._client.create_log_group(logGroupName=self._target["logGroupName"])
            self._client.create_log_stream(**self._target)

    def write(self, line: str) -> None:
        """Write one line of output."""
        self._file.write(f"{line}\n")
        with self._lock:
            now = int(time.time() * 1000)
            self._waiting.append({"timestamp": now, "message": f"{line}\n"})
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def agent(self, line: str) -> None:
        """Write a line of CodeBuild's own."""
        self.write(f"[Container] {datetime.now(UTC):%Y/%m/%d %H:%M:%S.%f} {line}")

    def flush(self) -> None:
        """Send what waits to CloudWatch Logs; a refusal goes to the file only."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._flushed = time.monotonic()
        if self._client is None:
            return
        for start in range(0, len(waiting), BATCH_EVENTS):
            batch = waiting[start : start + BATCH_EVENTS]
            try:
                self._client.put_log_events(**self._target, logEvents=batch)
            except ClientError as error:
                self._file.write(f"[log] {error}\n")

    def close(self) -> None:
        """Send the rest and close the file."""
        self.flush()
        self._file.close()
