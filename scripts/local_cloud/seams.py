"""The private parts of ministack that the local cloud leans on, all in this one module.

`tests/contract/test_ministack_seams.py` checks each of them against the pinned version, so that
an upgrade fails there, by name, and nowhere else.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from botocore import xform_name
from ministack import app as ministack_app
from ministack.core import iam_actions, iam_evaluator, responses, router
from ministack.services import cloudwatch, ecr, eventbridge, iam, sts
from ministack.services.cloudformation import provisioners, stacks

Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict], Awaitable[Response]]

SESSION_SECONDS = 3600.0


def serve_asgi(scope: dict, receive: Callable, send: Callable) -> Awaitable[None]:
    """Hand one ASGI request to ministack."""
    return ministack_app.app(scope, receive, send)


def register_service(name: str, target_prefix: str | None, scope: str, handler: Handler) -> None:
    """Route requests signed for `scope` (or with the X-Amz-Target prefix) to `handler`.

    Any handler that ministack has under this name is replaced, and so is its IAM check: a
    service of ours authorises its own requests, with every action that AWS would ask for.
    """
    patterns: dict[str, Any] = {"credential_scope": scope}
    if target_prefix:
        patterns["target_prefixes"] = [f"{target_prefix}."]
    router.SERVICE_PATTERNS[name] = patterns
    ministack_app.SERVICE_HANDLERS[name] = handler
    iam_actions.SERVICE_TO_IAM_NAMESPACE.pop(name, None)


def register_resource(
    resource_type: str, create: Callable, update: Callable, delete: Callable
) -> None:
    """Teach CloudFormation a resource type.

    create(logical_id, properties, stack_name) and update(physical_id, old, new, stack_name)
    return (physical_id, attributes); delete(physical_id, properties) returns nothing.
    """
    provisioners._RESOURCE_HANDLERS[resource_type] = {
        "create": create,
        "update": update,
        "delete": delete,
    }


def resource_handler(resource_type: str) -> dict[str, Callable]:
    """Return ministack's own handler table for a type, to wrap one of its entries."""
    return provisioners._RESOURCE_HANDLERS[resource_type]


def physical_name(stack_name: str, logical_id: str) -> str:
    """Name a resource that the template leaves unnamed, as CloudFormation does."""
    return provisioners._physical_name(stack_name, logical_id)


def access_key_of(headers: dict[str, str], query: dict) -> str:
    """Return the access key id that signed the request, or an empty string."""
    return router.extract_access_key_id(headers, query)


def account_and_region() -> tuple[str, str]:
    """Return account id and region of the request in hand."""
    return responses.get_account_id(), responses.get_region()


def caller_arn(access_key: str) -> str:
    """Return the ARN behind an access key; 'anonymous' for one that nobody has."""
    identity = iam_evaluator.resolve_caller_identity(access_key)
    return identity["userArn"] if identity else "anonymous"


def secret_key_of(access_key: str) -> tuple[str, str | None] | None:
    """Return (secret key, session token) of a live access key, None for an unknown one."""
    credential = iam_evaluator.resolve_credential(access_key)
    if not isinstance(credential, iam_evaluator.ResolvedCredential):
        return None
    return credential.secret_access_key, credential.session_token


def denial(
    access_key: str, action: str, resource_arn: str, context: dict[str, Any] | None = None
) -> tuple[str, str] | None:
    """Evaluate IAM for one action; None if allowed, else (error code, message in AWS's words)."""
    _, region = account_and_region()
    namespace = action.split(":", 1)[0]
    result = iam_evaluator.enforce(
        access_key, action, namespace, region, resource_arn=resource_arn, service_context=context
    )
    if result is None:
        return None
    if isinstance(result, iam_evaluator.AuthError):
        return result.code, result.message
    explicit = result.decision == "Deny"
    return "AccessDeniedException", iam_actions.identity_denial_message(
        action, result.principal_arn, resource_arn, explicit
    )


def service_allowed(
    policy: str | dict | None, service: str, action: str, arn: str, context: dict[str, str]
) -> bool:
    """Say whether a resource policy lets a service principal do something with the resource."""
    account, region = responses.get_account_id(), responses.get_region()
    evaluation = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account=account,
        action=action,
        resource_arn=arn,
        region=region,
        service_context={key.lower(): value for key, value in context.items()},
    )
    result = iam_evaluator.evaluate_resource_policy(policy, evaluation, service=service)
    return result.decision == "Allow"


def find_role(role_arn: str) -> dict[str, Any] | None:
    """Return the IAM role record of an ARN, None if there is none."""
    role = iam._roles.get(role_arn.rsplit("/", 1)[-1])
    return role if role and role["Arn"] == role_arn else None


def open_role_session(
    role_arn: str, session_name: str, policy: dict[str, Any] | None = None
) -> dict[str, str]:
    """Register a session of the role and return it as boto3 client arguments.

    A session policy, if given, narrows what the role allows.
    """
    role_name = role_arn.rsplit("/", 1)[-1]
    account = role_arn.split(":")[4]
    access_key = "ASIA" + uuid.uuid4().hex[:16].upper()
    secret, token = uuid.uuid4().hex, uuid.uuid4().hex * 2
    sts.register_session(
        access_key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}",
            "UserId": f"AROA{role_name[:12].upper()}:{session_name}",
            "AccountId": account,
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + SESSION_SECONDS,
            **({"SessionPolicies": {"Policy": json.dumps(policy)}} if policy else {}),
        },
    )
    return {
        "aws_access_key_id": access_key,
        "aws_secret_access_key": secret,
        "aws_session_token": token,
    }


