"""One JSON line per fact on stdout, with the ids of the work in hand.

Standard library only: the usual Lambda logging toolkits cost more CPU at every cold start than
the whole of what a function does afterwards.
"""

import json
import logging
import os
import sys
import time
from functools import cache
from typing import Any

_ids: dict[str, str] = {}


def bind(**ids: str) -> None:
    """Put these ids, and only these, on every following line."""
    _ids.clear()
    _ids.update(ids)


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "level": record.levelname,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "service": os.environ.get("AWS_LAMBDA_FUNCTION_NAME", record.name),
            "message": record.getMessage(),
        }
        line |= _ids | getattr(record, "facts", {})
        return json.dumps(line, default=str)


class _Stdout(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        sys.stdout.write(self.format(record) + "\n")
        sys.stdout.flush()


@cache
def logger() -> logging.Logger:
    """Return the function's logger; `extra={"facts": {...}}` adds fields to one line."""
    log = logging.getLogger("ethnicity_pred")
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    known = level in logging.getLevelNamesMapping()
    log.setLevel(level if known else "INFO")
    log.propagate = False  # Lambda's own root handler would print every line twice
    handler = _Stdout()
    handler.setFormatter(_JsonLine())
    log.addHandler(handler)
    if not known:
        log.warning("LOG_LEVEL %r is not a level; using INFO", level)
    return log
