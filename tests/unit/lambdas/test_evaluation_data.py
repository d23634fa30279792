"""Reading labelled data, and checking what the endpoint says about it."""

import json

import pytest
from endpoint_answers import BadAnswer, check_answer
from evaluation_data import BadData, Row, label_names, parse_header, parse_row

PIXELS = " ".join(["7"] * 2304)


def test_a_pixel_csv_is_read_whatever_the_order_of_its_columns():
    layout = parse_header("pixels,gender,ethnicity,age", "f")
    assert parse_row(layout, f"{PIXELS},1,3,41", "f") == Row(PIXELS, "3", "1", "41")


def test_only_the_pixels_are_needed():
    layout = parse_header("pixels", "f")
    assert parse_row(layout, PIXELS, "f") == Row(PIXELS)


def test_a_pixel_may_be_written_in_any_way_that_is_a_whole_number():
    pixels = PIXELS.replace("7", "007", 1)
    assert parse_row(parse_header("pixels", "f"), pixels, "f") == Row(pixels)


def test_an_image_folder_is_read_by_its_labels_csv():
    layout = parse_header("\ufefffile,label,age,gender", "f")
    assert parse_row(layout, "a/1.jpg,Star,,", "f") == Row("a/1.jpg", "Star")


@pytest.mark.parametrize("header", ["", "a,b", "file", "ethnicity,age", '"unclosed'])
def test_another_header_is_refused_and_its_names_are_shown(header):
    with pytest.raises(BadData, match="the-file"):
        parse_header(header, "the-file")


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        ("7 7 7", "3 pixels, must be 2304"),
        ("7 7 300 7", "pixel 3 is '300', must be a whole number from 0 to 255"),
        (PIXELS.replace("7", "-1", 1), "pixel 1 is '-1', must be"),
        (PIXELS.replace("7", "0.5", 1), "pixel 1 is '0.5', must be"),
        ("", "0 pixels"),
    ],
)
def test_a_wrong_pixel_is_told_with_its_row(pixels, told):
    with pytest.raises(BadData, match=rf"line 9: .*{told}"):
        parse_row(parse_header("ethnicity,pixels", "f"), f"1,{pixels}", "line 9")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x.jpg", "a/../../x.jpg"])
def test_an_image_outside_its_folder_is_refused(name):
    with pytest.raises(BadData, match="below the CSV's folder"):
        parse_row(parse_header("file,label", "f"), f"{name},Star", "f")


def test_a_row_with_too_few_cells_is_refused():
    with pytest.raises(BadData, match="1 columns, the header has 2"):
        parse_row(parse_header("file,label", "f"), "a.jpg", "f")


def test_label_names_come_from_labels_json():
    assert label_names({"names": {"0": "Round"}, "sensitive": False}) == {"0": "Round"}
    assert label_names({}) == {}
    with pytest.raises(BadData, match="'names' must be an object"):
        label_names({"names": ["Round"]})


def prediction(predict="A", **probabilities):
    return {"predict": predict, "probabilities": probabilities or {"A": 0.75, "B": 0.25}}


def body(*predictions, version="job"):
    return json.dumps({"predictions": predictions, "model": {"version": version}}).encode()


def test_a_good_answer_gives_labels_and_predictions():
    answer = check_answer(body(prediction(), prediction("B", A=0.2, B=0.8)), 2, "job")
    assert (answer.predicted, answer.labels) == (["A", "B"], ("A", "B"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"A\n", "not in the documented form"),
        (b"[]", "not in the documented form"),
        (body(prediction(), prediction()), "2 predictions for 1 rows"),
        (body(prediction(), version="older"), "'older'; 'job' was deployed: a newer run"),
        (body({"predict": "A"}), "is not {'predict', 'probabilities'}"),
        (body("A"), "is not {'predict', 'probabilities'}"),
        (body(prediction("C")), "none of the model's labels"),
        (body(prediction(A=1.5, B=-0.5)), "outside 0 to 1"),
        (body(prediction(A="much", B=0)), "outside 0 to 1"),
        (body(prediction(A=True, B=0)), "outside 0 to 1"),
        (body(prediction(A=0.5, B=0.3)), "sum to 0.800"),
        (body(prediction(A=0.4, B=0.6)), "not the likeliest"),
    ],
)
def test_a_malformed_answer_is_refused_with_what_is_wrong(content, told):
    with pytest.raises(BadAnswer, match=told):
        check_answer(content, 1, "job")


def test_all_rows_must_be_answered_with_the_same_labels():
    with pytest.raises(BadAnswer, match="other labels"):
        check_answer(body(prediction(), prediction(A=0.5, C=0.5)), 2, "job")
