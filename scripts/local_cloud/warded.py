"""Programs under a warden: they end with the local cloud, whatever ends it, and leave nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

KILLED = 128 + signal.SIGKILL
WARDEN = Path(__file__).with_name("warden.py")


class Warded:
    """One program in a process group of its own; `process` is its warden and ends when it does."""

    def __init__(
        self,
        argv: Iterable[str],
        env: Mapping[str, str],
        cwd: Path,
        output: IO[bytes] | int,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self._status, theirs = os.pipe()
        self._told = b""
        self._exit_code: int | None = None
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(WARDEN), str(theirs), *argv],
                env=env,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs, *pass_fds),
                process_group=0,
            )
        except BaseException:
            os.close(self._status)
            raise
        finally:
            os.close(theirs)

    @property
    def pid(self) -> int:
        """The program's own process, 0 if it could not be started."""
        while b"\n" not in self._told and (chunk := os.read(self._status, 32)):
            self._told += chunk
        return int(self._told.split()[0]) if self._told else 0

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone, if it is there."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End the program and everything that it started, and wait for it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def exit_code(self) -> int:
        """Wait for the end; return the program's exit code, 128 + n for a signal."""
        if self._exit_code is not None:
            return self._exit_code
        self.process.wait()
        while chunk := os.read(self._status, 32):
            self._told += chunk
        os.close(self._status)
        if self.process.stdin:
            self.process.stdin.close()
        told = self._told.split()
        self._exit_code = int(told[1]) if len(told) > 1 else KILLED
        return self._exit_code
