"""The joint between the engine and what actions really do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from local_cloud import identity
from local_cloud.codepipeline.model import ActionRun, Execution, Failure, Result

SERVICE = "codepipeline.amazonaws.com"
SESSION_SECONDS = 1800


Cancel = Callable[[], None]


class ActionFailed(Exception):
    """An action failed; code and message go to errorDetails."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(code, message)


class Reporter(Protocol):
    """How an action tells the engine of its end; the first end counts."""

    def succeeded(self, run: ActionRun, result: Result) -> None:
        """Report success."""
        ...

    def failed(self, run: ActionRun, failure: Failure) -> None:
        """Report failure."""
        ...

    def after(self, seconds: float, call: Callable[[], None]) -> Cancel:
        """Call something later, in a thread of its own; returns how to call that off."""
        ...


@dataclass(frozen=True)
class Work:
    """An action to perform: its run, its execution, and whom to report to."""

    run: ActionRun
    execution: Execution
    account: str
    region: str
    reporter: Reporter
    _session: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def open_session(self, policy: dict[str, Any] | None = None) -> dict[str, str]:
        """Open a session of the role, narrowed by a session policy if one is given.

        An action's own role is assumed by the pipeline's role, as on AWS: it has to trust that
        role, which needs sts:AssumeRole.
        """
        name = self.run.id.replace("-", "")[:32]
        role, pipeline_role = self.run.action.role_arn, self.execution.pipeline.role_arn
        if role is None:
            return identity.assume_service_role(pipeline_role, SERVICE, name, policy)
        own = identity.assume_service_role(pipeline_role, SERVICE, name)
        narrowed = {"Policy": json.dumps(policy)} if policy else {}
        answer = identity.client("sts", own, self.region).assume_role(
            RoleArn=role, RoleSessionName=name, **narrowed
        )["Credentials"]
        return {
            "aws_access_key_id": answer["AccessKeyId"],
            "aws_secret_access_key": answer["SecretAccessKey"],
            "aws_session_token": answer["SessionToken"],
        }

    def credentials(self) -> dict[str, str]:
        """Return a session of the role, the same one for half an hour."""
        if self._session.get("until", 0) < time.time():
            self._session.update(self.open_session())
            self._session["until"] = time.time() + SESSION_SECONDS
        return {name: value for name, value in self._session.items() if name != "until"}

    def client(self, service: str) -> Any:
        """Make a boto3 client that acts as the role."""
        return identity.client(service, self.credentials(), self.region)

    def fail(self, code: str, message: str) -> None:
        """Report failure."""
        self.reporter.failed(self.run, Failure(code, message))

    def succeed(self, result: Result) -> None:
        """Report success."""
        self.reporter.succeeded(self.run, result)


class Effect(Protocol):
    """What an action of one provider really does."""

    def perform(self, work: Work) -> None:
        """Do it, or begin to; raise ActionFailed, or report to `work` now or later."""
        ...

    def abandon(self, run: ActionRun) -> None:
        """Stop caring for a run that perform began."""
        ...
