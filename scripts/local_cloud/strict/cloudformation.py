"""Templates that CloudFormation refuses and ministack takes, and stacks that cannot be made.

Capabilities, the sizes of TemplateBody and of a template by URL, quotas and the constraints of
parameters are ministack's own, and right; `Ref` to nothing and unknown properties are left to
cfn-lint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from local_cloud import seams
from local_cloud.strict import kms
from local_cloud.strict import seams as private

LOG_GROUP = "AWS::Logs::LogGroup"
ALIASES = "YAML aliases are not allowed in CloudFormation templates"


def install() -> None:
    """Wrap the reading of templates and the type of log groups."""
    private.CFN_COMPOSE_NODE.wrap(_refuse_aliases)
    handlers = seams.resource_handler(LOG_GROUP)
    for operation, position in (("create", 1), ("update", 2)):
        handlers[operation] = _log_group_key(handlers[operation], position)


def _refuse_aliases(known: Callable[..., Any]) -> Callable[..., Any]:
    def compose_node(loader: Any, parent: Any, index: Any) -> Any:
        if loader.check_event(yaml.AliasEvent):
            raise ValueError(ALIASES)
        return known(loader, parent, index)

    return compose_node


def _log_group_key(known: Callable[..., Any], position: int) -> Callable[..., Any]:
    """Refuse a log group whose key's policy does not let CloudWatch Logs in."""

    def provision(*arguments: Any) -> Any:
        key = arguments[position].get("KmsKeyId")
        name = arguments[position].get("LogGroupName", "*")
        account, region = seams.account_and_region()
        arn = f"arn:aws:logs:{region}:{account}:log-group:{name}"
        context = {"aws:logs:arn": arn}
        if key and not kms.service_may_use(key, f"logs.{region}.amazonaws.com", context):
            raise ValueError(
                "The specified KMS key does not exist or is not allowed to be used with Arn "
                f"'{arn}' (Service: CloudWatchLogs, Status Code: 400)"
            )
        return known(*arguments)

    return provision
