"""The target that EventBridge rules start pipelines by."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from local_cloud import identity, seams
from local_cloud.background import spawn
from local_cloud.codepipeline.model import Trigger
from local_cloud.errors import ApiError
from local_cloud.service import Call

if TYPE_CHECKING:
    from local_cloud.codepipeline.service import CodePipeline

logger = logging.getLogger("local_cloud")
INPUTS = ("Input", "InputPath", "InputTransformer")


class RuleTarget:
    """Starts a pipeline as the role of the rule's target."""

    def __init__(self, service: CodePipeline) -> None:
        self.service = service

    def install(self) -> None:
        """Register the target."""
        seams.set_event_target("codepipeline", self.deliver)

    def deliver(self, target: dict, rule: dict) -> None:
        """Start the target's pipeline, in a thread of its own."""
        spawn("rule", self._start_as_role, target, rule)

    def _start_as_role(self, target: dict, rule: dict) -> None:
        """Start as the target's role; what goes wrong is a failed invocation, seen in the log."""
        account, region = seams.account_and_region()
        if inputs := [name for name in INPUTS if name in target]:
            what = f"{inputs[0]} of a pipeline target is not emulated"
            logger.warning("rule %s did not start %s: %s", rule["Arn"], target["Arn"], what)
            return
        try:
            credentials = identity.assume_service_role(
                target.get("RoleArn", ""), "events.amazonaws.com", "EventBridge"
            )
            call = Call(credentials["aws_access_key_id"], account, region)
            call.authorize("codepipeline:StartPipelineExecution", target["Arn"])
            record = self.service.record(target["Arn"].rpartition(":")[2])
            self.service.start(record, Trigger("CloudWatchEvent", rule["Arn"]))
        except ApiError as error:
            logger.warning("rule %s did not start %s: %s", rule["Arn"], target["Arn"], error)
