"""The events that CodePipeline sends to EventBridge when something changes its state."""

from __future__ import annotations

from typing import Any

from local_cloud.codepipeline.decisions import Announce
from local_cloud.codepipeline.model import ActionRun


def event(change: Announce, account: str, region: str) -> tuple[str, dict[str, Any], list[str]]:
    """Return detail-type, detail and resources of a state change."""
    execution = change.execution
    detail: dict[str, Any] = {
        "pipeline": execution.pipeline.name,
        "execution-id": execution.id,
        "version": float(execution.pipeline.version),
        "state": change.state,
        "execution-trigger": {
            "trigger-type": execution.trigger.type,
            "trigger-detail": execution.trigger.detail,
        },
    }
    kind = "Pipeline"
    if change.stage is not None:
        kind, detail["stage"] = "Stage", change.stage
    if change.run is not None:
        kind = "Action"
        detail |= _action(change.run, region)
    resource = f"arn:aws:codepipeline:{region}:{account}:{execution.pipeline.name}"
    return f"CodePipeline {kind} Execution State Change", detail, [resource]


def _action(run: ActionRun, region: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if run.external_id:
        result["external-execution-id"] = run.external_id
    if run.failure:
        result |= {
            "external-execution-summary": run.failure.message,
            "error-code": run.failure.code,
        }
    kind = {"owner": "AWS", "category": run.action.category}
    return {
        "action": run.action.name,
        "action-execution-id": run.id,
        "region": region,
        "type": {**kind, "provider": run.action.provider, "version": "1"},
        "input-artifacts": [_artifact(name, run.inputs) for name in run.inputs],
        "output-artifacts": [_artifact(name, run.outputs) for name in run.outputs],
        **({"execution-result": result} if result else {}),
    }


def _artifact(name: str, locations: dict[str, Any]) -> dict[str, Any]:
    place = locations[name]
    return {"name": name, "s3location": {"bucket": place.bucket, "key": place.key}}