def set_event_target(service: str, deliver: Callable[[dict, dict], None]) -> None:
    """Let EventBridge deliver to a target service that ministack does not know.

    deliver(target, rule) is called for each matching target whose ARN names `service`.
    """
    known = eventbridge._invoke_target

    def invoke_target(target: dict, event: dict, rule: dict, view: Any = None) -> Any:
        if target.get("Arn", "").split(":")[2:3] == [service]:
            return deliver(target, rule)
        return known(target, event, rule, view)

    eventbridge._invoke_target = invoke_target


def emit_event(source: str, detail_type: str, detail: dict, resources: list[str]) -> None:
    """Put an event of an AWS service on the default bus."""
    account, region = account_and_region()
    event = {
        "EventId": str(uuid.uuid4()),
        "Source": source,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "EventBusName": "default",
        "Time": time.time(),
        "Resources": resources,
        "Account": account,
        "Region": region,
    }
    eventbridge._dispatch_event(event)


def ecr_call(operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Run an operation of ministack's ECR and return (status, body)."""
    status, _, body = getattr(ecr, f"_{xform_name(operation)}")(request)
    return status, json.loads(body)


def ecr_images(repository: str) -> list[dict[str, Any]]:
    """Return ministack's own list of a repository's images; writable."""
    images: list[dict[str, Any]] = ecr._images.setdefault(repository, [])
    return images


def ecr_blobs(repository: str) -> dict[str, bytes]:
    """Return ministack's own table digest → layer or config bytes of a repository; writable."""
    blobs: dict[str, bytes] = ecr._layer_blobs.setdefault(repository, {})
    return blobs


def forget_ecr_repository(repository: str) -> None:
    """Drop what ministack keeps of a deleted repository: blobs, manifests and uploads."""
    for store in (ecr._images, ecr._layer_blobs, ecr._manifest_blobs, ecr._uploads):
        store.pop(repository, None)


def ecr_registry_path(path: str) -> tuple[str, str, str] | None:
    """Split a /v2/ path into (verb, repository, reference); None if it is not the registry's."""
    known = ministack_app._is_ecr_registry_path(path)
    parsed: tuple[str, str, str] | None = ecr._parse_v2_path(path) if known else None
    return parsed


async def ecr_registry(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict
) -> Response:
    """Hand a registry request to ministack, which checks neither credentials nor IAM for it."""
    answer: Response = await ecr.handle_registry_request(method, path, headers, body, query)
    return answer


def judge_alarms_by(judge: Callable[[dict, list, Callable], str | None]) -> None:
    """Let `judge` say the state of every metric alarm.

    judge(alarm, points, statistic) gets the points of the alarm's very metric, dimensions and all,
    as (epoch seconds, sample), and statistic(samples), which is the alarm's own.
    """

    def evaluate(alarm: dict) -> None:
        name, namespace = alarm.get("MetricName"), alarm.get("Namespace")
        if not name or not namespace:
            return
        dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(_as_list(alarm)))
        points = list(cloudwatch._metrics.get((namespace, name, dimensions)) or [])
        wanted = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"

        def statistic(samples: list) -> float | None:
            return cloudwatch._stat_value(cloudwatch._calc_stats(samples), wanted, samples)

        state = judge(alarm, [(point["Timestamp"], point) for point in points], statistic)
        if state and state != alarm["StateValue"]:
            _move_alarm(alarm, state, f"{wanted} of {name} against {alarm.get('Threshold')}")

    cloudwatch._evaluate_alarm = evaluate


def judge_all_alarms() -> None:
    """Evaluate every metric alarm now."""
    cloudwatch._evaluate_all_alarms()


def alarm_state(name: str) -> str | None:
    """Return the state of an alarm of either kind; None if there is none of this name."""
    alarm = cloudwatch._alarms.get(name) or cloudwatch._composite_alarms.get(name)
    return alarm["StateValue"] if alarm else None


def put_metric(
    namespace: str, name: str, dimensions: dict[str, str], unit: str, counts: dict[float, float]
) -> None:
    """Store value → count of a metric as of now, as a service of AWS publishes its own."""
    values = list(counts)
    cloudwatch._store_datum(
        namespace, name, dimensions, time.time(), unit, None, values, list(counts.values()), None
    )


def _as_list(alarm: dict) -> list[dict]:
    dimensions = alarm.get("Dimensions") or []
    if isinstance(dimensions, dict):
        return [{"Name": name, "Value": value} for name, value in dimensions.items()]
    return list(dimensions)


def _move_alarm(alarm: dict, state: str, reason: str) -> None:
    before = alarm["StateValue"]
    alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
    cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def provision_in_thread(resource_type: str) -> None:
    """Let CloudFormation create, update and delete a type off the event loop: it may wait."""
    known = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda name: name == resource_type or known(name)
