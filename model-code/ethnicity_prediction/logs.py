"""The log of `serve`: JSON lines on standard output."""

import functools
import json
import logging
import os
import sys
import time
from typing import TextIO


def configure() -> None:
    """JSON lines; a message is a text or a dict of facts."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = record.msg if isinstance(record.msg, dict) else {"message": record.getMessage()}
        line = {"time": round(record.created, 3), "level": record.levelname, "pid": record.process}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line | facts)


class Journal:
    """One line for each answer, written a few times a second.

    A line costs 3 us so; formatted by `logging` and written by itself it costs 40, a fifth of
    what the answer does.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream, self.pid = stream or sys.stdout, os.getpid()
        self.lines: list[str] = []

    def note(
        self, status: int, content_type: str, rows: int, seconds: float, error: str = ""
    ) -> None:
        """Facts about an answer, never what is in the image."""
        level = "INFO" if status < 500 else "ERROR"
        end = f', "error": {json.dumps(error)}}}' if error else "}"
        self.lines.append(
            f'{{"time": {time.time():.3f}, "level": "{level}", "pid": {self.pid}, '
            f'"event": "invocation", "status": {status}, '
            f'"content_type": {_quoted(content_type[:40])}, '
            f'"rows": {rows}, "ms": {seconds * 1000:.2f}{end}\n'
        )

    def flush(self) -> None:
        lines, self.lines = self.lines, []
        if lines:
            self.stream.write("".join(lines))
            self.stream.flush()


@functools.lru_cache(maxsize=64)
def _quoted(text: str) -> str:
    return json.dumps(text)
