"""One execution environment of a function, as ministack's pool keeps and lends them.

It sees nothing of the server's environment. Between invocations it stands still, as AWS freezes
it; over its memory or its time it is killed, and the next invocation starts another.
"""

from __future__ import annotations

import copy
import secrets
import time
from dataclasses import dataclass
from typing import Any

from local_cloud import identity
from local_cloud.lambda_runtime import packages
from local_cloud.lambda_runtime.process import Facts, Process

INIT_TIMEOUT_S = 10.0
ENVIRONMENT_LIFE_S = 2600.0  # its credentials last an hour, an invocation 15 minutes


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


class Environment:
    """A place for one invocation at a time; its process starts with the first."""

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
