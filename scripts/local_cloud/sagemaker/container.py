"""What every engine's containers have in common, and those of the process engine.

A container of the process engine is a program under a warden, ended as `docker stop` would.
"""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from local_cloud.warded import Warded

AT_EXIT_GRACE_S = 5.0

_running: set[Container] = set()
_lock = threading.Lock()


class Container(ABC):
    """One program that runs by itself, its output in a log file."""

    def __init__(self, process: subprocess.Popen[Any], log: Path) -> None:
        self.log = log
        self.address = ("", 0)  # host and port at which it answers, if it serves
        self._process = process  # ends when the program does
        self._exit_code: int | None = None
        self._reading = threading.Lock()
        with _lock:
            _running.add(self)

    @abstractmethod
    def terminate(self) -> None:
        """Send SIGTERM to the program."""

    @abstractmethod
    def kill(self) -> None:
        """End the program and everything that it started."""

    @abstractmethod
    def _clear_away(self) -> int:
        """Free what the ended program used; return its exit code."""

    def poll(self) -> int | None:
        """Return the program's exit code (128 + n for a signal), None while it runs."""
        if self._exit_code is None and self._process.poll() is not None:
            self._collect()
        return self._exit_code

    def wait(self, timeout_s: float) -> int | None:
        """Wait for the program's end; None if it still runs after the timeout."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.poll()

    def stop(self, grace_s: float) -> int:
        """Send SIGTERM, wait, send SIGKILL; return the exit code."""
        self.terminate()
        if self.wait(grace_s) is None:
            self.kill()
        return self.poll() or 0

    def _collect(self) -> None:
        with self._reading:
            if self._exit_code is None:
                self._exit_code = self._clear_away()
        with _lock:
            _running.discard(self)


class ProcessContainer(Container):
    """A program in a process group of its own, under a warden."""

    def __init__(self, argv: list[str], env: dict[str, str], cwd: Path, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._program = Warded(argv, env, cwd, output)
        super().__init__(self._program.process, log)

    def terminate(self) -> None:
        """Send SIGTERM to the program."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """End the program and everything that it started."""
        if self.poll() is None:
            self._program.kill()
            self._collect()

    def _clear_away(self) -> int:
        return self._program.exit_code()


def stop_all(grace_s: float = AT_EXIT_GRACE_S) -> None:
    """End every container; each has the same grace, at the same time."""
    with _lock:
        left = list(_running)
    for container in left:
        container.terminate()
    deadline = time.monotonic() + grace_s
    for container in left:
        container.wait(max(0.0, deadline - time.monotonic()))
        container.kill()


atexit.register(stop_all)
