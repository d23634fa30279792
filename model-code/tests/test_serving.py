"""The web application, without a socket."""

import asyncio
import base64
import io
import json
import threading
import time
from typing import ClassVar

import numpy as np
import pytest
from ethnicity_prediction.app import INLINE_BYTES, App, inline_limits
from ethnicity_prediction.labels import Labels
from ethnicity_prediction.logs import Journal
from ethnicity_prediction.message import Request
from ethnicity_prediction.wire import JSON as JSON_TYPE
from ethnicity_prediction.wire import MAX_ROWS, AnswerWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import WORDS, draw

ROWS = draw(6, seed=3)
PIXELS = [" ".join(map(str, image.ravel())) for _, image in ROWS]
CSV = "\n".join(PIXELS).encode()


def picture(kind: str, index: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(ROWS[index][1]).save(buffer, kind)
    return buffer.getvalue()


def request(predictor, body=b"", headers=None, method="POST", path="/invocations"):
    """Answer of the application: (status, content type, body)."""
    return requests(predictor, [Request(method, path, named(headers or {}), body)])[0]


def named(headers):
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


def requests(predictor, asked, journal=None, row_s=0.0001):
    """Answers to requests that are there at the same time."""

    async def answer():
        app = App(predictor, journal or Journal(io.StringIO()), inline_limits(row_s))
        loop = asyncio.get_running_loop()
        replies = [loop.create_future() for _ in asked]
        for each, reply in zip(asked, replies, strict=True):
            app(each, reply.set_result)
        return await asyncio.gather(*replies)

    return [(each.status, each.kind, each.body) for each in asyncio.run(answer())]


def invoke(predictor, body, content_type, accept=None):
    headers = {"Content-Type": content_type} | ({"Accept": accept} if accept else {})
    return request(predictor, body, headers)


def test_ping_answers_once_the_model_is_there(predictor):
    assert request(predictor, method="GET", path="/ping")[0] == 200


@pytest.mark.parametrize("separator", [" ", ","])
@pytest.mark.parametrize("label", ["", "2,", "flat,"])
def test_csv_rows_give_one_label_a_line(predictor, label, separator):
    body = "\n".join(label + row.replace(" ", separator) for row in PIXELS).encode()
    status, kind, answer = invoke(predictor, body, "text/csv; charset=utf-8")
    assert (status, kind) == (200, "text/csv")
    assert answer.decode().splitlines() == [word for word, _ in ROWS]


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_an_image_gives_its_label_and_all_probabilities(predictor, kind):
    status, content_type, answer = invoke(predictor, picture(kind), f"image/{kind}")
    assert (status, content_type) == (200, "application/json")
    content = json.loads(answer)
    assert content["model"] == {
        "name": "ethnicity-prediction",
        "version": "tiny-1",
        "sensitive": True,
    }
    [prediction] = content["predictions"]
    assert prediction["predict"] == ROWS[0][0]
    assert set(prediction["probabilities"]) == set(WORDS)
    assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert max(prediction["probabilities"].items(), key=lambda p: p[1])[0] == ROWS[0][0]


def test_labels_of_any_letters_are_written_as_json():
    names = ('say "a"', "100 %s", "\\ü\n")
    card = {"name": "n", "version": "v%d", "sensitive": False}
    write = AnswerWriter(Labels(("0", "1", "2"), names, False), card)
    answer = json.loads(write(np.array([[0.25, 0.7, 0.05], [1, 0, 1e-7]], np.float32), JSON_TYPE))
    assert [each["predict"] for each in answer["predictions"]] == [names[1], names[0]]
    assert answer["predictions"][0]["probabilities"] == dict(
        zip(names, (0.25, 0.7, 0.05), strict=True)
    )
    assert list(answer["predictions"][1]["probabilities"].values()) == [1, 0, 0]
    assert answer["model"] == card


def test_json_takes_images_and_pixels_side_by_side(predictor):
    instances = [
        {"image": base64.b64encode(picture("png", 1)).decode()},
        {"pixels": ROWS[2][1].ravel().tolist()},
    ]
    body = json.dumps({"instances": instances}).encode()
    status, _, answer = invoke(predictor, body, "application/json")
    assert status == 200
    predicted = [p["predict"] for p in json.loads(answer)["predictions"]]
    assert predicted == [ROWS[1][0], ROWS[2][0]]


def test_all_forms_of_one_picture_give_the_same_probabilities(predictor):
    image = ROWS[0][1]
    instances = {"instances": [{"pixels": image.ravel().tolist()}]}
    forms = [
        (picture("png"), "image/png"),
        (PIXELS[0].encode(), "text/csv"),
        (json.dumps(instances).encode(), "application/json"),
    ]
    answers = [invoke(predictor, body, kind, "application/json")[2] for body, kind in forms]
    assert len(set(answers)) == 1


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("text/csv", "text/csv"),
        ("*/*", "text/csv"),
        ("image/webp, application/json;q=0.9", "application/json"),
    ],
)
def test_the_accept_header_chooses_the_form(predictor, accept, kind):
    assert invoke(predictor, CSV, "text/csv", accept)[:2] == (200, kind)


