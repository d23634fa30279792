"""A function's log in CloudWatch Logs, written with the rights of its role or not at all."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from local_cloud import seams
from local_cloud.lambda_runtime.environment import Environment, Invocation
from local_cloud.strict import seams as private

logger = logging.getLogger("local_cloud")


def publish(environment: Environment, request_id: str, done: Invocation) -> str:
    """Write the log of one invocation if the role may, and return it with the platform's lines."""
    lines = list(_lines(environment, request_id, done))
    if refused := _refusal(environment):
        name = environment.config["FunctionName"]
        logger.warning("Lambda %s: no log, as on AWS: %s", name, refused)
    else:
        private.append_log(environment.log_group, environment.log_stream, lines)
    return "\n".join(lines) + "\n"


def _refusal(environment: Environment) -> str | None:
    """Say which right the role lacks to write its log; None if it may."""
    account, region = seams.account_and_region()
    group = f"arn:aws:logs:{region}:{account}:log-group:{environment.log_group}"
    stream = f"{group}:log-stream:{environment.log_stream}"
    needs = [("logs:CreateLogStream", stream), ("logs:PutLogEvents", stream)]
    if not private.log_group_exists(environment.log_group):
        needs.insert(0, ("logs:CreateLogGroup", f"{group}:log-stream:"))
    for action, arn in needs:
        if refused := private.denial_as(environment.access_key, action, arn):
            return refused[1]
    return None


def _lines(environment: Environment, request_id: str, done: Invocation) -> Iterator[str]:
    if done.init_ms is not None:
        yield f"INIT_START Runtime Version: {environment.config['Runtime']}"
    version = environment.config.get("Version", "$LATEST")
    yield f"START RequestId: {request_id} Version: {version}"
    yield from done.log.splitlines()
    yield f"END RequestId: {request_id}"
    facts = {
        "Duration": f"{done.duration_ms:.2f} ms",
        "Billed Duration": f"{int(done.duration_ms) + 1} ms",
        "Memory Size": f"{environment.config['MemorySize']} MB",
        "Max Memory Used": f"{done.memory_mb} MB",
        **({"Init Duration": f"{done.init_ms:.2f} ms"} if done.init_ms is not None else {}),
        **({"Status": done.status} if done.status else {}),
    }
    told = "\t".join(f"{key}: {value}" for key, value in facts.items())
    yield f"REPORT RequestId: {request_id}\t{told}"
