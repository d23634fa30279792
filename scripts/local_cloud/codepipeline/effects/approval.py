"""The manual approval action: waits for PutApprovalResult, seven days unless it says otherwise."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.background import time_scale
from local_cloud.codepipeline.decisions import new_id
from local_cloud.codepipeline.effects import denied
from local_cloud.codepipeline.model import IN_PROGRESS, ActionRun, Failure, Result
from local_cloud.codepipeline.work import Work
from local_cloud.errors import ApiError

DEFAULT_MINUTES = 7 * 24 * 60


class ManualApproval:
    """Asks by SNS, and takes the answer once."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}  # by the run's id

    def perform(self, work: Work) -> None:
        """Give the run its token and tell the topic, as the role."""
        minutes = work.run.action.timeout_minutes or DEFAULT_MINUTES
        seconds = minutes * 60 * time_scale()
        work.run.expires = work.run.started + seconds
        self._works[work.run.id] = work
        work.run.token = new_id()
        if topic := work.run.configuration.get("NotificationArn"):
            try:
                work.client("sns").publish(
                    TopicArn=topic, Subject=subject(work), Message=json.dumps(message(work))
                )
            except ClientError as error:
                raise denied(work, f"the Amazon SNS topic {topic}", error) from error
        work.reporter.after(seconds, lambda: self._expire(work))

    def abandon(self, run: ActionRun) -> None:
        """Forget the run; its token is void."""
        self._works.pop(run.id, None)

    def answer(self, run: ActionRun | None, request: dict[str, Any], caller: str) -> float:
        """Take PutApprovalResult for the newest run of the action; return when that was."""
        if run is None or run.token != request["token"]:
            raise ApiError("InvalidApprovalTokenException", "The approval token is not valid")
        work = self._works.pop(run.id, None)
        if work is None or run.status != IN_PROGRESS:
            message = "The approval action has already been approved or rejected"
            raise ApiError("ApprovalAlreadyCompletedException", message)
        result = request["result"]
        run.summary, run.updated_by = result["summary"], caller
        if result["status"] == "Approved":
            work.succeed(Result(summary=result["summary"]))
        else:
            work.reporter.failed(run, Failure("JobFailed", f"Rejected by {caller}"))
        return run.updated

    def _expire(self, work: Work) -> None:
        if self._works.pop(work.run.id, None):
            work.fail("JobFailed", "The approval request expired before somebody answered it")


def subject(work: Work) -> str:
    """Return the mail's subject, cut to SNS's limit."""
    pipeline, action = work.execution.pipeline.name, work.run.action.name
    return f"APPROVAL NEEDED: AWS CodePipeline {pipeline} for action {action}"[:100]


def message(work: Work) -> dict[str, Any]:
    """Return what AWS publishes for an approval."""
    run, pipeline = work.run, work.execution.pipeline.name
    console = f"https://console.aws.amazon.com/codepipeline/home?region={work.region}#/view"
    expires = datetime.fromtimestamp(run.expires or 0, UTC).strftime("%Y-%m-%dT%H:%MZ")
    approval = {
        "pipelineName": pipeline,
        "stageName": run.stage,
        "actionName": run.action.name,
        "token": run.token,
        "expires": expires,
        "externalEntityLink": run.configuration.get("ExternalEntityLink"),
        "approvalReviewLink": (
            f"{console}/{pipeline}/{run.stage}/{run.action.name}/approve/{run.token}"
        ),
        "customData": run.configuration.get("CustomData"),
    }
    return {"region": work.region, "consoleLink": f"{console}/{pipeline}", "approval": approval}
