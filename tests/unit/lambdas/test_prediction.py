"""One API request against plain objects in place of AWS."""

import json

import pytest
from prediction import Services, respond

ENVIRON = {"DATA_BUCKET": "data", "ENDPOINTS": '{"dev": "endpoint"}'}
EVENT = {
    "requestContext": {"stage": "dev", "requestId": "r"},
    "body": '{"image_name": "a.jpg"}',
}


class Body:
    def read(self):
        raise AssertionError("nobody may read this")


class S3:
    def get_object(self, **where):
        assert where == {"Bucket": "data", "Key": "images/a.jpg"}
        return {"ContentLength": 5_000_001, "Body": Body()}


class Unreachable:
    def __call__(self):
        raise AssertionError("nobody may ask for this client")


def answered(environ=ENVIRON, s3=S3, **event):
    response = respond({**EVENT, **event}, Services(s3, Unreachable()), environ)
    return response["statusCode"], json.loads(response["body"])["error"]["code"]


def test_an_image_that_is_too_large_is_not_even_read():
    assert answered() == (413, "too_large")


@pytest.mark.parametrize("endpoints", ["", "not json", "[]", "null", '"endpoint"'])
def test_a_broken_list_of_endpoints_is_our_fault(endpoints):
    assert answered({**ENVIRON, "ENDPOINTS": endpoints}) == (500, "internal_error")


@pytest.mark.parametrize("stage", ["prod", "", "DEV", "toString"])
def test_a_stage_that_is_not_listed_has_no_endpoint(stage):
    context = {"stage": stage, "requestId": "r"}
    assert answered(requestContext=context) == (404, "not_found")


def test_a_refused_request_makes_no_client():
    assert answered(s3=Unreachable(), body="{}") == (400, "bad_request")
