"""The API of CodePipeline: one method for each operation."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from local_cloud import seams
from local_cloud.codebuild.service import CodeBuild
from local_cloud.codecommit import CodeCommit
from local_cloud.codepipeline import views
from local_cloud.codepipeline.conductor import Conductor
from local_cloud.codepipeline.declaration import parse
from local_cloud.codepipeline.effects.approval import ManualApproval
from local_cloud.codepipeline.effects.build import CodeBuildBuild
from local_cloud.codepipeline.effects.invoke import LambdaInvoke
from local_cloud.codepipeline.effects.source import CodeCommitSource
from local_cloud.codepipeline.engine import Engine
from local_cloud.codepipeline.model import Trigger
from local_cloud.codepipeline.resource import PipelineResource
from local_cloud.codepipeline.rules import RuleTarget
from local_cloud.codepipeline.wire import completed, page, source_overrides
from local_cloud.codepipeline.work import SERVICE, Effect
from local_cloud.errors import ApiError
from local_cloud.members import members, refuse_unhonoured
from local_cloud.service import Call, JsonService, Need

START = members(
    "name", "variables", "clientRequestToken",
    sourceRevisions=members("actionName", "revisionType", "revisionValue"),
)  # fmt: skip


@dataclass
class Record:
    """A pipeline: its declaration as AWS answers it, and its executions."""

    declaration: dict[str, Any]
    conductor: Conductor
    created: float
    updated: float

    @property
    def engine(self) -> Engine:
        """The state machine; call it under the conductor's lock."""
        return self.conductor.engine


