"""One CodePipeline job: read it, run its action, report exactly one ending."""

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from common import artifacts, failures
from common.clients import client, client_as
from common.endings import Done, NotYet
from common.failures import ActionFailed, WrongConfiguration
from common.fields import fill
from common.logs import bind, logger

T = TypeVar("T")
TOKEN_LIMIT = 2_048  # characters of a continuation token
SUMMARY_LIMIT = 2_048
AROUND = 30  # characters on each side of what is no JSON; the rest of UserParameters is not shown


@dataclass(frozen=True)
class Job:
    """What an action may know of its job.

    `action_id` is the id of the job that asked first: CodePipeline gives every continuation a new
    id, so names of things derive from this one. It is the same on a redelivery, new on a retry.
    `state` is what the last NotYet carried.
    """

    id: str
    action_id: str
    first_asked: datetime
    params: Mapping[str, Any] = field(repr=False)
    state: Mapping[str, Any] = field(repr=False)
    _data: Mapping[str, Any] = field(repr=False)

    def parse(self, cls: type[T]) -> T:
        """Return UserParameters as a cls, or raise with every fault in them."""
        return fill(cls, self.params, lambda faults: WrongConfiguration(f"UserParameters {faults}"))

    def input(self, *kinds: str) -> dict[str, Any]:
        """Return the content of the one input artifact, which must be of one of these kinds."""
        given = self._data.get("inputArtifacts", [])
        if len(given) != 1:
            raise WrongConfiguration(f"the action must have one input artifact, has {len(given)}")
        content = artifacts.read(self._store(), given[0])
        if kinds and content.get("kind") not in kinds:
            raise WrongConfiguration(
                f"input artifact {given[0]['name']} is of kind {content.get('kind')!r}; "
                f"this action takes {' or '.join(map(repr, kinds))}"
            )
        return content

    def write_output(self, content: Mapping[str, Any]) -> None:
        """Store content as the action's output artifact, if the action declares one."""
        declared = self._data.get("outputArtifacts", [])
        if len(declared) > 1:
            raise WrongConfiguration(f"the action has {len(declared)} output artifacts, needs one")
        if declared:
            artifacts.write(self._store(), declared[0], content, self._data.get("encryptionKey"))

    def _store(self) -> Any:
        lent = self._data["artifactCredentials"]
        return client_as("s3", lent["accessKeyId"], lent["secretAccessKey"], lent["sessionToken"])


@dataclass(frozen=True)
class _Ending:
    operation: str
    request: dict[str, Any]
    text: str
    level: str = "info"


def run_action(event: Mapping[str, Any], action: Callable[[Job], Done]) -> None:
    """Run the action and report its ending once: done, not yet, or failed with the reason.

    Only when not even a failure can be reported does this raise; Lambda then delivers the event
    again, which does no harm.
    """
    job_id = event["CodePipeline.job"]["id"]
    bind(job_id=job_id)
    secrets = _secrets(event)
    try:
        job = _read(event["CodePipeline.job"])
        bind(job_id=job_id, action_id=job.action_id, **_execution(job.params))
        ending = _run(job, action)
    except Exception as error:
        ending = _failure(job_id, error, secrets)
    _report(job_id, ending, secrets)


def _run(job: Job, action: Callable[[Job], Done]) -> _Ending:
    try:
        done = action(job)
    except NotYet as wait:
        return _continuation(job, wait)
    job.write_output(done.artifact)
    details = {"summary": failures.clipped(done.summary, SUMMARY_LIMIT)}
    if done.external_id:
        details["externalExecutionId"] = done.external_id
    request = {"jobId": job.id, "executionDetails": details}
    if done.variables:
        request["outputVariables"] = dict(done.variables)
    return _Ending("put_job_success_result", request, done.summary)