def test_a_body_may_be_large(predictor):
    body = "\n".join(PIXELS * 20).encode()
    assert len(body) > INLINE_BYTES
    status, _, answer = invoke(predictor, body, "text/csv")
    assert status == 200
    assert answer.decode().splitlines() == [word for word, _ in ROWS] * 20


def blank(width, height):
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def in_json(*images):
    instances = [{"image": base64.b64encode(each).decode()} for each in images]
    return json.dumps({"instances": instances}).encode()


@pytest.mark.parametrize(
    ("body", "kind", "row_s", "on_the_loop"),
    [
        (CSV, "text/csv", 0.0001, True),
        (picture("png"), "image/png", 0.0001, True),
        (blank(640, 480), "image/png", 0.0001, True),
        (blank(4800, 5000), "image/png", 0.0001, False),
        (in_json(*[blank(640, 480)] * 2), "application/json", 0.0001, False),
        (in_json(*[blank(1, 1)] * 20), "application/json", 0.0001, True),
        (in_json(*[blank(1, 1)] * 21), "application/json", 0.0001, False),
        (CSV, "text/csv", 0.001, False),
        (PIXELS[0].encode(), "text/csv", 0.001, True),
        (PIXELS[0].encode(), "text/csv", 0.01, False),
    ],
)
def test_what_takes_long_is_done_beside_the_loop(predictor, body, kind, row_s, on_the_loop):
    class Watching:
        spec, card, labels = predictor.spec, predictor.card, predictor.labels
        threads: ClassVar[list[threading.Thread]] = []

        def predict(self, images):
            self.threads.append(threading.current_thread())
            return predictor.predict(images)

    asked = Request("POST", "/invocations", named({"Content-Type": kind}), body)
    [(status, _, _)] = requests(Watching(), [asked], row_s=row_s)
    assert (status, len(body) < INLINE_BYTES) == (200, True)
    assert [each is threading.main_thread() for each in Watching.threads] == [on_the_loop]


def test_a_row_is_timed_at_the_start(predictor):
    assert 0 < predictor.warm_up() < 1


BOMB = io.BytesIO()
Image.new("1", (6000, 5000)).save(BOMB, "PNG")


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "words"),
    [
        (b"", "text/csv", None, 400, "no rows"),
        (b"1 2 3", "text/csv", None, 400, "row 1: 3 pixels, not 2304"),
        (CSV + b"\n1 x", "text/csv", None, 400, "row 7: pixel 2 is 'x'"),
        (b"{", "application/json", None, 400, "not JSON"),
        (b"[" * 100_000, "application/json", None, 400, "not JSON"),
        (b"[]", "application/json", None, 400, "instances"),
        (b'{"instances": []}', "application/json", None, 400, "no rows"),
        (b'{"instances": [{}]}', "application/json", None, 400, "row 1"),
        (b'{"instances": [{"image": 1}]}', "application/json", None, 400, "base64 string"),
        (b'{"instances": [{"image": "%"}]}', "application/json", None, 400, "not base64"),
        (b'{"instances": [{"pixels": [1]}]}', "application/json", None, 400, "2304 numbers"),
        (CSV, "text/csv", "image/png", 406, "answers are text/csv or application/json"),
        (b"1\n" * (MAX_ROWS + 1), "text/csv", None, 413, "at most 1000"),
        (BOMB.getvalue(), "image/png", None, 413, "6000 x 5000"),
        (CSV, "text/plain", None, 415, "text/plain is not read"),
        (CSV, "", None, 415, "(none) is not read"),
        (b"GIF89a", "image/jpeg", None, 422, "no JPEG or PNG"),
        (b'{"instances": [{"image": "AAAA"}]}', "application/json", None, 422, "row 1"),
        (b"300 " + CSV.split(b" ", 1)[1], "text/csv", None, 422, "pixel 1 is 300"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(predictor, body, content_type, accept, status, words):
    answered, kind, answer = invoke(predictor, body, content_type, accept)
    assert (answered, kind) == (status, "application/json")
    assert list(json.loads(answer)) == ["error"]
    assert words in json.loads(answer)["error"]


def test_a_pixel_outside_the_range_is_refused_in_json_too(predictor):
    pixels = ROWS[0][1].ravel().tolist()
    for wrong, status in ((256, 422), (-1, 422), (1.5, 400), (True, 400), ("1", 400)):
        body = json.dumps({"instances": [{"pixels": [wrong, *pixels[1:]]}]}).encode()
        assert invoke(predictor, body, "application/json")[0] == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("POST", "/ping", 405), ("GET", "/invocations", 405)],
)
def test_other_paths_and_methods_are_refused(predictor, method, path, status):
    assert request(predictor, method=method, path=path)[0] == status


