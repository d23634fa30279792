"""SNS topics with the key that encrypts them, and the policy that AWS gives them by default.

ministack drops a topic's key, so an alarm or a rule that may not use it is delivered all the same;
on AWS such a message is lost, and nobody is told.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from local_cloud import seams
from local_cloud.errors import ApiError
from local_cloud.strict import caller, kms
from local_cloud.strict import seams as private

logger = logging.getLogger("local_cloud")

RESOURCE_TYPE = "AWS::SNS::Topic"
KEY = "KmsMasterKeyId"
ACTION_LISTS = ("AlarmActions", "OKActions", "InsufficientDataActions")
CLOUDWATCH = "cloudwatch.amazonaws.com"


def install() -> None:
    """Wrap the CloudFormation type, Publish, and the actions of alarms."""
    handlers = seams.resource_handler(RESOURCE_TYPE)
    handlers["create"] = _with_key(handlers["create"], 1)
    handlers["update"] = _with_key(handlers["update"], 2)
    private.SNS_PUBLISH.wrap(_publish_with_key)
    private.ALARM_ACTIONS.wrap(_act_where_allowed)


def lets_in(topic_arn: str, service: str, **context: str) -> bool:
    """Say whether a topic's policy and its key's let a service publish."""
    topic = private.topic_attributes(topic_arn)
    if topic is None or not seams.service_allowed(
        topic["Policy"], service, "sns:Publish", topic_arn, context
    ):
        return False
    key = topic.get(KEY)
    return not key or kms.service_may_use(key, service, {}, **context)


def _with_key(known: Callable[..., Any], position: int) -> Callable[..., Any]:
    def provision(*arguments: Any) -> Any:
        arn, attributes = known(*arguments)
        topic = private.topic_attributes(arn) or {}
        topic.pop(KEY, None)
        if key := arguments[position].get(KEY):
            topic[KEY] = key
        if "__default_statement_ID" in topic["Policy"]:
            topic["Policy"] = default_policy(arn)
        return arn, attributes

    return provision


def default_policy(arn: str) -> str:
    """Write the policy of a topic that nobody gave one: the owner's account alone."""
    account, _ = seams.account_and_region()
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["SNS:Publish", "SNS:Subscribe", "SNS:Receive"],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
    }
    policy = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return json.dumps(policy)


def _publish_with_key(known: Callable[[dict], Any]) -> Callable[[dict], Any]:
    """Ask KMS for a caller who publishes to an encrypted topic."""

    def publish(params: dict[str, Any]) -> Any:
        given = params.get("TopicArn") or params.get("TargetArn") or ""
        arn = given[0] if isinstance(given, list) else given
        key = (private.topic_attributes(arn) or {}).get(KEY)
        try:
            for action in ("kms:GenerateDataKey", "kms:Decrypt") if key else ():
                kms.require_use(
                    caller.access_key(), action, str(key), "sns", {"aws:sns:topicArn": arn}
                )
        except ApiError as refused:
            return private.SNS_ERROR("KMSAccessDenied", refused.message, 400)
        return known(params)

    return publish


def _act_where_allowed(known: Callable[..., None]) -> Callable[..., None]:
    def dispatch(alarm: dict[str, Any], *transition: Any) -> None:
        known(
            {**alarm, **{name: list(_allowed(alarm, name)) for name in ACTION_LISTS}}, *transition
        )

    return dispatch


def _allowed(alarm: dict[str, Any], actions: str) -> list[str]:
    account, region = seams.account_and_region()
    name = alarm.get("AlarmName", "")
    context = {
        "aws:SourceArn": f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
        "aws:SourceAccount": account,
        "aws:SourceOwner": account,
    }
    kept = []
    for arn in alarm.get(actions) or []:
        if arn.split(":")[2:3] == ["sns"] and not lets_in(arn, CLOUDWATCH, **context):
            logger.warning("alarm %s: %s does not let CloudWatch in", name, arn)
        else:
            kept.append(arn)
    return kept