class CodePipeline(JsonService):
    """The API of CodePipeline."""

    name: ClassVar[str] = "codepipeline"

    def __init__(self, codecommit: CodeCommit, codebuild: CodeBuild) -> None:
        super().__init__()
        self.records: dict[str, Record] = {}
        self.lambdas = LambdaInvoke()
        self.approvals = ManualApproval()
        self.effects: dict[str, Effect] = {
            "CodeCommit": CodeCommitSource(codecommit),
            "CodeBuild": CodeBuildBuild(codebuild),
            "Lambda": self.lambdas,
            "Manual": self.approvals,
        }
        self._started: dict[str, str] = {}  # clientRequestToken → execution id

    def install(self) -> None:
        """Register the service, its CloudFormation type and the target of EventBridge rules."""
        super().install()
        PipelineResource(self).install()
        RuleTarget(self).install()

    def needs(self, operation: str, request: dict[str, Any], call: Call) -> Iterable[Need]:
        """Scope each operation to its pipeline, stage or action; jobs have no ARN."""
        declaration = request.get("pipeline", {})
        name = declaration.get("name") or request.get("name") or request.get("pipelineName")
        parts = [name, request.get("stageName"), request.get("actionName")]
        resource = self.arn("/".join(filter(None, parts)), call) if name else "*"
        needs = [Need(f"codepipeline:{operation}", resource)]
        if operation == "CreatePipeline" and request.get("tags"):
            needs.append(Need("codepipeline:TagResource", resource))
        roles = [declaration.get("roleArn")]
        actions = (a for stage in declaration.get("stages", []) for a in stage.get("actions", []))
        roles += [action.get("roleArn") for action in actions]
        passed = {"iam:PassedToService": SERVICE}
        return [*needs, *(Need("iam:PassRole", r, passed) for r in dict.fromkeys(roles) if r)]

    @staticmethod
    def arn(path: str, call: Call) -> str:
        """Return the ARN of a pipeline, or of `pipeline/stage/action`."""
        return f"arn:aws:codepipeline:{call.region}:{call.account}:{path}"

    def create_pipeline(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        """Create a pipeline; as on AWS its first execution starts at once."""
        refuse_unhonoured("codepipeline:CreatePipeline", members("pipeline", "tags"), request)
        declaration = completed(request["pipeline"], 1)
        name = declaration["name"]
        if name in self.records:
            raise ApiError(
                "PipelineNameInUseException", f"A pipeline with the name {name!r} already exists"
            )
        engine = Engine(parse(declaration, 1, call.region))
        now = time.time()
        self.records[name] = Record(declaration, Conductor(engine, self.effects), now, now)
        self.start(self.records[name], Trigger("CreatePipeline", caller_of(call)))
        tags = {"tags": request["tags"]} if request.get("tags") else {}
        return {"pipeline": declaration, **tags}

    def update_pipeline(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.record(request["pipeline"]["name"])
        version = record.declaration["version"] + 1
        declaration = completed(request["pipeline"], version)
        pipeline = parse(declaration, version, call.region)
        with record.conductor.lock:
            record.declaration, record.engine.pipeline = declaration, pipeline
            record.updated = time.time()
        return {"pipeline": declaration}

    def delete_pipeline(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.records.pop(request["name"], None)
        if record is not None:
            with record.conductor.lock:
                effects = record.engine.stop_all("the pipeline was deleted")
                record.conductor.carry_out(effects)
        return {}

    def get_pipeline(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        refuse_unhonoured("codepipeline:GetPipeline", members("name"), request)
        record = self.record(request["name"])
        return {
            "pipeline": record.declaration,
            "metadata": {
                "pipelineArn": self.arn(request["name"], call),
                "created": record.created,
                "updated": record.updated,
            },
        }

    def list_pipelines(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        refuse_unhonoured("codepipeline:ListPipelines", members(), request)
        return {
            "pipelines": [
                {
                    "name": name,
                    "version": record.declaration["version"],
                    "pipelineType": record.declaration["pipelineType"],
                    "executionMode": record.declaration["executionMode"],
                    "created": record.created,
                    "updated": record.updated,
                }
                for name, record in sorted(self.records.items())
            ]
        }

    def get_pipeline_state(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.record(request["name"])
        with record.conductor.lock:
            return views.pipeline_state(record.engine, record.created, record.updated)

    def get_pipeline_execution(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.record(request["pipelineName"])
        with record.conductor.lock:
            execution = record.engine.execution(request["pipelineExecutionId"])
            return {"pipelineExecution": views.execution(execution)}

    def list_pipeline_executions(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        honoured = members("pipelineName", "maxResults", "nextToken")
        refuse_unhonoured("codepipeline:ListPipelineExecutions", honoured, request)
        record = self.record(request["pipelineName"])
        with record.conductor.lock:
            newest_first = list(record.engine.executions.values())[::-1]
            summaries = [views.execution_summary(execution) for execution in newest_first]
        return page("pipelineExecutionSummaries", summaries, request)

    def list_action_executions(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        honoured = members(
            "pipelineName", "maxResults", "nextToken", filter=members("pipelineExecutionId")
        )
        refuse_unhonoured("codepipeline:ListActionExecutions", honoured, request)
        record = self.record(request["pipelineName"])
        wanted = request.get("filter", {}).get("pipelineExecutionId")
        with record.conductor.lock:
            every = list(record.engine.executions.values())[::-1]
            details = [
                views.action_detail(execution, run, call.region)
                for execution in ([record.engine.execution(wanted)] if wanted else every)
                for run in execution.runs[::-1]
            ]
        return page("actionExecutionDetails", details, request)

    def start_pipeline_execution(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        refuse_unhonoured("codepipeline:StartPipelineExecution", START, request)
        record = self.record(request["name"])
        token = request.get("clientRequestToken")
        if token in self._started:
            return {"pipelineExecutionId": self._started[token]}
        variables = {v["name"]: v["value"] for v in request.get("variables", [])}
        commits = source_overrides(record.engine.pipeline, request.get("sourceRevisions", []))
        trigger = Trigger("StartPipelineExecution", caller_of(call))
        execution_id = self.start(record, trigger, variables, commits)
        if token:
            self._started[token] = execution_id
        return {"pipelineExecutionId": execution_id}

    def stop_pipeline_execution(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.record(request["pipelineName"])
        execution_id = request["pipelineExecutionId"]
        abandon = request.get("abandon", False)
        with record.conductor.lock:
            effects = record.engine.stop(execution_id, abandon, request.get("reason"))
            record.conductor.carry_out(effects)
        return {"pipelineExecutionId": execution_id}

    def retry_stage_execution(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.record(request["pipelineName"])
        execution_id = request["pipelineExecutionId"]
        every = request["retryMode"] == "ALL_ACTIONS"
        with record.conductor.lock:
            effects = record.engine.retry(request["stageName"], execution_id, every)
            record.conductor.carry_out(effects)
        return {"pipelineExecutionId": execution_id}

    def enable_stage_transition(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        self._set_transition(request, True, caller_of(call))
        return {}

    def disable_stage_transition(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        self._set_transition(request, False, caller_of(call))
        return {}

    def put_approval_result(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        record = self.record(request["pipelineName"])
        stages = {stage.name: stage for stage in record.engine.pipeline.stages}
        stage = stages.get(request["stageName"])
        if stage is None:
            raise ApiError("StageNotFoundException", f"No stage {request['stageName']} exists")
        if request["actionName"] not in {action.name for action in stage.actions}:
            raise ApiError("ActionNotFoundException", f"No action {request['actionName']} exists")
        with record.conductor.lock:
            run = record.engine.stage(stage.name).last_runs.get(request["actionName"])
            return {"approvedAt": self.approvals.answer(run, request, caller_of(call))}

    def put_job_success_result(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        self.lambdas.succeed(request)
        return {}

    def put_job_failure_result(self, request: dict[str, Any], call: Call) -> dict[str, Any]:
        self.lambdas.fail(request)
        return {}

    def record(self, name: str) -> Record:
        """Find a pipeline; ApiError if there is none."""
        if name not in self.records:
            raise ApiError(
                "PipelineNotFoundException",
                f"Account does not have a pipeline with name '{name}'",
            )
        return self.records[name]

    def start(
        self,
        record: Record,
        trigger: Trigger,
        variables: dict[str, str] | None = None,
        overrides: dict[str, str] | None = None,
    ) -> str:
        """Start an execution and return its id."""
        with record.conductor.lock:
            execution, effects = record.engine.start(trigger, variables, overrides)
            record.conductor.carry_out(effects)
        return execution.id

    def _set_transition(self, request: dict[str, Any], enabled: bool, by: str) -> None:
        if request["transitionType"] != "Inbound":
            raise ApiError("NotImplemented", "transitionType Outbound is not emulated", 501)
        record = self.record(request["pipelineName"])
        with record.conductor.lock:
            effects = record.engine.set_transition(
                request["stageName"], enabled, request.get("reason"), by
            )
            record.conductor.carry_out(effects)


def caller_of(call: Call) -> str:
    return seams.caller_arn(call.access_key) if call.access_key else "CloudFormation"