def test_an_error_of_ours_is_logged_and_keeps_its_traceback_to_itself(predictor, caplog):
    class Broken:
        spec, card, labels = predictor.spec, predictor.card, predictor.labels

        def predict(self, images):
            raise RuntimeError("secret detail")

    status, _, answer = invoke(Broken(), CSV, "text/csv")
    assert status == 500
    assert b"secret" not in answer
    assert "secret detail" in caplog.text


def test_requests_that_are_there_together_are_predicted_together(predictor):
    class Counting:
        spec, card, labels = predictor.spec, predictor.card, predictor.labels
        rows: ClassVar[list[int]] = []

        def predict(self, images):
            self.rows.append(len(images))
            return predictor.predict(images)

    csv = {"Content-Type": "text/csv"}
    asked = [Request("POST", "/invocations", named(csv), row.encode()) for row in PIXELS * 3]
    asked[4] = Request("POST", "/invocations", named(csv), b"1 2 3")
    asked[7] = Request("POST", "/invocations", named(csv), CSV)
    asked[8] = Request("POST", "/invocations", named({"Content-Type": "image/png"}), picture("png"))
    answers = requests(Counting(), asked)
    assert Counting.rows == [12, 8, 2]  # the 6 rows of one request are not torn apart
    assert [status for status, _, _ in answers] == [200] * 4 + [400] + [200] * 13
    words = [word for word, _ in ROWS] * 3
    for position in {*range(18)} - {4, 7, 8}:
        assert answers[position][2].decode() == words[position] + "\n"
    assert answers[7][2].decode().splitlines() == words[:6]
    assert json.loads(answers[8][2])["predictions"][0]["predict"] == words[0]


def test_the_log_has_facts_and_no_pixels(predictor):
    stream = io.StringIO()
    journal = Journal(stream)
    asked = [
        Request("POST", "/invocations", named({"Content-Type": kind}), CSV)
        for kind in ("text/csv", 'te"xt/' + "x" * 99)
    ]
    requests(predictor, asked, journal)
    assert stream.getvalue() == ""  # lines are written a few times a second
    journal.flush()
    refused, served = sorted(map(json.loads, stream.getvalue().splitlines()), key=len)[::-1]
    assert (served["event"], served["level"]) == ("invocation", "INFO")
    assert (served["status"], served["rows"], served["content_type"]) == (200, 6, "text/csv")
    assert served["ms"] > 0
    assert abs(served["time"] - time.time()) < 60
    assert (refused["status"], len(refused["content_type"])) == (415, 40)
    assert "is not read" in refused["error"]
    assert PIXELS[0][:30] not in stream.getvalue()


TYPES = st.sampled_from(["text/csv", "application/json", "image/jpeg", "image/png", "x/y", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["instances", "image", "pixels", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)
BODIES = (
    st.binary(max_size=300)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"instances": [value]}).encode())
    | st.text("0123456789 ,\n.-x", max_size=200).map(str.encode)
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES, TYPES, st.sampled_from([None, "text/csv", "*/*", ";;,", "a/b"]))
def test_no_body_whatever_makes_an_error_of_ours(predictor, body, content_type, accept):
    status, _, answer = invoke(predictor, body, content_type, accept)
    assert status < 500
    if status != 200:
        assert json.loads(answer)["error"]


def test_many_rows_are_predicted_like_single_ones(predictor):
    images = np.stack([image for _, image in draw(70, seed=5)])[..., None]
    together = predictor.predict(images)
    alone = np.concatenate([predictor.predict(images[i : i + 1]) for i in range(70)])
    assert np.allclose(together, alone, atol=1e-5)
