"""EventBridge delivers only where the target's own policy lets it, and a failed Lambda again.

ministack delivers to every queue, topic and function, runs a function once, and takes a target's
role from anybody.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from local_cloud import seams
from local_cloud.errors import ApiError
from local_cloud.strict import caller, topics
from local_cloud.strict import seams as private

logger = logging.getLogger("local_cloud")

PRINCIPAL = "events.amazonaws.com"
DELIVERY_ACTIONS = {
    "lambda": "lambda:InvokeFunction",
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
}
NEED_A_ROLE = {"codepipeline", "codebuild", "states"}


def install() -> None:
    """Wrap PutTargets and the delivery."""
    private.EVENTS_PUT_TARGETS.wrap(_check_roles)
    private.EVENTS_INVOKE_TARGET.wrap(_only_where_allowed)
    private.EVENTS_TO_LAMBDA.wrap(lambda _known: _invoke_with_retries)


def _check_roles(known: Callable[..., Any]) -> Callable[..., Any]:
    def put_targets(data: dict[str, Any]) -> Any:
        for target in data.get("Targets", []):
            service = _service(target)
            if service in NEED_A_ROLE and not target.get("RoleArn"):
                message = f"RoleArn is required for target {target['Arn']}."
                return private.error_answer("ValidationException", message, 400)
            try:
                if target.get("RoleArn"):
                    caller.require_pass_role(target["RoleArn"], PRINCIPAL)
            except ApiError as refused:
                return private.error_answer(refused.code, refused.message, 400)
        return known(data)

    return put_targets


def _only_where_allowed(known: Callable[..., Any]) -> Callable[..., Any]:
    def invoke(target: dict, event: dict, rule: dict, *view: Any) -> Any:
        action = DELIVERY_ACTIONS.get(_service(target))
        if action and not _lets_in(target["Arn"], action, rule):
            name = rule.get("Name")
            logger.warning("rule %s: %s does not let EventBridge in", name, target["Arn"])
            return None
        return known(target, event, rule, *view)

    return invoke


def _lets_in(target_arn: str, action: str, rule: dict[str, Any]) -> bool:
    account, _ = seams.account_and_region()
    context = {"aws:SourceArn": rule.get("Arn", ""), "aws:SourceAccount": account}
    if action == "sns:Publish":  # where EventBridge names the rule, and no account
        return topics.lets_in(target_arn, PRINCIPAL, **{"aws:SourceArn": context["aws:SourceArn"]})
    policy = private.resource_policy(_service({"Arn": target_arn}), target_arn)
    return seams.service_allowed(policy, PRINCIPAL, action, target_arn, context)


def _service(target: dict[str, Any]) -> str:
    fields = str(target.get("Arn", "")).split(":")
    return fields[2] if len(fields) > 5 else ""


def _invoke_with_retries(arn: str, payload: str) -> None:
    """Hand the event to Lambda's own queue, which tries twice more."""
    if not private.invoke_asynchronously(arn, json.loads(payload)):
        logger.warning("there is no function %s to deliver an event to", arn)
