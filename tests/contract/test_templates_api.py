"""The API: its one definition, the file that is exported from it, and the code behind it."""

import importlib
import json
import re
from pathlib import Path

import export_openapi
import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROXY = ROOT / "lambda-code/Ethnicity-Pred-InferenceEndpoint-Proxy"


@pytest.fixture
def proxy(monkeypatch):
    """Return a function that imports a module of the API's function."""
    monkeypatch.syspath_prepend(str(PROXY))
    return importlib.import_module


@pytest.fixture
def document(pipeline):
    return export_openapi.openapi(pipeline)


@pytest.fixture
def body(pipeline):
    return pipeline["Resources"]["PredictApi"]["Properties"]["DefinitionBody"]


def validator(document, name):
    schemas = document["components"]["schemas"]
    return jsonschema.Draft4Validator(schemas[name] | {"components": document["components"]})


def test_the_exported_file_is_the_templates_definition(document):
    committed = (ROOT / "docs/openapi.yml").read_text(encoding="utf-8")
    assert committed == export_openapi.as_yaml(document), "run scripts/export_openapi.py"


def test_api_gateway_can_import_the_definition(body):
    """It takes OpenAPI 2.0 and 3.0, and model names of letters and digits only."""
    assert body["openapi"] == "3.0.1"
    assert all(re.fullmatch("[A-Za-z0-9]+", name) for name in body["components"]["schemas"])
    unsupported = {"nullable", "discriminator", "anyOf", "not", "const", "examples"}
    assert not unsupported & set(re.findall(r'"(\w+)":', json.dumps(body)))


@pytest.mark.parametrize(("value", "security"), [("AWS_IAM", [{"sigv4": []}]), ("NONE", [])])
def test_requests_must_be_signed_unless_the_stack_says_otherwise(pipeline, value, security):
    document = export_openapi.openapi(pipeline, ApiAuthorization=value)
    assert document["paths"]["/predict"]["post"]["security"] == security


def test_signing_is_the_default(document, pipeline):
    assert pipeline["Parameters"]["ApiAuthorization"]["Default"] == "AWS_IAM"
    [method] = [m for path in document["paths"].values() for m in path.values()]
    assert method["security"] == [{"sigv4": []}]
    scheme = document["components"]["securitySchemes"]["sigv4"]
    assert scheme["x-amazon-apigateway-authtype"] == "awsSigv4"


def test_every_update_deploys_the_stages_anew(pipeline):
    """SAM sees the body before conditions are put in, so a changed parameter would not count."""
    assert pipeline["Resources"]["PredictApi"]["Properties"]["AlwaysDeploy"] is True


def test_uploads_are_off_by_default(pipeline):
    assert pipeline["Parameters"]["AllowImageUploads"]["Default"] == "false"


def test_errors_are_those_of_the_code(document, proxy):
    status = proxy("api_error").STATUS
    error = document["components"]["schemas"]["Error"]["properties"]["error"]
    assert error["properties"]["code"]["enum"] == list(status)
    responses = document["paths"]["/predict"]["post"]["responses"]
    assert sorted(responses) == sorted({"200", *map(str, status.values())})


def test_api_gateways_own_errors_have_the_form_of_ours(body, document):
    check = validator(document, "Error")
    responses = body["x-amazon-apigateway-gateway-responses"]
    assert {"DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "BAD_REQUEST_BODY"} <= responses.keys()
    for kind, response in responses.items():
        text = response["responseTemplates"]["application/json"]
        text = text.replace("$context.error.messageString", '"a message"')
        check.validate(json.loads(text.replace("$context.requestId", "an-id"))), kind
        assert "$" not in text.replace("$context.requestId", ""), kind


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("ACCESS_DENIED", "forbidden"),
        ("MISSING_AUTHENTICATION_TOKEN", "forbidden"),
        ("THROTTLED", "throttled"),
        ("REQUEST_TOO_LARGE", "too_large"),
        ("INTEGRATION_TIMEOUT", "timeout"),
        ("BAD_REQUEST_BODY", "bad_request"),
    ],
)
def test_api_gateways_own_errors_use_the_right_code(body, kind, code):
    response = body["x-amazon-apigateway-gateway-responses"][kind]
    assert f'"code": "{code}"' in response["responseTemplates"]["application/json"]


@pytest.mark.parametrize(
    ("request_body", "is_valid"),
    [
        ({"image_name": "download-1.jpg"}, True),
        ({"image": "aGVsbG8="}, True),
        ({}, False),
        ([], False),
        ({"image_name": ""}, False),
        ({"image_name": 1}, False),
        ({"image_name": "a", "image": "b"}, False),
        ({"image_name": "a", "more": 1}, False),
        ({"name": "a"}, False),
    ],
)
def test_the_request_schema_takes_what_the_code_takes(document, proxy, request_body, is_valid):
    assert validator(document, "PredictRequest").is_valid(request_body) == is_valid
    request = proxy("predict_request")
    event = {"body": json.dumps(request_body)}
    if is_valid:
        request.parse(event, allow_uploads=True)
    else:
        with pytest.raises(proxy("api_error").ApiError, match=r"body|image"):
            request.parse(event, allow_uploads=True)


@pytest.mark.parametrize("sensitive", [True, False])
def test_the_codes_answers_fit_the_response_schema(document, proxy, sensitive):
    model = {"name": "glyphs", "version": "a-job", "sensitive": sensitive}
    prediction = {"predict": "Hexagon", "probabilities": {"Hexagon": 0.97, "Star": 0.03}}
    content = json.dumps({"predictions": [prediction], "model": model}).encode()
    answer = proxy("predict_answer").api_answer(content, "download-1.jpg")
    validator(document, "Prediction").validate(answer)
    known = document["components"]["schemas"]["Prediction"]["properties"]
    assert answer.keys() <= known.keys()
    assert ("note" in answer) == sensitive


def test_both_stages_are_throttled_and_logged_alike(pipeline):
    dev = pipeline["Resources"]["PredictApi"]["Properties"]
    prod = pipeline["Resources"]["ProdApiStage"]["Properties"]
    assert (dev["StageName"], prod["StageName"]) == ("dev", "prod")
    for key in ("MethodSettings", "AccessLogSetting"):
        assert dev[key] == prod[key], key
    [settings] = dev["MethodSettings"]
    assert settings["ThrottlingRateLimit"] == {"Ref": "ApiRateLimit"}
    assert settings["ThrottlingBurstLimit"] == {"Ref": "ApiBurstLimit"}
    assert settings["DataTraceEnabled"] is False
    assert prod["DeploymentId"] == {"Ref": "PredictApi.Deployment"}


def test_access_log_lines_are_json(pipeline):
    line = pipeline["Resources"]["PredictApi"]["Properties"]["AccessLogSetting"]["Format"]
    assert json.loads(line)["requestId"] == "$context.requestId"


def test_only_this_api_may_invoke_the_function(pipeline, stack_of):
    permission = pipeline["Resources"]["ApiMayInvokeProxy"]["Properties"]
    source = stack_of(pipeline, PredictApi="apiid")(permission["SourceArn"])
    assert source == "arn:aws:execute-api:us-east-1:123456789012:apiid/*/POST/predict"
