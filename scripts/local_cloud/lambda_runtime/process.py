"""The process of an execution environment: own variables, own folder, a limit to its memory."""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud import identity, state
from local_cloud.lambda_runtime import packages
from local_cloud.warded import Warded

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
SIGNALLED = 128  # an exit code above it tells a signal
POLL_S = 0.02  # how often the memory of a running function is looked at
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclass
class Facts:
    """What the process is told about itself."""

    config: dict[str, Any]
    log_group: str
    log_stream: str
    started: float = field(default_factory=time.monotonic)

    @property
    def timeout_s(self) -> float:
        """The function's own time limit."""
        return float(self.config["Timeout"])

    @property
    def memory_mb(self) -> int:
        """The function's memory limit."""
        return int(self.config["MemorySize"])

    def variables(self, task_root: Path, scratch: Path, region: str) -> dict[str, str]:
        """Return what AWS puts into every function's environment, credentials aside."""
        return {
            "_HANDLER": self.config["Handler"],
            "AWS_DEFAULT_REGION": region,
            "AWS_REGION": region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{self.config['Runtime']}",
            "AWS_LAMBDA_FUNCTION_NAME": self.config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": self.config.get("Version", "$LATEST"),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": self.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
            "LAMBDA_TASK_ROOT": str(task_root),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "AWS_ENDPOINT_URL": identity.endpoint_url(),
        }


class Process:
    """A started process and its three pipes: requests in, answers and log out."""

    def __init__(self, facts: Facts, code_zip: bytes, credentials: dict[str, str]) -> None:
        self.facts = facts
        self.scratch = Path(tempfile.mkdtemp(dir=state.folder("lambda", "tmp")))
        task_root = packages.task_root(facts.config["CodeSha256"], code_zip)
        region = facts.config["FunctionArn"].split(":")[3]
        environment = (
            facts.variables(task_root, self.scratch, region)
            | {key.upper(): value for key, value in credentials.items()}
            | facts.config.get("Environment", {}).get("Variables", {})
        )
        requests_out, self._requests = os.pipe()
        self._answers, answers_in = os.pipe()
        self._log, log_in = os.pipe()
        pipes = [str(requests_out), str(answers_in)]
        libraries = str(packages.runtime_packages())
        self._program = Warded(
            [sys.executable, "-I", "-S", "-u", str(BOOTSTRAP), *pipes, libraries],
            environment,
            task_root,
            log_in,
            pass_fds=(requests_out, answers_in),
        )
        for inherited in (requests_out, answers_in, log_in):
            os.close(inherited)
        os.set_blocking(self._log, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)
        self._selector.register(self._log, selectors.EVENT_READ)
        self._logged = bytearray()
        self._answered = bytearray()

    def ask(self, request: dict[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        """Send a request (or none) and return its answer, or {"ended": why} of a dead process."""
        deadline = time.monotonic() + timeout_s
        try:
            if request is not None:
                self._write(json.dumps(request).encode() + b"\n", deadline)
            while b"\n" not in self._answered:
                if time.monotonic() > deadline:
                    raise TimeoutError
                if self._over_memory():
                    return {"ended": "signal: killed"}
                exited = self._program.process.poll() is not None
                if self._read(0 if exited else POLL_S) == "closed" or exited:
                    return {"ended": self._exit_reason()}
        except BrokenPipeError:
            return {"ended": self._exit_reason()}
        line, _, rest = bytes(self._answered).partition(b"\n")
        self._answered = bytearray(rest)
        answer: dict[str, Any] = json.loads(line)
        return {"ended": "signal: killed"} if self._over_memory() else answer

    def take_log(self) -> str:
        """Return what was logged since the last call."""
        self._drain_log()
        text, self._logged = self._logged.decode(errors="replace"), bytearray()
        return text

    def peak_memory_mb(self) -> int:
        """Return the most memory it has held so far; 0 where the system does not tell."""
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self._program.pid}/status").read_text()
            if found := PEAK.search(status):
                return -(-int(found[1]) // 1024)
        return 0

    def freeze(self) -> None:
        """Stop it until the next invocation; threads that it left behind stand still, too."""
        self._program.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        self._program.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Kill it with all that it started, and remove its folder."""
        self._program.kill()
        self._program.exit_code()
        self._selector.close()
        for pipe in (self._requests, self._answers, self._log):
            with contextlib.suppress(OSError):
                os.close(pipe)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _write(self, data: bytes, deadline: float) -> None:
        """Write without waiting for a process that logs instead of reading."""
        os.set_blocking(self._requests, False)
        while data:
            try:
                data = data[os.write(self._requests, data) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError from None
                self._read(POLL_S)

    def _read(self, wait_s: float) -> str:
        """Take in what has come on both pipes; "closed" once the answers have ended."""
        for key, _ in self._selector.select(wait_s):
            if key.fd == self._log:
                self._drain_log()
            elif chunk := os.read(self._answers, 1 << 16):
                self._answered += chunk
            else:
                return "closed"
        return "open"

    def _drain_log(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            while chunk := os.read(self._log, 1 << 16):
                self._logged += chunk

    def _over_memory(self) -> bool:
        return self.peak_memory_mb() > self.facts.memory_mb

    def _exit_reason(self) -> str:
        """Word how it ended, as AWS does."""
        code = self._program.exit_code()
        if code > SIGNALLED:
            return f"signal: {signal.strsignal(code - SIGNALLED) or code - SIGNALLED}".lower()
        return f"exit status {code}"
