"""What AWS's Python runtime does inside a function's process; nothing here knows the local cloud.

Started as `python -I -S bootstrap.py REQUESTS ANSWERS PACKAGES`: two inherited pipes and
the folder of what AWS's runtime brings along (boto3). One JSON line per invocation comes in on the
first pipe, one goes out on the second; stdout and stderr are the function's log.
"""

from __future__ import annotations

import decimal
import importlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, TextIO

Failure = dict[str, Any]
Handler = Callable[[Any, Any], Any]
LOG_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)dZ\t%(aws_request_id)s\t%(message)s\n"


class InitError(Exception):
    """The handler cannot be loaded; `failure` is the answer to every invocation."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure["errorMessage"])
        self.failure = failure


class CognitoIdentity:
    """The caller's Cognito identity; nobody has one here."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """The second argument of a handler."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.aws_request_id = request["request_id"]
        self.invoked_function_arn = request["function_arn"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.client_context = None
        self.identity = CognitoIdentity()
        self._deadline_s: float = request["deadline_s"]

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""
        return max(0, int((self._deadline_s - time.time()) * 1000))


class LogHandler(logging.Handler):
    """The handler that the runtime puts on the root logger."""

    request_id = ""

    def emit(self, record: logging.LogRecord) -> None:
        record.aws_request_id = self.request_id
        sys.stdout.write(self.format(record))


def main() -> None:
    """Load the handler, then answer one line after the other until the pipe ends."""
    pipes = [int(number) for number in sys.argv[1:3]]
    for pipe in pipes:
        os.set_inheritable(pipe, False)
    requests = os.fdopen(pipes[0], encoding="utf-8")
    answers = os.fdopen(pipes[1], "w", encoding="utf-8")
    sys.path[:0] = [os.environ["LAMBDA_TASK_ROOT"], sys.argv[3]]
    sys.argv[1:] = []
    log = log_handler()
    handler: Handler | None = None
    failure: Failure = {}
    try:
        handler = load(os.environ["_HANDLER"])
    except InitError as error:
        failure = error.failure
        print(f"[ERROR] {failure['errorType']}: {failure['errorMessage']}")
        print("Traceback (most recent call last):\n" + "".join(failure["stackTrace"]))
    send(answers, {"ready": handler is not None})
    for line in requests:
        request = json.loads(line)
        log.request_id = request["request_id"]
        os.environ["_X_AMZN_TRACE_ID"] = request["trace_id"]
        send(answers, invoke(handler, request) if handler else {"error": failure})


def log_handler() -> LogHandler:
    """Set up logging as the runtime does, in UTC."""
    handler = LogHandler()
    formatter = logging.Formatter(LOG_FORMAT, "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    return handler


def load(name: str) -> Handler:
    """Import `module.function`; InitError words what is wrong as the runtime does."""
    module_name, _, attribute = name.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        raise InitError(described("Runtime.ImportModuleError", message)) from error
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        raise InitError(described("Runtime.UserCodeSyntaxError", message)) from error
    except Exception as error:
        stack = traceback.extract_tb(error.__traceback__)[1:]
        raise InitError(described(type(error).__name__, str(error), stack)) from error
    if not hasattr(module, attribute):
        message = f"Handler '{attribute}' missing on module '{module_name}'"
        raise InitError(described("Runtime.HandlerNotFound", message))
    found: Handler = getattr(module, attribute)
    return found


def invoke(handler: Handler, request: dict[str, Any]) -> dict[str, Any]:
    """Run the handler; returns {"result": …} or {"error": what an invoker sees}."""
    try:
        result = handler(request["event"], Context(request))
    except Exception as error:
        stack = traceback.extract_tb(error.__traceback__)[1:]
        failure = described(type(error).__name__, str(error), stack)
        print(f"[ERROR] {failure['errorType']}: {failure['errorMessage']}")
        print("Traceback (most recent call last):\n" + "".join(failure["stackTrace"]))
        return {"error": {**failure, "requestId": request["request_id"]}}
    try:
        return {"result": json.loads(json.dumps(result, default=plain, ensure_ascii=False))}
    except (TypeError, ValueError) as error:
        message = f"Unable to marshal response: {error}"
        failure = described("Runtime.MarshalError", message)
        print(f"[ERROR] {failure['errorType']}: {message}")
        return {"error": {**failure, "requestId": request["request_id"]}}


def described(kind: str, message: str, stack: Iterable[traceback.FrameSummary] = ()) -> Failure:
    """Describe a failure as the runtime reports it."""
    lines = traceback.format_list(traceback.StackSummary.from_list(list(stack)))
    return {"errorMessage": message, "errorType": kind, "requestId": "", "stackTrace": lines}


def plain(value: Any) -> Any:
    """Write a Decimal as a number, as the runtime does; nothing else."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def send(answers: TextIO, message: dict[str, Any]) -> None:
    """Write one answer; the log that belongs to it is out before."""
    sys.stdout.flush()
    sys.stderr.flush()
    answers.write(json.dumps(message) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
