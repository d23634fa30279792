"""From the endpoint's answers and failures to the API's."""

import json

import pytest
from api_error import ApiError
from common.notice import STANDING_NOTE
from predict_answer import api_answer, endpoint_error, http


class AwsError(Exception):
    def __init__(self, code, message="x", **more):
        super().__init__(message)
        self.response = {"Error": {"Code": code, "Message": message}, **more}


class ReadTimeoutError(Exception):
    """Named like botocore's."""


class EndpointConnectionError(Exception):
    """Named like botocore's."""


def answer(**model):
    prediction = {"predict": "Hexagon", "probabilities": {"Hexagon": 0.9, "Star": 0.1}}
    model = {"name": "glyphs", "version": "job-1", **model}
    return json.dumps({"predictions": [prediction], "model": model}).encode()


def test_the_answer_has_the_documented_form():
    assert api_answer(answer(sensitive=False), "download-1.jpg") == {
        "image_name": "download-1.jpg",
        "predict": "Hexagon",
        "probabilities": {"Hexagon": 0.9, "Star": 0.1},
        "model": {"name": "glyphs", "version": "job-1"},
    }


def test_an_uploaded_image_has_no_name_in_the_answer():
    assert "image_name" not in api_answer(answer(), None)


@pytest.mark.parametrize("model", [{"sensitive": True}, {}, {"sensitive": None}, {"sensitive": 0}])
def test_the_standing_note_goes_with_every_answer_unless_the_labels_are_harmless(model):
    assert api_answer(answer(**model), None)["note"] == STANDING_NOTE


def test_harmless_labels_need_no_note():
    assert "note" not in api_answer(answer(sensitive=False), None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Hexagon\n",
        b"[]",
        b'{"predictions": [], "model": {}}',
        b'{"predictions": [{"predict": "A"}], "model": {"name": "a", "version": "b"}}',
        b'{"predictions": [{"predict": "A", "probabilities": {"A": NaN}}], "model": '
        b'{"name": "a", "version": "b"}}',
        b'{"predictions": [{"predict": "A", "probabilities": {"A": 1}}]}',
        b"\xff",
    ],
)
def test_another_form_of_answer_is_the_models_error(body):
    with pytest.raises(ApiError) as raised:
        api_answer(body, None)
    assert (raised.value.code, raised.value.status) == ("model_error", 502)


def model_error(status, message="{}"):
    return AwsError("ModelError", OriginalStatusCode=status, OriginalMessage=message)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (AwsError("ValidationError", "Endpoint x of account 1 not found."), "not_deployed", 503),
        (AwsError("ThrottlingException"), "throttled", 429),
        (AwsError("ServiceUnavailable"), "throttled", 429),
        (AwsError("AccessDeniedException"), "internal_error", 500),
        (AwsError("ValidationError", "Value at 'body' failed"), "internal_error", 500),
        (ReadTimeoutError(), "timeout", 504),
        (EndpointConnectionError(), "model_error", 502),
        (model_error(400), "bad_request", 400),
        (model_error(413), "too_large", 413),
        (model_error(415), "not_an_image", 422),
        (model_error(422), "not_an_image", 422),
        (model_error(429), "throttled", 429),
        (model_error(503), "throttled", 429),
        (model_error(500), "model_error", 502),
        (model_error(0), "timeout", 504),
        (model_error(None), "model_error", 502),
    ],
)
def test_every_failure_of_the_endpoint_is_told_in_the_apis_terms(error, code, status):
    told = endpoint_error(error, "ethnicity-pred-dev-kmm", "dev")
    assert (told.code, told.status) == (code, status)


def test_a_missing_endpoint_is_told_with_its_name_and_what_to_do():
    missing = AwsError("ValidationError", "Endpoint x of account 1 not found.")
    told = endpoint_error(missing, "ethnicity-pred-dev-kmm", "dev").message
    assert "ethnicity-pred-dev-kmm" in told
    assert "step 4" in told


def test_the_models_own_words_are_passed_on_only_for_errors_of_the_caller():
    secret = '{"error": "cannot read image: truncated"}'
    assert endpoint_error(model_error(422, secret), "e", "dev").message.endswith("truncated")
    assert "truncated" not in endpoint_error(model_error(500, secret), "e", "dev").message


@pytest.mark.parametrize(
    "message", ["Traceback (most recent call last)", "[]", None, '{"error": 1}']
)
def test_anything_but_the_documented_error_is_not_passed_on(message):
    assert endpoint_error(model_error(400, message), "e", "dev").message == (
        "the model refuses this image"
    )


def test_an_answer_is_never_cached_and_carries_the_request_id():
    response = http(429, {"error": {}}, "r-1")
    assert response["headers"]["Cache-Control"] == "no-store"
    assert response["headers"]["X-Request-Id"] == "r-1"
    assert response["headers"]["Retry-After"] == "5"
    assert json.loads(response["body"]) == {"error": {}}
