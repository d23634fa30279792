"""The log of `serve`: JSON lines on standard output."""

import json
import logging
import os
import sys
import time
from dataclasses import dataclass
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


@dataclass(slots=True)
class Note:
    """Facts about an answer, never what is in the image."""

    status: int
    content_type: str
    rows: int
    seconds: float
    error: str
    time: float

    def line(self, pid: int) -> str:
        level = "INFO" if self.status < 500 else "ERROR"
        end = f', "error": {json.dumps(self.error)}}}' if self.error else "}"
        return (
            f'{{"time": {self.time:.3f}, "level": "{level}", "pid": {pid}, '
            f'"event": "invocation", "status": {self.status}, '
            f'"content_type": {json.dumps(self.content_type[:40])}, '
            f'"rows": {self.rows}, "ms": {self.seconds * 1000:.2f}{end}\n'
        )


class Journal:
    """A line for each answer, written a few times a second.

    So it costs 5 us of CPU; formatted and written by itself by `logging`, it would cost 40, a
    fifth of what the answer does.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream, self.pid = stream or sys.stdout, os.getpid()
        self.notes: list[Note] = []

    def note(
        self, status: int, content_type: str, rows: int, seconds: float, error: str = ""
    ) -> None:
        self.notes.append(Note(status, content_type, rows, seconds, error, time.time()))

    def flush(self) -> None:
        notes, self.notes = self.notes, []
        if notes:
            self.stream.write("".join([note.line(self.pid) for note in notes]))
            self.stream.flush()
