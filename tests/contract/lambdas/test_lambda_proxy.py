"""POST /predict: every answer and every error in the API's one form."""

import base64
import json

import pytest
from fake_aws import AwsFault

PROXY = "Ethnicity-Pred-InferenceEndpoint-Proxy"
JPEG = b"\xff\xd8\xff\xe0" + b"\x00" * 100
ANSWER = {
    "predictions": [{"predict": "Hexagon", "probabilities": {"Hexagon": 0.97, "Star": 0.03}}],
    "model": {"name": "glyphs", "version": "job", "sensitive": False},
}


@pytest.fixture
def post(invoke, aws, request):
    """Send a body as API Gateway does; returns (status, body, the run)."""
    recorded = json.loads((request.config.rootpath / "tests/events/predict.json").read_text())
    aws.objects["data", "images/download-1.jpg"] = JPEG
    aws.model_answers = lambda kind, body: json.dumps(ANSWER).encode()

    def send(body=None, stage="dev", **settings):
        event = recorded | {"body": json.dumps(body)} if body is not None else recorded
        event["requestContext"] = recorded["requestContext"] | {"stage": stage}
        run = invoke(PROXY, event, **settings)
        answer = run.results[0]["result"]
        return answer["statusCode"], json.loads(answer["body"]), run

    return send


def code(answer):
    status, body, _ = answer
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "request_id"}
    assert body["error"]["request_id"] == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    return status, body["error"]["code"]


def test_a_stored_image_is_asked_about_at_the_stages_endpoint(post, aws):
    status, body, _ = post()
    assert status == 200
    assert body == {
        "image_name": "download-1.jpg",
        "predict": "Hexagon",
        "probabilities": {"Hexagon": 0.97, "Star": 0.03},
        "model": {"name": "glyphs", "version": "job"},
    }
    [asked] = aws.called("InvokeEndpoint")
    assert asked == {
        "EndpointName": "ethnicity-pred-dev-kmm",
        "ContentType": "image/jpeg",
        "Accept": "application/json",
        "Body": JPEG,
    }


def test_an_uploaded_png_goes_to_the_endpoint_as_it_is(post, aws):
    png = b"\x89PNG\r\n\x1a\nrest"
    status, body, _ = post({"image": base64.b64encode(png).decode()})
    assert (status, "image_name" in body) == (200, False)
    [asked] = aws.called("InvokeEndpoint")
    assert (asked["ContentType"], asked["Body"]) == ("image/png", png)
    assert not aws.called("GetObject")


def test_uploads_are_forbidden_by_default(post, aws):
    image = base64.b64encode(JPEG).decode()
    assert code(post({"image": image}, ALLOW_IMAGE_UPLOADS=None)) == (403, "forbidden")
    assert not aws.calls


def test_every_answer_about_people_carries_the_standing_note(post, aws):
    sensitive = ANSWER | {"model": ANSWER["model"] | {"sensitive": True}}
    aws.model_answers = lambda kind, body: json.dumps(sensitive).encode()
    assert "cannot establish" in post()[1]["note"]


def test_a_stage_without_an_endpoint_is_not_found(post):
    assert code(post(stage="prod")) == (404, "not_found")


@pytest.mark.parametrize(
    "missing",
    [
        AwsFault("NoSuchKey", "The specified key does not exist.", 404),
        AwsFault("AccessDenied", "not authorized to perform: s3:ListBucket", 403),
    ],
)
def test_a_missing_image_is_not_found_with_or_without_the_right_to_list(post, aws, missing):
    aws.missing_object = missing
    answer = post({"image_name": "nobody.jpg"})
    assert code(answer) == (404, "not_found")
    assert "'nobody.jpg'" in answer[1]["error"]["message"]


def test_a_right_that_we_lack_is_our_fault_not_the_callers(post, aws):
    aws.fail("GetObject", "AccessDenied", "not authorized to perform: kms:Decrypt", 403)
    answer = post()
    assert code(answer) == (500, "internal_error")
    assert "kms" not in answer[1]["error"]["message"]
    assert "kms:Decrypt" in answer[2].log


def test_a_stored_file_that_is_no_image_is_unprocessable(post, aws):
    aws.objects["data", "images/download-1.jpg"] = b"GIF89a"
    assert code(post()) == (422, "not_an_image")


def test_a_stored_image_that_is_too_large_reaches_no_endpoint(post, aws):
    aws.objects["data", "images/download-1.jpg"] = JPEG + bytes(5_000_000)
    assert code(post()) == (413, "too_large")
    assert not aws.called("InvokeEndpoint")


def test_a_name_that_leaves_the_folder_reaches_no_bucket(post, aws):
    assert code(post({"image_name": "../train/train.csv"})) == (400, "bad_request")
    assert not aws.calls


def test_before_the_first_deployment_it_says_what_to_do(post, aws):
    missing = "Endpoint ethnicity-pred-dev-kmm of account 000000000000 not found."
    aws.fail("InvokeEndpoint", "ValidationError", missing)
    answer = post()
    assert code(answer) == (503, "not_deployed")
    assert "step 4" in answer[1]["error"]["message"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, (400, "bad_request")), (422, (422, "not_an_image")), (500, (502, "model_error"))],
)
def test_the_models_refusals_are_passed_on_and_its_faults_are_not(post, aws, status, expected):
    def refuse(kind, body):
        told = {"OriginalStatusCode": status, "OriginalMessage": '{"error": "odd picture"}'}
        raise AwsFault("ModelError", "Received error from primary", 424, **told)

    aws.model_answers = refuse
    answer = post()
    assert code(answer) == expected
    assert ("odd picture" in answer[1]["error"]["message"]) == (status < 500)


def test_too_many_requests_are_told_to_come_back(post, aws):
    aws.fail("InvokeEndpoint", "ThrottlingException", "Rate exceeded")
    assert code(post()) == (429, "throttled")
    assert len(aws.called("InvokeEndpoint")) == 1


def test_an_answer_of_another_form_is_the_models_error(post, aws):
    aws.model_answers = lambda kind, body: b"Hexagon\n"
    assert code(post()) == (502, "model_error")


def test_a_missing_setting_is_logged_and_told_to_nobody(post):
    answer = post(DATA_BUCKET=None)
    assert code(answer) == (500, "internal_error")
    assert "DATA_BUCKET" not in answer[1]["error"]["message"]
    assert "DATA_BUCKET" in answer[2].log


def test_an_event_without_anything_is_answered_too(invoke):
    for event in ({}, {"requestContext": None, "body": 7}, {"headers": [], "requestContext": {}}):
        answer = invoke(PROXY, event).results[0]["result"]
        assert answer["statusCode"] in {400, 404, 500}
        assert json.loads(answer["body"])["error"]["code"]


def test_the_log_says_how_it_went_and_never_what_was_sent(post):
    image = base64.b64encode(b"GIF89a the picture itself").decode()
    _, _, run = post({"image": image})
    [line] = run.lines
    assert (line["status"], line["code"]) == (422, "not_an_image")
    assert line["request_id"] == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert image not in run.log