def _continuation(job: Job, wait: NotYet) -> _Ending:
    token = {"action": job.action_id, "since": job.first_asked.isoformat(), "state": wait.state}
    text = json.dumps(token, separators=(",", ":"))
    if len(text) > TOKEN_LIMIT:
        raise ActionFailed(f"the continuation token has {len(text)} characters, {TOKEN_LIMIT} fit")
    request = {
        "jobId": job.id,
        "continuationToken": text,
        "executionDetails": {"summary": failures.clipped(str(wait), SUMMARY_LIMIT)},
    }
    return _Ending("put_job_success_result", request, str(wait))


def _failure(job_id: str, error: Exception, secrets: list[str]) -> _Ending:
    reason = _without(secrets, failures.reason(error))
    if not isinstance(error, ActionFailed):
        trace = _without(secrets, "".join(traceback.format_exception(error)))
        logger().error("unexpected error", extra={"facts": {"traceback": trace}})
    details = {"type": failures.failure_type(error), "message": reason}
    request = {"jobId": job_id, "failureDetails": details}
    return _Ending("put_job_failure_result", request, reason, "error")


def _report(job_id: str, ending: _Ending, secrets: list[str]) -> None:
    try:
        _put(ending)
    except Exception as error:
        if failures.error_code(error) == "InvalidJobStateException":
            logger().warning("CodePipeline has this job's ending already; nothing to report")
            return
        text = _without(secrets, str(error))
        logger().error("cannot report to CodePipeline", extra={"facts": {"error": text}})
        if ending.operation == "put_job_failure_result":
            raise
        lost = ActionFailed(f"its result could not be reported: {text}; it was: {ending.text}")
        _report(job_id, _failure(job_id, lost, secrets), secrets)


def _put(ending: _Ending) -> None:
    getattr(client("codepipeline"), ending.operation)(**ending.request)
    facts = {"ending": ending.operation, "waiting": "continuationToken" in ending.request}
    getattr(logger(), ending.level)(ending.text, extra={"facts": facts})


def _read(job: Mapping[str, Any]) -> Job:
    data = job["data"]
    token = _token(data.get("continuationToken"))
    return Job(
        id=job["id"],
        action_id=token.get("action", job["id"]),
        first_asked=datetime.fromisoformat(token["since"]) if token else datetime.now(UTC),
        params=_user_parameters(data),
        state=token.get("state", {}),
        _data=data,
    )


def _token(text: str | None) -> dict[str, Any]:
    if not text:
        return {}
    try:
        token = json.loads(text)
        datetime.fromisoformat(token["since"])
        return {"action": str(token["action"]), "since": token["since"], "state": token["state"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ActionFailed("the continuation token is not one of ours; retry the stage") from error


def _user_parameters(data: Mapping[str, Any]) -> dict[str, Any]:
    text = data["actionConfiguration"]["configuration"].get("UserParameters") or "{}"
    try:
        params = json.loads(text)
    except ValueError as error:
        raise WrongConfiguration(_not_json(text, getattr(error, "pos", 0))) from None
    if not isinstance(params, dict):
        raise WrongConfiguration(f"UserParameters is a {type(params).__name__}, not an object")
    return params


def _not_json(text: str, position: int) -> str:
    around = text[max(0, position - AROUND) : position + AROUND]
    return (
        f"UserParameters is not JSON at character {position}: …{around}… (if these are "
        "hyperparameters, correct the stack's parameter HyperParameters)"
    )


def _execution(params: Mapping[str, Any]) -> dict[str, str]:
    execution = params.get("execution_id")
    return {"execution_id": execution} if isinstance(execution, str) else {}


def _secrets(event: Mapping[str, Any]) -> list[str]:
    try:
        lent = event["CodePipeline.job"]["data"]["artifactCredentials"].values()
    except (KeyError, TypeError, AttributeError):
        return []  # a malformed event: the action fails on it and says so
    return [value for value in lent if isinstance(value, str) and len(value) >= 8]


def _without(secrets: list[str], text: str) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
