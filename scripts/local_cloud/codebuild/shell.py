"""Runs the commands of a build, each in a shell that finds what the one before it left.

As CodeBuild's agent does: variables (all of them, exported or not) and the folder go from one
command to the next through files; functions, options and traps do not.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

SCRIPT = """cd "$(cat {folder})" || exit 1
. {variables}
set -a
{command}
CODEBUILD_LAST_EXIT=$?
export -p > {variables}
pwd > {folder}
exit $CODEBUILD_LAST_EXIT
"""
_running: set[int] = set()  # process groups


class Interrupted(Exception):
    """The build was stopped, or its time is over."""


class Shell:
    """The shell of one build; `write` receives every line of output."""

    def __init__(
        self,
        scratch: Path,
        source: Path,
        variables: dict[str, str],
        write: Callable[[str], None],
        posix: bool = True,
    ) -> None:
        self._folder = scratch / "dir.txt"
        self._variables = scratch / "env.sh"
        self._write = write
        self._argv = ["bash", "--posix"] if posix else ["bash"]
        self._base = {name: variables[name] for name in ("PATH", "HOME", "LANG")}
        self._process: subprocess.Popen[str] | None = None
        self._interrupted = threading.Event()
        self._starting = threading.Lock()  # a command either was started or never will be
        self._folder.write_text(f"{source}\n")
        self._variables.write_text(
            "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        )

    def run(self, command: str) -> int:
        """Run one command and return its exit status; Interrupted if `interrupt` was called."""
        script = SCRIPT.format(
            folder=shlex.quote(str(self._folder)),
            variables=shlex.quote(str(self._variables)),
            command=command,
        )
        with self._starting:
            if self._interrupted.is_set():
                raise Interrupted
            process = subprocess.Popen(
                [*self._argv, "-c", script],
                env=self._base,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                process_group=0,
            )
            self._process = process
            _running.add(process.pid)
        try:
            for line in process.stdout or ():
                self._write(line.rstrip("\n"))
            status = process.wait()
        finally:
            _kill(process.pid)
            _running.discard(process.pid)
        if self._interrupted.is_set():
            raise Interrupted
        return status

    def interrupt(self) -> None:
        """End the command in hand with all that it started; no other one will run."""
        with self._starting:
            self._interrupted.set()
        if self._process and self._process.poll() is None:
            _kill(self._process.pid)

    def variables(self) -> dict[str, str]:
        """Return the variables as the last command left them."""
        script = f". {shlex.quote(str(self._variables))}; env -0"
        done = subprocess.run(
            [*self._argv, "-c", script], env=self._base, capture_output=True, text=True, check=True
        )
        pairs = (entry.partition("=") for entry in done.stdout.split("\0") if entry)
        return {name: value for name, _, value in pairs}

    def set(self, name: str, value: str) -> None:
        """Set a variable for the commands to come."""
        with self._variables.open("a") as variables:
            variables.write(f"export {name}={shlex.quote(value)}\n")


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


@atexit.register
def _kill_all() -> None:
    """Leave no command of a build behind: they are in process groups of their own."""
    for group in list(_running):
        _kill(group)
