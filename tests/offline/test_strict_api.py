"""The local API Gateway lets in whom AWS lets in, and answers in the declared words."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
CODE = """
import json, time
def handler(event, context):
    asked = json.loads(event["body"] or "{}") if event["body"][:1] == "{" else {}
    name = asked.get("image_name", "")
    if name == "slow":
        time.sleep(25)
    if name == "fails":
        raise RuntimeError("inner secret")
    if name == "malformed":
        return {"predict": "Round"}
    identity = event["requestContext"]["identity"]
    asked = event["requestContext"]
    seen = {"stage": asked["stage"], "path": event["path"], "name": name, "id": asked["requestId"]}
    return {"statusCode": 200, "body": json.dumps({**seen, "caller": identity.get("userArn")})}
"""
WORDS = {
    "ACCESS_DENIED": "forbidden",
    "MISSING_AUTHENTICATION_TOKEN": "unsigned",
    "BAD_REQUEST_BODY": "bad_request",
    "REQUEST_TOO_LARGE": "too_large",
    "INTEGRATION_TIMEOUT": "timeout",
}
SIGV4 = {
    "type": "apiKey",
    "name": "Authorization",
    "in": "header",
    "x-amazon-apigateway-authtype": "awsSigv4",
}
Answered = tuple[int, dict[str, Any]]


def open_api(timeout_ms: int = 29_000) -> dict[str, Any]:
    model = {"$ref": "#/components/schemas/Request"}
    uri = (
        "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/"
        "${Function.Arn}/invocations"
    )
    integration = {
        "type": "aws_proxy",
        "httpMethod": "POST",
        "uri": {"Fn::Sub": uri},
        "timeoutInMillis": timeout_ms,
    }
    name = {"$ref": "#/components/schemas/Name"}
    return {
        "openapi": "3.0.1",
        "info": {"title": "strict", "version": "1"},
        "x-amazon-apigateway-request-validators": {"body": {"validateRequestBody": True}},
        "x-amazon-apigateway-gateway-responses": {
            kind: {"responseTemplates": {"application/json": json.dumps({"code": word})}}
            for kind, word in WORDS.items()
        },
        "components": {
            "securitySchemes": {"sigv4": SIGV4},
            "schemas": {
                "Name": {"type": "string", "minLength": 1},
                "Request": {
                    "type": "object",
                    "properties": {"image_name": name},
                    "required": ["image_name"],
                },
            },
        },
        "paths": {
            "/predict": {
                "post": {
                    "security": {"Fn::If": ["Signed", [{"sigv4": []}], []]},
                    "x-amazon-apigateway-request-validator": "body",
                    "x-amazon-apigateway-integration": integration,
                    "requestBody": {"content": {"application/json": {"schema": model}}},
                }
            }
        },
    }


def template(
    stage: str, deploy_anew: bool = True, permitted: bool = True, timeout_ms: int = 29_000
) -> dict[str, Any]:
    events = {
        "Api": {
            "Type": "Api",
            "Properties": {"RestApiId": {"Ref": "Api"}, "Path": "/predict", "Method": "post"},
        }
    }
    function = {
        "Runtime": "python3.13",
        "Handler": "index.handler",
        "InlineCode": CODE,
        "Timeout": 29,
        "Events": events if permitted else {},
    }
    api = {
        "StageName": stage,
        "OpenApiVersion": "3.0.1",
        "DefinitionBody": open_api(timeout_ms),
        **({"AlwaysDeploy": True} if deploy_anew else {}),
    }
    return {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": {"ApiAuthorization": {"Type": "String", "Default": "AWS_IAM"}},
        "Conditions": {
            "Signed": {"Fn::Not": [{"Fn::Equals": [{"Ref": "ApiAuthorization"}, "NONE"]}]}
        },
        "Resources": {
            "Function": {"Type": "AWS::Serverless::Function", "Properties": function},
            "Api": {"Type": "AWS::Serverless::Api", "Properties": api},
        },
        "Outputs": {"Api": {"Value": {"Ref": "Api"}}},
    }


@pytest.fixture(scope="module")
def deploy(cloud: RunningCloud) -> Callable[..., str]:
    """Create or update a stack; returns the API's id."""
    cloudformation = cloud.client("cloudformation")

    def run(name: str, body: dict[str, Any], **parameters: str) -> str:
        given = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
        request = {
            "StackName": name,
            "TemplateBody": json.dumps(body),
            "Parameters": given,
            "Capabilities": CAPABILITIES,
        }
        try:
            cloudformation.describe_stacks(StackName=name)
        except ClientError:
            cloudformation.create_stack(**request)
            kind = "create"
        else:
            cloudformation.update_stack(**request)
            kind = "update"
        waiter = cloudformation.get_waiter(f"stack_{kind}_complete")
        waiter.wait(StackName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 100})
        outputs = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
        return outputs[0]["OutputValue"]

    return run


