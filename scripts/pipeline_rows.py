"""What one pipeline execution is doing, as rows of values. Pure; the lab notebook ships it too."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TERMINAL = frozenset({"Succeeded", "Failed", "Stopped", "Superseded", "Cancelled"})
SIGNS = {"Succeeded": "✓", "Failed": "✗", "InProgress": "…"}


@dataclass(frozen=True)
class ActionRow:
    """One action of the pipeline as a reader wants to see it."""

    stage: str
    action: str
    status: str  # '' before it starts
    seconds: float | None
    note: str  # summary or error
    provider: str  # Lambda, CodeBuild, Manual, …
    log_group: str  # '' if the action has none

    @property
    def waits_for_approval(self) -> bool:
        """Say whether the action waits for somebody to decide."""
        return self.provider == "Manual" and self.status == "InProgress"


def action_rows(
    pipeline: dict[str, Any], executions: Iterable[dict[str, Any]], now: datetime.datetime
) -> list[ActionRow]:
    """Merge the pipeline's declaration with the newest execution of each of its actions."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for detail in sorted(executions, key=lambda d: d["startTime"]):
        newest[detail["stageName"], detail["actionName"]] = detail
    return [
        _row(stage["name"], action, newest.get((stage["name"], action["name"])), now)
        for stage in pipeline["stages"]
        for action in sorted(stage["actions"], key=lambda a: a.get("runOrder", 1))
    ]


def _row(
    stage: str, action: dict[str, Any], detail: dict[str, Any] | None, now: datetime.datetime
) -> ActionRow:
    group, provider = log_group(action), action["actionTypeId"]["provider"]
    if detail is None:
        return ActionRow(stage, action["name"], "", None, "", provider, group)
    ended = detail["status"] != "InProgress"
    until = detail["lastUpdateTime"] if ended else now
    result = detail.get("output", {}).get("executionResult", {})
    error = result.get("errorDetails", {}).get("message", "")
    return ActionRow(
        stage,
        action["name"],
        detail["status"],
        (until - detail["startTime"]).total_seconds(),
        error or result.get("externalExecutionSummary", ""),
        provider,
        group,
    )


def approval_token(state: dict[str, Any], stage: str, action: str) -> str | None:
    """Return the token of a waiting approval in GetPipelineState's answer, None if none waits."""
    for stage_state in state["stageStates"]:
        for action_state in stage_state.get("actionStates", []):
            if (stage_state["stageName"], action_state["actionName"]) == (stage, action):
                token: str | None = action_state.get("latestExecution", {}).get("token")
                return token
    return None


def log_group(action: dict[str, Any]) -> str:
    """Return the CloudWatch log group that an action writes to, '' if none."""
    configuration = action.get("configuration", {})
    match action["actionTypeId"]["provider"]:
        case "Lambda":
            return f"/aws/lambda/{configuration['FunctionName']}"
        case "CodeBuild":
            return f"/aws/codebuild/{configuration['ProjectName']}"
        case _:
            return ""
