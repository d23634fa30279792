"""Lambda functions in processes of their own, with what AWS gives them and nothing more.

ministack runs a function in the server's environment, on the server's packages, in the server's
temporary folder, without a memory limit, as a role that nobody asked whether it trusts Lambda,
and writes its log whether the role may or not. Everything else of Lambda stays ministack's.

Kinder than AWS: the local Python runs every Python runtime, with the local cloud's own boto3, which
AWS's runtime may not have yet, its memory is limited on Linux only,
/var/task can be written to, layers and container images are not run, and a retry of an
asynchronous event comes after seconds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

from local_cloud.errors import ApiError
from local_cloud.lambda_runtime import logs
from local_cloud.lambda_runtime.environment import Environment, Invocation, failed
from local_cloud.strict import functions
from local_cloud.strict import seams as private

logger = logging.getLogger("local_cloud")

PAYLOAD_LIMIT = 6_291_556  # bytes, either way
Record = dict[str, Any]


def install() -> None:
    """Put these environments in the place of ministack's workers."""
    private.LAMBDA_WORKER_CLASS.wrap(lambda _known: lambda config: Environment)
    private.LAMBDA_KILL_WORKERS.wrap(lambda _known: _retire)
    private.LAMBDA_EXECUTE.wrap(lambda _known: execute)
    private.LAMBDA_EMIT_LOGS.wrap(lambda _known: _already_logged)


def execute(func: Record, event: Any, request_id: str) -> Record:
    """Run one invocation in a free environment of the function; returns ministack's record."""
    config = func["config"]
    if not str(config.get("Runtime", "")).startswith("python") or config.get("Layers"):
        kind, message = "Runtime.NotEmulated", "the local cloud runs Python functions of one zip"
        return _record(failed(kind, message))
    private.LAMBDA_START_REAPER()
    version = config.get("Version", "$LATEST")
    environment, _ = private.LAMBDA_LEASE(
        config["FunctionName"], config, func["code_zip"], qualifier=version
    )
    try:
        done = environment.invoke(event, request_id, config["FunctionArn"])
        if len(json.dumps(done.result).encode()) > PAYLOAD_LIMIT:
            done = _too_large(done)
        done.log = logs.publish(environment, request_id, done)
    except ApiError as refused:
        logger.warning("Lambda %s: %s", config["FunctionName"], refused)
        done = failed("AccessDeniedException", functions.CANNOT_ASSUME)
    finally:
        private.LAMBDA_RELEASE(environment)
        if environment.retired:
            environment.end()
    return _record(done)


def _too_large(done: Invocation) -> Invocation:
    message = (
        f"Response payload size exceeded maximum allowed payload size ({PAYLOAD_LIMIT} bytes)."
    )
    failure = failed("Function.ResponseSizeTooLarge", message)
    failure.log = done.log + failure.log
    failure.duration_ms, failure.memory_mb = done.duration_ms, done.memory_mb
    return failure


def _record(done: Invocation) -> Record:
    if done.error is None:
        return {"body": done.result, "log": done.log}
    return {
        "body": done.error,
        "error": True,
        "function_error": "Unhandled",
        "log": done.log,
    }


def _retire(environments: Iterable[Environment | None]) -> None:
    for environment in environments:
        if environment is not None:
            environment.retire()


def _already_logged(*_arguments: object, **_named: object) -> None:
    """`execute` writes the log, for it knows the environment's stream and role."""