@pytest.fixture(scope="module")
def signed_api(deploy) -> str:
    return deploy("strict-api-signed", template("signed"))


@pytest.fixture(scope="module")
def post(cloud: RunningCloud) -> Callable[..., Answered]:
    """POST to a path of the front route, signed with a client's credentials or not at all."""

    def call(
        path: str,
        body: bytes | dict[str, Any],
        credentials: Credentials | None = None,
        kind: str = "application/json",
        **headers: str,
    ) -> Answered:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers["Content-Type"] = kind
        request = AWSRequest("POST", cloud.url + path, data=data, headers=headers)
        if credentials:
            SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
        sent = urllib.request.Request(request.url, data, dict(request.headers), method="POST")
        try:
            with urllib.request.urlopen(sent) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return call


def credentials_of(client: Any) -> Credentials:
    return client._request_signer._credentials


ASK = {"image_name": "download-1.jpg"}


def test_an_unsigned_call_is_refused_in_the_declared_words(signed_api, post):
    assert post("/signed/predict", ASK) == (403, {"code": "unsigned"})


def test_a_wrong_signature_is_refused(cloud, signed_api, post):
    wrong = Credentials(cloud.access_key, "not-the-secret")
    status, body = post("/signed/predict", ASK, wrong)
    assert status == 403
    assert "signature" in body["message"]
    status, body = post("/signed/predict", ASK, Credentials("test", "test"))
    assert status == 403
    assert "security token" in body["message"]


def test_a_signed_caller_needs_execute_api_invoke(acting_as, allow, signed_api, post):
    nobody = credentials_of(acting_as("api-nobody", allow("s3:*", "*"))("sts"))
    assert post("/signed/predict", ASK, nobody) == (403, {"code": "forbidden"})
    arn = f"arn:aws:execute-api:{REGION}:*:{signed_api}/signed/POST/predict"
    caller = credentials_of(acting_as("api-caller", allow("execute-api:Invoke", arn))("sts"))
    status, body = post("/signed/predict", ASK, caller)
    assert status == 200
    assert (body["stage"], body["path"]) == ("signed", "/predict")
    assert ":assumed-role/api-caller/" in body["caller"]


def test_curl_signs_the_front_route(cloud, signed_api):
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    asked = subprocess.run(
        [
            *("curl", "-s", "-X", "POST", f"{cloud.url}/signed/predict"),
            *("--aws-sigv4", f"aws:amz:{REGION}:execute-api"),
            *("--user", f"{cloud.access_key}:{cloud.secret_key}"),
            *("-H", "Content-Type: application/json", "-d", json.dumps(ASK)),
        ],
        capture_output=True,
        check=True,
    )
    assert json.loads(asked.stdout)["name"] == "download-1.jpg"


def test_a_body_is_checked_by_the_model_of_its_content_type(cloud, signed_api, post):
    admin = Credentials(cloud.access_key, cloud.secret_key)
    assert post("/signed/predict", {"image": 1}, admin) == (400, {"code": "bad_request"})
    assert post("/signed/predict", {"image_name": ""}, admin) == (400, {"code": "bad_request"})
    assert post("/signed/predict", b"not json", admin) == (400, {"code": "bad_request"})
    status, _ = post("/signed/predict", b"as it is", admin, kind="text/plain")
    assert status == 200


def test_failures_behind_the_api_keep_their_words_to_themselves(cloud, signed_api, post):
    admin = Credentials(cloud.access_key, cloud.secret_key)
    internal = (502, {"message": "Internal server error"})
    assert post("/signed/predict", {"image_name": "fails"}, admin) == internal
    assert post("/signed/predict", {"image_name": "malformed"}, admin) == internal


def test_an_integration_over_its_time_is_504(deploy, post):
    deploy("strict-api-slow", template("slow", timeout_ms=2000), ApiAuthorization="NONE")
    started = time.monotonic()
    assert post("/slow/predict", {"image_name": "slow"}) == (504, {"code": "timeout"})
    assert 2 <= time.monotonic() - started < 20


def test_a_body_over_ten_megabytes_is_413(cloud, signed_api, post):
    admin = Credentials(cloud.access_key, cloud.secret_key)
    large = b" " * 10_485_761
    assert post("/signed/predict", large, admin) == (413, {"code": "too_large"})


