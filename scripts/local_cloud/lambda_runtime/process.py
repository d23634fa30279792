"""One execution environment: a process with a function's own variables, folder and memory limit.

It sees nothing of the server's environment. Between invocations it stands still (SIGSTOP), as AWS
freezes it; over its memory or its time it is killed.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import re
import secrets
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud import identity, state
from local_cloud.lambda_runtime import packages

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
INIT_TIMEOUT_S = 10.0
POLL_S = 0.02  # how often the memory of a running function is looked at
ENVIRONMENT_LIFE_S = 2600.0  # its credentials last an hour, an invocation 15 minutes
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclass
class Invocation:
    """What came of one invocation; `error` is what the invoker sees of a failure."""

    result: Any = None
    error: dict[str, Any] | None = None
    log: str = ""
    status: str = ""  # in the REPORT line: timeout or error
    init_ms: float | None = None  # of a cold start
    duration_ms: float = 0.0
    memory_mb: int = 0


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
        self.popen = subprocess.Popen(
            [sys.executable, "-I", "-S", "-u", str(BOOTSTRAP), *pipes, libraries],
            cwd=task_root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log_in,
            stderr=log_in,
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
                exited = self.popen.poll() is not None
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
            status = Path(f"/proc/{self.popen.pid}/status").read_text()
            if found := PEAK.search(status):
                return -(-int(found[1]) // 1024)
        return 0

    def freeze(self) -> None:
        """Stop it until the next invocation; threads that it left behind stand still, too."""
        self.popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again."""
        self.popen.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Kill it and remove its folder."""
        self.popen.kill()
        self.popen.wait()
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
        code = self.popen.wait()
        if code < 0:
            return f"signal: {signal.strsignal(-code) or -code}".lower()
        return f"exit status {code}"


class Environment:
    """An execution environment as ministack's pool keeps them: started on its first invocation."""

    def __init__(self, func_name: str, config: dict[str, Any], code_zip: bytes) -> None:
        self.config = copy.deepcopy(config)
        self.code_zip = code_zip
        self.in_use = False
        self.last_used = time.time()
        self.retired = False
        self.process: Process | None = None
        self.access_key = ""  # of the role's session
        self.log_stream = ""
        self._loaded = False

    @property
    def log_group(self) -> str:
        """The log group that the function writes to."""
        named: str = self.config.get("LoggingConfig", {}).get("LogGroup", "")
        return named or f"/aws/lambda/{self.config['FunctionName']}"

    def invoke(self, event: Any, request_id: str, function_arn: str) -> Invocation:
        """Run one invocation, starting the process if there is none.

        Raises ApiError if Lambda cannot assume the function's role.
        """
        if self.process and time.monotonic() - self.process.facts.started > ENVIRONMENT_LIFE_S:
            self.end()
        init_ms = None
        if self.process is None:
            started = time.perf_counter()
            failure = self._start()
            init_ms = (time.perf_counter() - started) * 1000
            if failure:
                return failure
        started = time.perf_counter()
        done = self._ask(event, request_id, function_arn)
        done.duration_ms = (time.perf_counter() - started) * 1000
        done.init_ms = init_ms
        return done

    def end(self) -> None:
        """Kill the process; the next invocation starts a new one."""
        process, self.process = self.process, None
        if process:
            process.end()

    def retire(self) -> None:
        """End it now, or once its invocation is over: the pool has dropped it."""
        self.retired = True
        if not self.in_use:
            self.end()

    def _start(self) -> Invocation | None:
        """Start the process and wait until its handler is loaded; an Invocation says why not."""
        name = self.config["FunctionName"]
        session = identity.assume_service_role(self.config["Role"], "lambda.amazonaws.com", name)
        self.access_key = session["aws_access_key_id"]
        version = self.config.get("Version", "$LATEST")
        self.log_stream = f"{time.strftime('%Y/%m/%d')}/[{version}]{secrets.token_hex(16)}"
        try:
            packages.refuse_unreadable(self.code_zip)
        except packages.UnreadableCode as fault:
            module = self.config["Handler"].rpartition(".")[0]
            message = f"Unable to import module '{module}': {fault}"
            return failed("Runtime.ImportModuleError", message)
        facts = Facts(self.config, self.log_group, self.log_stream)
        self.process = Process(facts, self.code_zip, session)
        try:
            ready = self.process.ask(None, max(INIT_TIMEOUT_S, facts.timeout_s))
        except TimeoutError:
            return self._killed("Sandbox.Timedout", f"Init timed out after {INIT_TIMEOUT_S} s")
        if reason := ready.get("ended"):
            return self._killed("Runtime.ExitError", f"Runtime exited with error: {reason}")
        self._loaded = bool(ready["ready"])
        self.process.freeze()
        return None

    def _ask(self, event: Any, request_id: str, function_arn: str) -> Invocation:
        process = self.process
        if process is None:
            raise RuntimeError("an environment is asked before it is started")
        process.thaw()
        timeout_s = process.facts.timeout_s
        request = {
            "event": event,
            "request_id": request_id,
            "function_arn": function_arn,
            "deadline_s": time.time() + timeout_s,
            "trace_id": trace_id(),
        }
        try:
            answer = process.ask(request, timeout_s)
        except TimeoutError:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            message = f"{stamp} {request_id} Task timed out after {timeout_s:.2f} seconds"
            return self._killed("Sandbox.Timedout", message)
        if reason := answer.get("ended"):
            message = f"RequestId: {request_id} Error: Runtime exited with error: {reason}"
            return self._killed("Runtime.ExitError", message)
        done = Invocation(answer.get("result"), answer.get("error"), process.take_log())
        done.memory_mb = process.peak_memory_mb()
        if self._loaded:
            process.freeze()
        else:
            self.end()  # a failed init is tried again
        return done

    def _killed(self, kind: str, message: str) -> Invocation:
        failure = failed(kind, message)
        failure.status = "timeout" if kind == "Sandbox.Timedout" else "error"
        if self.process:
            failure.memory_mb = self.process.peak_memory_mb()
            failure.log = self.process.take_log() + failure.log
        self.end()
        return failure


def failed(kind: str, message: str) -> Invocation:
    """Make the outcome of an invocation that did not come to an answer."""
    return Invocation(error={"errorMessage": message, "errorType": kind}, log=message + "\n")


def trace_id() -> str:
    """Make an X-Ray header of a trace that is not sampled."""
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=0;Lineage=1:{secrets.token_hex(4)}:0"
