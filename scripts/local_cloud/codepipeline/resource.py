"""The CloudFormation type AWS::CodePipeline::Pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_cloud import cfn, seams
from local_cloud.codepipeline.model import Trigger

if TYPE_CHECKING:
    from local_cloud.codepipeline.service import CodePipeline

RESOURCE_TYPE = "AWS::CodePipeline::Pipeline"


class PipelineResource:
    """Creates, updates and deletes pipelines for stacks."""

    def __init__(self, service: CodePipeline) -> None:
        self.service = service

    def install(self) -> None:
        """Register the type."""
        seams.register_resource(RESOURCE_TYPE, self.create, self.update, self.delete)

    def create(self, logical_id: str, properties: dict, stack_name: str) -> tuple[str, dict]:
        name = properties.get("Name") or seams.physical_name(stack_name, logical_id)
        request = self._request({**properties, "Name": name})
        self.service.call("CreatePipeline", request, cfn.stack_call())
        self._transitions(name, properties)
        return name, {"Version": "1"}

    def update(self, physical_id: str, old: dict, new: dict, stack_name: str) -> tuple[str, dict]:
        name = new.get("Name") or physical_id
        if name != physical_id:
            return self.create(name, new, stack_name)
        request = {"pipeline": self._request({**new, "Name": name})["pipeline"]}
        updated = self.service.call("UpdatePipeline", request, cfn.stack_call())
        self._transitions(name, new)
        if str(new.get("RestartExecutionOnUpdate", "false")).lower() == "true":
            self.service.start(
                self.service.records[name], Trigger("StartPipelineExecution", "CloudFormation")
            )
        return name, {"Version": str(updated["pipeline"]["version"])}

    def delete(self, physical_id: str, properties: dict) -> None:
        self.service.call("DeletePipeline", {"name": physical_id}, cfn.stack_call())

    def _request(self, properties: dict) -> dict[str, Any]:
        beside = ("Tags", "DisableInboundStageTransitions", "RestartExecutionOnUpdate")
        declared = {name: value for name, value in properties.items() if name not in beside}
        wrapped = {"Pipeline": declared, "Tags": properties.get("Tags", [])}
        operation = self.service.model.operation_model("CreatePipeline")
        return cfn.to_request(wrapped, operation, RESOURCE_TYPE)

    def _transitions(self, name: str, properties: dict) -> None:
        closed = {
            transition["StageName"]: transition["Reason"]
            for transition in properties.get("DisableInboundStageTransitions", [])
        }
        record = self.service.records[name]
        with record.conductor.lock:
            for stage, reason in closed.items():
                effects = record.engine.set_transition(stage, False, reason, "CloudFormation")
                record.conductor.carry_out(effects)