def test_none_lets_everybody_in_and_an_update_shuts_the_same_api_again(deploy, post):
    first = deploy("strict-api-open", template("open"), ApiAuthorization="NONE")
    status, body = post("/open/predict", ASK)
    assert (status, body["name"]) == (200, "download-1.jpg")
    time.sleep(1)  # SAM names an AlwaysDeploy deployment after the second
    second = deploy("strict-api-open", template("open"), ApiAuthorization="AWS_IAM")
    assert first == second
    assert post("/open/predict", ASK) == (403, {"code": "unsigned"})


def test_a_change_that_is_not_deployed_is_not_live(deploy, post):
    stale = template("stale", deploy_anew=False)
    deploy("strict-api-stale", stale, ApiAuthorization="NONE")
    time.sleep(1)
    deploy("strict-api-stale", stale, ApiAuthorization="AWS_IAM")
    assert post("/stale/predict", ASK)[0] == 200


def test_a_function_that_does_not_let_the_api_in_is_an_internal_error(deploy, post):
    shut = template("shut", permitted=False)
    deploy("strict-api-shut", shut, ApiAuthorization="NONE")
    assert post("/shut/predict", ASK) == (500, {"message": "Internal server error"})


@pytest.mark.parametrize(
    "change",
    [
        {"openapi": "3.1.0"},
        {"components": {"schemas": open_api()["components"]["schemas"]}},
    ],
    ids=["OpenAPI 3.1", "a security scheme that is not declared"],
)
def test_a_definition_that_would_fall_open_fails_the_stack(cloud, deploy, change):
    name = f"strict-api-{len(change)}-{next(iter(change))}"
    body = template("never")
    body["Resources"]["Api"]["Properties"]["DefinitionBody"] |= change
    with pytest.raises(Exception, match=r"ROLLBACK|Failed"):
        deploy(name, body)


def test_two_apis_with_one_stage_are_told_apart_by_their_paths(cloud, deploy, post):
    first = deploy("strict-api-twin-1", template("twin"), ApiAuthorization="NONE")
    assert post("/twin/predict", ASK)[0] == 200
    second = deploy("strict-api-twin-2", template("twin"), ApiAuthorization="NONE")
    status, body = post("/twin/predict", ASK)
    assert status == 409
    assert first in body["message"]
    assert post(f"/_aws/execute-api/{second}/twin/predict", ASK)[0] == 200
    host = f"{second}.execute-api.{REGION}.amazonaws.com"
    assert post("/twin/predict", ASK, Host=host)[0] == 200


def test_a_call_signed_for_the_apis_own_host_is_verified_as_such(cloud, signed_api, post):
    admin = Credentials(cloud.access_key, cloud.secret_key)
    host = f"{signed_api}.execute-api.{REGION}.amazonaws.com"
    assert post("/signed/predict", ASK, admin, Host=host)[0] == 200
    wrong = Credentials(cloud.access_key, "not-the-secret")
    assert post("/signed/predict", ASK, wrong, Host=host)[0] == 403


def test_a_stage_that_logs_needs_a_role_and_then_logs(cloud, deploy, make_role, post):
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/strict/api"
    line = (
        '{"status": "$context.status", "path": "$context.path", "id": "$context.requestId", '
        '"why": "$context.error.message"}'
    )
    body = template("logged")
    setting = {"DestinationArn": group, "Format": line}
    body["Resources"]["Api"]["Properties"]["AccessLogSetting"] = setting
    with pytest.raises(Exception, match=r"ROLLBACK|Failed"):
        deploy("strict-api-without-role", body, ApiAuthorization="NONE")
    write = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    role = make_role("api-logger", write, trusts="apigateway.amazonaws.com")
    account = {"Type": "AWS::ApiGateway::Account", "Properties": {"CloudWatchRoleArn": role}}
    body["Resources"] |= {"Account": account}
    body["Resources"]["Api"]["DependsOn"] = "Account"
    body["Resources"]["Api"]["Properties"]["Tags"] = {"log-role": {"Ref": "Account"}}
    deploy("strict-api-with-role", body, ApiAuthorization="NONE")
    assert cloud.client("apigateway").get_account()["cloudwatchRoleArn"] == role
    _, seen = post("/logged/predict", ASK)
    post("/logged/predict", {})
    events = cloud.client("logs").filter_log_events(logGroupName="/strict/api")["events"]
    told = [json.loads(event["message"]) for event in events]
    assert [entry["status"] for entry in told] == ["200", "400"]
    assert {entry["path"] for entry in told} == {"/logged/predict"}
    assert (told[0]["why"], told[0]["id"]) == ("-", seen["id"])


def test_s3_keeps_the_paths_that_are_signed_for_it(cloud, signed_api):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="signed")
    s3.put_object(Bucket="signed", Key="predict", Body=b"an object")
    assert s3.get_object(Bucket="signed", Key="predict")["Body"].read() == b"an object"
