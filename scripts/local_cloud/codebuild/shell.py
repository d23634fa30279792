"""Runs the commands of a build, each in a shell that finds what the one before it left.

As CodeBuild's agent does: variables (all of them, exported or not) and the folder go from one
command to the next through files; functions, options and traps do not. What a command leaves in the
background ends with it.
"""

from __future__ import annotations

import io
import shlex
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from local_cloud.warded import Warded

SCRIPT = """cd "$(cat {folder})" || exit 1
. {variables}
set -a
{command}
CODEBUILD_LAST_EXIT=$?
export -p > {variables}
pwd > {folder}
exit $CODEBUILD_LAST_EXIT
"""


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
        self._scratch = scratch
        self._running: Warded | None = None
        self._interrupted = False
        self._lock = threading.Lock()  # a command is started and can be ended, or never will be
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
        with self._lock:
            if self._interrupted:
                raise Interrupted
            argv = [*self._argv, "-c", script]
            program = Warded(argv, self._base, self._scratch, subprocess.PIPE)
            self._running = program
        try:
            with io.TextIOWrapper(
                program.process.stdout or io.BytesIO(), errors="replace"
            ) as output:
                for line in output:
                    self._write(line.rstrip("\n"))
            status = program.exit_code()
        finally:
            with self._lock:
                self._running = None
            program.kill()
            program.exit_code()
        if self._interrupted:
            raise Interrupted
        return status

    def interrupt(self) -> None:
        """End the command in hand with all that it started; no other one will run."""
        with self._lock:
            self._interrupted = True
            if self._running:
                self._running.kill()

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
