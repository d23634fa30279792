"""State → answers: what GetPipelineState and its like say, in botocore's shapes."""

from __future__ import annotations

from typing import Any

from local_cloud.codepipeline.engine import Engine
from local_cloud.codepipeline.model import (
    IN_PROGRESS,
    ActionRun,
    Execution,
    Location,
    Revision,
    StageState,
)


def pipeline_state(engine: Engine, created: float, updated: float) -> dict[str, Any]:
    """Answer GetPipelineState."""
    return {
        "pipelineName": engine.pipeline.name,
        "pipelineVersion": engine.pipeline.version,
        "created": created,
        "updated": updated,
        "stageStates": [
            _stage_state(engine, number) for number in range(len(engine.pipeline.stages))
        ],
    }


def execution(record: Execution) -> dict[str, Any]:
    """Answer GetPipelineExecution."""
    return {
        "pipelineName": record.pipeline.name,
        "pipelineVersion": record.pipeline.version,
        "pipelineExecutionId": record.id,
        "status": record.status,
        **({"statusSummary": s} if (s := record.status_summary) else {}),
        "artifactRevisions": [_artifact_revision(r) for r in record.revisions.values()],
        **_variables(record),
        **_trigger(record),
        "executionMode": record.pipeline.mode,
        "executionType": "STANDARD",
    }


def execution_summary(record: Execution) -> dict[str, Any]:
    """Answer one line of ListPipelineExecutions."""
    actions = {run.action.outputs[0]: run for run in record.runs if run.action.category == "Source"}
    sources = [
        {
            "actionName": actions[revision.artifact].action.name,
            "revisionId": revision.id,
            "revisionSummary": revision.summary,
        }
        for revision in record.revisions.values()
    ]
    stopped = {"stopTrigger": {"reason": r}} if (r := record.status_summary) else {}
    return {
        "pipelineExecutionId": record.id,
        "status": record.status,
        "startTime": record.started,
        "lastUpdateTime": record.updated,
        "sourceRevisions": sources,
        **_trigger(record),
        **stopped,
        "executionMode": record.pipeline.mode,
        "executionType": "STANDARD",
    }


def action_detail(record: Execution, run: ActionRun, region: str) -> dict[str, Any]:
    """Answer one line of ListActionExecutions."""
    kind = {"owner": "AWS", "category": run.action.category, "provider": run.action.provider}
    external = {
        "externalExecutionId": run.external_id,
        "externalExecutionSummary": run.failure.message if run.failure else run.summary,
        "externalExecutionUrl": run.external_url,
        "errorDetails": _failure(run),
    }
    return {
        "pipelineExecutionId": record.id,
        "actionExecutionId": run.id,
        "pipelineVersion": record.pipeline.version,
        "stageName": run.stage,
        "actionName": run.action.name,
        "startTime": run.started,
        "lastUpdateTime": run.updated,
        "status": run.status,
        **({"updatedBy": run.updated_by} if run.updated_by else {}),
        "input": {
            "actionTypeId": {**kind, "version": "1"},
            "configuration": dict(run.action.configuration),
            "resolvedConfiguration": run.configuration,
            **({"roleArn": run.action.role_arn} if run.action.role_arn else {}),
            "region": region,
            "inputArtifacts": _artifacts(run.inputs),
            **({"namespace": run.action.namespace} if run.action.namespace else {}),
        },
        "output": {
            "outputArtifacts": _artifacts(run.outputs) if run.status == "Succeeded" else [],
            "executionResult": {name: value for name, value in external.items() if value},
            "outputVariables": run.variables,
        },
    }


def _stage_state(engine: Engine, number: int) -> dict[str, Any]:
    stage = engine.pipeline.stages[number]
    state = engine.stages.get(stage.name, StageState())
    answer: dict[str, Any] = {"stageName": stage.name}
    if number:
        transition = {
            "enabled": state.enabled,
            "disabledReason": state.reason,
            "lastChangedBy": state.changed_by,
            "lastChangedAt": state.changed_at,
        }
        answer["inboundTransitionState"] = {k: v for k, v in transition.items() if v is not None}
    if state.waiting:
        waiting = [{"pipelineExecutionId": w, "status": IN_PROGRESS} for w in state.waiting]
        answer |= {"inboundExecution": waiting[0], "inboundExecutions": waiting}
    if state.latest:
        stage_run = engine.executions[state.latest].stages[stage.name]
        answer["latestExecution"] = {
            "pipelineExecutionId": state.latest,
            "status": stage_run.status,
            "type": "STANDARD",
        }
    answer["actionStates"] = [
        _action_state(action.name, state.last_runs.get(action.name)) for action in stage.actions
    ]
    return answer


def _action_state(name: str, run: ActionRun | None) -> dict[str, Any]:
    if run is None:
        return {"actionName": name}
    latest = {
        "actionExecutionId": run.id,
        "status": run.status,
        "summary": run.summary,
        "lastStatusChange": run.updated,
        "token": run.token if run.status == IN_PROGRESS else None,
        "lastUpdatedBy": run.updated_by,
        "externalExecutionId": run.external_id,
        "externalExecutionUrl": run.external_url,
        "percentComplete": run.percent,
        "errorDetails": _failure(run),
    }
    state: dict[str, Any] = {"actionName": name}
    if run.revision:
        made = {"revisionChangeId": run.revision.id, "created": run.revision.created}
        state["currentRevision"] = {"revisionId": run.revision.id, **made}
    state["latestExecution"] = {k: v for k, v in latest.items() if v is not None}
    return state


def _failure(run: ActionRun) -> dict[str, str] | None:
    return {"code": run.failure.code, "message": run.failure.message} if run.failure else None


def _artifacts(locations: dict[str, Location]) -> list[dict[str, Any]]:
    return [
        {"name": name, "s3location": {"bucket": place.bucket, "key": place.key}}
        for name, place in locations.items()
    ]


def _artifact_revision(revision: Revision) -> dict[str, Any]:
    return {
        "name": revision.artifact,
        "revisionId": revision.id,
        "revisionChangeIdentifier": revision.id,
        "revisionSummary": revision.summary,
        "created": revision.created,
    }


def _variables(record: Execution) -> dict[str, Any]:
    resolved = [{"name": n, "resolvedValue": v} for n, v in record.variables.items()]
    return {"variables": resolved} if resolved else {}


def _trigger(record: Execution) -> dict[str, Any]:
    trigger = {"triggerType": record.trigger.type, "triggerDetail": record.trigger.detail}
    return {"trigger": trigger}
