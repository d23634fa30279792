"""What the API accepts, and how it refuses the rest."""

import base64
import json

import pytest
from api_error import STATUS, ApiError
from hypothesis import given, settings
from hypothesis import strategies as st
from predict_request import MAX_IMAGE_BYTES, check_size, content_type, parse, plain_name

JPEG, PNG = b"\xff\xd8\xff\xe0rest", b"\x89PNG\r\n\x1a\nrest"


def event(body, **more):
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    return {"headers": {"Content-Type": "application/json"}, "body": text, **more}


def parsed(body, *, allow_uploads=True, **more):
    return parse(event(body, **more), allow_uploads=allow_uploads)


def refusal(body, **more):
    with pytest.raises(ApiError) as raised:
        parsed(body, **more)
    return raised.value


def test_an_image_is_asked_for_by_its_name():
    assert parsed({"image_name": "download-1.jpg"}).image_name == "download-1.jpg"


def test_an_uploaded_image_is_decoded():
    assert parsed({"image": base64.b64encode(JPEG).decode()}).image == JPEG


def test_a_body_that_api_gateway_has_encoded_is_read_as_well():
    body = base64.b64encode(b'{"image_name": "a.jpg"}').decode()
    assert parsed(body, isBase64Encoded=True).image_name == "a.jpg"


def test_uploads_are_forbidden_where_the_stack_does_not_allow_them():
    error = refusal({"image": base64.b64encode(JPEG).decode()}, allow_uploads=False)
    assert (error.code, error.status) == ("forbidden", 403)


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        "{",
        "[]",
        '"download-1.jpg"',
        "null",
        "[" * 100_000,
        '{"image_name": ' + "9" * 5_000 + "}",
        {},
        {"image_name": "a.jpg", "image": "AAAA"},
        {"image_name": "a.jpg", "size": 3},
        {"name": "a.jpg"},
        {"image": 7},
        {"image": "not base64!"},
        {"image": "data:image/png;base64,AAAA"},
    ],
)
def test_a_malformed_body_is_a_bad_request(body):
    assert refusal(body).code == "bad_request"


PATHS = ["", ".", "..", "../a.jpg", "a/b.jpg", "/a.jpg", "a\\b.jpg", "a..jpg", ".hidden"]
NO_NAMES = ["a\nb.jpg", "\x00.jpg", "x" * 256, "é" * 200, "\ud800.jpg", 7, None, ["a.jpg"]]


@pytest.mark.parametrize("name", PATHS + NO_NAMES)
def test_only_a_plain_name_names_an_image(name):
    assert refusal({"image_name": name}).code == "bad_request"


@pytest.mark.parametrize("name", ["download-1.jpg", "A photo (2).PNG", "größe.jpg", "a+b&c=d.jpg"])
def test_a_plain_name_may_look_like_peoples_files_do(name):
    assert plain_name(name) == name


def test_another_content_type_is_unsupported():
    error = refusal({"image_name": "a.jpg"}, headers={"content-type": "image/jpeg"})
    assert (error.code, error.status) == ("unsupported_media_type", 415)


@pytest.mark.parametrize("headers", [None, {}, {"CONTENT-TYPE": "Application/JSON; charset=utf-8"}])
def test_json_is_recognised_however_the_header_is_written_or_left_out(headers):
    assert parsed({"image_name": "a.jpg"}, headers=headers).image_name == "a.jpg"


def test_an_image_too_large_for_the_endpoint_is_refused_before_it_is_decoded():
    check_size(MAX_IMAGE_BYTES)
    text = base64.b64encode(bytes(MAX_IMAGE_BYTES + 1)).decode()
    assert refusal({"image": text}).status == 413


def test_an_empty_image_is_no_image():
    assert refusal({"image": ""}).code == "not_an_image"


def test_the_kind_of_an_image_is_told_by_its_first_bytes():
    assert (content_type(JPEG), content_type(PNG)) == ("image/jpeg", "image/png")


@pytest.mark.parametrize("image", [b"", b"GIF89a", b"<svg/>", b"\xff\xd8", b"\x89PNG"])
def test_other_bytes_are_not_an_image(image):
    with pytest.raises(ApiError) as raised:
        content_type(image)
    assert (raised.value.code, raised.value.status) == ("not_an_image", 422)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
BODY = st.one_of(
    JSON,
    st.fixed_dictionaries({"image_name": st.text(max_size=300) | JSON}),
    st.fixed_dictionaries({"image": st.text(max_size=40) | JSON}),
)


@settings(max_examples=50)
@given(
    body=BODY.map(json.dumps) | st.text(max_size=60), encoded=st.booleans(), uploads=st.booleans()
)
def test_whatever_is_sent_the_answer_is_a_request_or_an_error_of_the_caller(body, encoded, uploads):
    try:
        request = parse(event(body, isBase64Encoded=encoded), allow_uploads=uploads)
    except ApiError as error:
        assert error.status in {400, 403, 413, 422}
        assert error.message
    else:
        assert (request.image_name is None) != (request.image is None)
        assert uploads or request.image is None


@settings(max_examples=50)
@given(name=st.text(max_size=60))
def test_an_accepted_name_never_leaves_the_images_folder(name):
    try:
        key = "images/" + plain_name(name)
    except ApiError:
        return
    assert key.count("/") == 1
    assert ".." not in key
    assert key.isprintable()


def test_every_error_code_has_a_status_of_its_kind():
    assert all(400 <= status <= 504 for status in STATUS.values())
