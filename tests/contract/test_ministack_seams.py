"""The private parts of ministack that the local cloud leans on are as they were when it was pinned.

An upgrade of ministack fails here, by name. To take a new private part into a `seams.py`, pin it
in PRIVATE_PARTS: functions by their parameters, all else by its type.
"""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from local_cloud import seams
from local_cloud.errors import ApiError
from local_cloud.strict import seams as strict_seams

PACKAGE = Path(seams.__file__).parent
VERSION = "1.5.33"
ACCOUNT, REGION = "000000000000", "us-east-1"
PRIVATE_PARTS = {
    "app:SERVICE_HANDLERS": "dict",
    "app:_is_ecr_registry_path": "(path)",
    "app:app": "(scope receive send)",
    "core.iam_actions:SERVICE_TO_IAM_NAMESPACE": "dict",
    "core.iam_actions:identity_denial_message": "(action principal_arn resource explicit_deny)",
    "core.iam_evaluator:AuthError": "(code message details)",
    "core.iam_evaluator:EvalContext": "(principal_arn principal_type principal_account action "
    "resource_arn region source_ip secure_transport request_tags tag_keys service_context "
    "principal_keys)",
    "core.iam_evaluator:ResolvedCredential": "(access_key_id secret_access_key account_id "
    "principal_arn principal_id principal_type principal_name session_token expiration "
    "source_access_key_id)",
    "core.iam_evaluator:_anonymous": "ContextVar",
    "core.iam_evaluator:_resource_policy": "(service resource_arn)",
    "core.iam_evaluator:_signed_request": "ContextVar",
    "core.iam_evaluator:enforce": "(access_key_id iam_action service region resource_arn "
    "service_context)",
    "core.iam_evaluator:evaluate_resource_policy": "(doc ctx service named_only direct_only)",
    "core.iam_evaluator:resolve_caller_identity": "(access_key_id)",
    "core.iam_evaluator:resolve_credential": "(access_key_id account_id session_token)",
    "core.responses:error_response_json": "(code message status extra message_key content_type)",
    "core.responses:get_account_id": "()",
    "core.responses:get_region": "()",
    "core.router:SERVICE_PATTERNS": "dict",
    "core.router:extract_access_key_id": "(headers query_params)",
    "services.apigateway_v1:_GatewayError": "(response_type message error_type)",
    "services.apigateway_v1:_account_settings": "AccountRegionScopedDict",
    "services.apigateway_v1:_delete_rest_api": "(api_id)",
    "services.apigateway_v1:_deployments_v1": "AccountRegionScopedDict",
    "services.apigateway_v1:_request_validators": "AccountRegionScopedDict",
    "services.apigateway_v1:_resources": "AccountRegionScopedDict",
    "services.apigateway_v1:_rest_apis": "AccountRegionScopedDict",
    "services.apigateway_v1:_stages_v1": "AccountRegionScopedDict",
    "services.cloudformation.engine:CfnLoader": "(stream)",
    "services.cloudformation.provisioners:_RESOURCE_HANDLERS": "dict",
    "services.cloudformation.provisioners:_physical_name": "(stack_name logical_id lowercase "
    "max_len seeded)",
    "services.cloudformation.stacks:_runs_on_worker_thread": "(resource_type)",
    "services.cloudwatch:_alarms": "AccountRegionScopedDict",
    "services.cloudwatch:_calc_stats": "(points)",
    "services.cloudwatch:_composite_alarms": "AccountRegionScopedDict",
    "services.cloudwatch:_dims_from_list": "(dimensions)",
    "services.cloudwatch:_dims_key": "(dims)",
    "services.cloudwatch:_dispatch_alarm_actions": "(alarm old_state new_state reason)",
    "services.cloudwatch:_evaluate_alarm": "(alarm)",
    "services.cloudwatch:_evaluate_all_alarms": "()",
    "services.cloudwatch:_evaluate_parent_alarms": "(child seen)",
    "services.cloudwatch:_metrics": "AccountRegionScopedDict",
    "services.cloudwatch:_record_history": "(alarm_name old_state new_state reason alarm_type "
    "reason_data)",
    "services.cloudwatch:_stat_value": "(stats stat_name points)",
    "services.cloudwatch:_store_datum": "(namespace name dims ts unit value values counts "
    "stat_values)",
    "services.cloudwatch_logs:_log_groups": "AccountRegionScopedDict",
    "services.ecr:_images": "AccountRegionScopedDict",
    "services.ecr:_layer_blobs": "AccountRegionScopedDict",
    "services.ecr:_manifest_blobs": "AccountRegionScopedDict",
    "services.ecr:_parse_v2_path": "(path)",
    "services.ecr:_uploads": "AccountRegionScopedDict",
    "services.ecr:handle_registry_request": "(method path headers body query_params)",
    "services.eventbridge:_dispatch_event": "(event view)",
    "services.eventbridge:_invoke_target": "(target event rule view)",
    "services.iam:_roles": "AccountScopedDict",
    "services.kms:_grants": "AccountRegionScopedDict",
    "services.lambda_svc:_execution_record_for_config": "(func config)",
    "services.lambda_svc:_functions": "AccountRegionScopedDict",
    "services.lambda_svc:_get_func_record_for_ref": "(function_ref)",
    "services.lambda_svc:function_policy_for_arn": "(resource_arn)",
    "services.lambda_svc:invoke_async_with_retry": "(func event)",
    "services.sns:_topics": "AccountRegionScopedDict",
    "services.sts:register_session": "(access_key session)",
}
ECR_OPERATIONS = (
    *("CreateRepository", "DescribeRepositories", "DeleteRepository", "GetRepositoryPolicy"),
    *("SetRepositoryPolicy", "DeleteRepositoryPolicy", "PutLifecyclePolicy"),
    *("GetLifecyclePolicy", "DeleteLifecyclePolicy", "ListTagsForResource", "TagResource"),
    *("UntagResource", "PutImageTagMutability", "PutImageScanningConfiguration"),
)


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imports_of_ministack(tree: ast.AST) -> dict[str, str]:
    """Return name → module of ministack's modules that a file imports."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ministack"):
            inside = (node.module or "").removeprefix("ministack").lstrip(".")
            for name in node.names:
                found[name.asname or name.name] = f"{inside}.{name.name}".lstrip(".")
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name.split(".")[0] == "ministack":
                    found[name.asname or name.name] = name.name
    return found


def parts_in_use() -> Iterator[str]:
    """Yield each `module:attribute` of ministack that a seams.py names."""
    for path in PACKAGE.rglob("seams.py"):
        tree = ast.parse(path.read_text())
        modules = imports_of_ministack(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in modules:
                yield f"{modules[node.value.id]}:{node.attr}"


def form_of(part: Any) -> str:
    if not callable(part):
        return type(part).__name__
    return f"({' '.join(inspect.signature(part).parameters)})"


def test_the_version_is_the_one_that_the_seams_were_read_in():
    assert importlib.metadata.version("ministack") == VERSION


def test_only_modules_named_seams_import_ministack():
    guilty = [
        str(path.relative_to(PACKAGE))
        for path in python_files()
        if path.name != "seams.py" and imports_of_ministack(ast.parse(path.read_text()))
    ]
    assert guilty == []


def test_every_private_part_in_use_is_pinned_and_no_other():
    assert sorted(set(parts_in_use())) == sorted(PRIVATE_PARTS)


@pytest.mark.parametrize("name", sorted(PRIVATE_PARTS))
def test_a_private_part_has_kept_its_form(name):
    module, _, attribute = name.partition(":")
    part = getattr(importlib.import_module(f"ministack.{module}"), attribute)
    assert form_of(part) == PRIVATE_PARTS[name]


@pytest.mark.parametrize("name", sorted(strict_seams.every_seam()))
def test_a_function_that_strictness_wraps_has_kept_its_parameters(name):
    seam = strict_seams.every_seam()[name]
    assert seam.signature() == seam.parameters


@pytest.mark.parametrize("part", strict_seams.API_PARTS)
def test_a_store_of_rest_apis_is_still_kept_by_api(part):
    store = getattr(importlib.import_module("ministack.services.apigateway_v1"), part)
    assert form_of(store) == "AccountRegionScopedDict"


@pytest.mark.parametrize("operation", ECR_OPERATIONS)
def test_an_ecr_operation_is_still_a_function_of_its_request(operation):
    ecr = importlib.import_module("ministack.services.ecr")
    assert form_of(getattr(ecr, f"_{xform_name(operation)}")) == "(data)"


# ---- what the functions of seams.py promise


@pytest.fixture
def role(monkeypatch) -> str:
    """A role that may read one bucket."""
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    record = {
        "RoleName": "seam-role",
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/seam-role",
        "AssumeRolePolicyDocument": "{}",
        "InlinePolicies": {"p": {"Version": "2012-10-17", "Statement": [allow]}},
    }
    iam = importlib.import_module("ministack.services.iam")
    iam._roles["seam-role"] = record
    yield f"arn:aws:iam::{ACCOUNT}:role/seam-role"
    del iam._roles["seam-role"]


def test_a_request_outside_any_context_belongs_to_the_default_account():
    assert seams.account_and_region() == (ACCOUNT, REGION)


def test_a_session_acts_with_the_rights_of_its_role(role):
    session = seams.open_role_session(role, "name")
    key = session["aws_access_key_id"]
    assert seams.caller_arn(key) == f"arn:aws:sts::{ACCOUNT}:assumed-role/seam-role/name"
    assert seams.secret_key_of(key) == (
        session["aws_secret_access_key"],
        session["aws_session_token"],
    )
    assert seams.denial(key, "s3:GetObject", "arn:aws:s3:::b/key") is None
    code, message = seams.denial(key, "s3:PutObject", "arn:aws:s3:::b/key") or ("", "")
    assert code == "AccessDeniedException"
    assert "is not authorized to perform: s3:PutObject on resource: arn:aws:s3:::b/key" in message
    assert strict_seams.denial_as(key, "s3:GetObject", "arn:aws:s3:::b/key") is None


def test_nobody_has_an_access_key_that_was_not_given():
    assert seams.secret_key_of("AKIANOBODY") is None
    assert seams.caller_arn("AKIANOBODY") == "anonymous"


def test_a_role_is_found_by_its_arn(role):
    assert (seams.find_role(role) or {})["RoleName"] == "seam-role"
    for other in (
        f"{role}-not",
        role.replace("role/", "role/path/"),
        role.replace(":iam:", ":s3:"),
    ):
        assert seams.find_role(other) is None


def test_the_key_that_signed_is_read_off_header_and_query():
    scope = "20261101/us-east-1/s3/aws4_request"
    header = {"authorization": f"AWS4-HMAC-SHA256 Credential=AKIAHEADER/{scope}, Signature=x"}
    assert seams.access_key_of(header, {}) == "AKIAHEADER"
    assert seams.access_key_of({}, {"X-Amz-Credential": [f"AKIAQUERY/{scope}"]}) == "AKIAQUERY"
    assert seams.access_key_of({}, {}) == ""


def test_an_event_of_ours_reaches_the_target_that_we_deliver_to(monkeypatch):
    eventbridge = importlib.import_module("ministack.services.eventbridge")
    monkeypatch.setattr(eventbridge, "_invoke_target", eventbridge._invoke_target)
    delivered: list[str] = []
    seams.set_event_target("codepipeline", lambda target, *_event: delivered.append(target["Id"]))
    arn = f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:some-pipeline"
    key = eventbridge._rule_key("seam", "default")
    pattern = json.dumps({"source": ["aws.seam"]})
    eventbridge._rules[key] = {"Name": "seam", "State": "ENABLED", "EventPattern": pattern}
    eventbridge._targets[key] = [{"Id": "ours", "Arn": arn}]
    seams.emit_event("aws.seam", "Something", {"a": 1}, [])
    seams.emit_event("aws.other", "Something", {"a": 1}, [])
    del eventbridge._rules[key], eventbridge._targets[key]
    assert delivered == ["ours"]


def test_a_resource_policy_is_asked_for_a_service():
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:events:r:a:rule/x"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}

    def allowed(service: str, source: str) -> bool:
        context = {"aws:SourceArn": source}
        return seams.service_allowed(policy, service, "sqs:SendMessage", "arn", context)

    assert allowed("events.amazonaws.com", "arn:aws:events:r:a:rule/x")
    assert not allowed("events.amazonaws.com", "arn:aws:events:r:a:rule/y")
    assert not allowed("sns.amazonaws.com", "arn:aws:events:r:a:rule/x")


def test_a_log_is_appended_to_a_group_that_is_made_for_it():
    assert not strict_seams.log_group_exists("/seam/log")
    strict_seams.append_log("/seam/log", "stream", ["one", "two"])
    assert strict_seams.log_group_exists("/seam/log")
    logs = importlib.import_module("ministack.services.cloudwatch_logs")
    events = logs._log_groups["/seam/log"]["streams"]["stream"]["events"]
    assert [event["message"] for event in events] == ["one", "two"]


def test_an_error_of_ours_is_worded_as_ministack_words_its_own():
    status, _, body = strict_seams.error_answer("SomeException", "why", 409)
    assert status == 409
    assert json.loads(body) == {"__type": "SomeException", "message": "why"}
    assert str(ApiError("SomeException", "why")) == "SomeException: why"


def test_a_registrys_path_is_told_from_others():
    path = "/v2/team/image/manifests/v1"
    assert seams.ecr_registry_path(path) == ("manifest", "team/image", "v1")
    assert seams.ecr_registry_path("/v2/apis") is None


def test_a_handler_of_a_resource_type_can_be_replaced(monkeypatch):
    provisioners = importlib.import_module("ministack.services.cloudformation.provisioners")
    table = dict(provisioners._RESOURCE_HANDLERS)
    monkeypatch.setattr(provisioners, "_RESOURCE_HANDLERS", table)
    seams.register_resource("Test::Seam", *(3 * [print]))
    assert seams.resource_handler("Test::Seam")["create"] is print
    assert provisioners._provision_resource("Test::Seam", "Id", {}, "stack") is None


def test_a_resource_that_is_not_named_is_named_after_its_stack():
    assert seams.physical_name("stack", "Logical").startswith("stack-Logical")
