"""The report of a training: its figures, its page, and what it must not show."""

import json
import math
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from ethnicity_prediction.groups import group_of
from ethnicity_prediction.metrics import calibration_error, reliability, wilson
from ethnicity_prediction.report import NOTE, Answers, make_report, pictures
from ethnicity_prediction.report_charts import line_chart
from ethnicity_prediction.report_html import report_html
from tiny import WORDS, draw, prepare

EPOCH = {
    "epoch": 1,
    "train_loss": 0.9,
    "validation_accuracy": 0.5,
    "validation_macro_recall": 0.4,
    "images_per_s": 10.0,
    "elapsed_s": 1.0,
    "side": 48,
}
CARD = {
    "name": "ethnicity-prediction",
    "version": "job-1",
    "labels": ["a", "b"],
    "sensitive": True,
    "created": "2026-01-01T00:00:00+00:00",
    "metrics": {"macro_recall": 5 / 12, "calibration_error": 0.25},
    "data": {"digest": "sha256:0123", "rows": 40},
    "training": {
        "hyperparameters": {"seed": 7, "width": 8},
        "seconds": 12.5,
        "steps": 99,
        "operating_point": {"tau": 0.3, "temperature": 1.2},
        "epochs": [EPOCH, EPOCH | {"epoch": 2, "train_loss": 0.5, "validation_macro_recall": 0.6}],
        "best_epoch": 2,
    },
}
FACTS = {"hosts": 2, "device": "cpu", "peak_memory_mb": 321, "versions": {"torch": "2.13.0"}}


def answers(**changes) -> Answers:
    """Two a's, of which one is named b; two b's that are; one c that the model does not know."""
    told = {
        "truth": ["a", "a", "b", "b", "c"],
        "codes": np.array([0, 0, 1, 1, -1]),
        "probabilities": np.array([[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.4, 0.6], [0.95, 0.05]]),
        "labels": ("a", "b"),
        "groups": {"gender": ["0", "1", "1", "", "0"], "age": ["9", "10", "25.5", "60", "20-29"]},
        "channel": "validation",
        "rows": [1, 2, 3, 4, 5],
    }
    return Answers(**told | changes)


class Page(HTMLParser):
    """A page that must be well nested: its texts, its tags with attributes."""

    VOID = ("meta", "img", "br")
    CLOSED_ITSELF = ("circle", "rect", "line", "path", "polyline")

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in self.CLOSED_ITSELF
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data + " "


def test_recall_is_told_for_each_label_with_wilson_s_interval():
    report = make_report(CARD, answers(), FACTS)
    assert report["accuracy"] | {"low": 0, "high": 1} == {
        **{"rows": 5, "right": 3, "value": 0.6, "low": 0, "high": 1}
    }
    by_label = {entry.pop("label"): entry for entry in report["labels"]}
    assert list(by_label) == ["a", "b", "c"]
    assert by_label["a"] == {"known": True, "rows": 2, "right": 1, **wilson(1, 2)}
    assert (by_label["c"]["known"], by_label["c"]["value"]) == (False, 0)
    assert report["confusion"] == {"a": {"a": 1, "b": 1}, "b": {"b": 2}, "c": {"a": 1}}


def test_wilson_s_interval_is_the_textbook_s():
    assert wilson(0, 0) == {"value": None, "low": None, "high": None}
    low, high = wilson(45, 50)["low"], wilson(45, 50)["high"]
    assert (low, high) == (pytest.approx(0.7864, abs=1e-4), pytest.approx(0.9565, abs=1e-4))
    assert wilson(10, 10)["high"] == pytest.approx(1)
    assert wilson(0, 10)["low"] == pytest.approx(0, abs=1e-12)


def test_groups_are_told_where_the_data_tells_them():
    groups = make_report(CARD, answers(), FACTS)["groups"]
    told = {g["group"]: (g["rows"], g["right"], sorted(g["labels"])) for g in groups["gender"]}
    assert told == {"0": (2, 1, ["a", "c"]), "1": (2, 1, ["a", "b"])}
    assert [g["group"] for g in groups["age"]] == ["0-9", "10-19", "20-29", "60+"]
    assert {g["group"]: g["rows"] for g in groups["age"]}["20-29"] == 2


@pytest.mark.parametrize(
    ("age", "band"), [("0", "0-9"), ("19.9", "10-19"), ("116", "60+"), ("3-9", "3-9"), ("", "")]
)
def test_ages_fall_into_bands(age, band):
    assert group_of("age", age) == band
    assert group_of("gender", age) == age


def test_calibration_is_told_bin_by_bin():
    probabilities = np.array([[0.62, 0.38], [0.64, 0.36], [0.99, 0.01]])
    codes = np.array([0, 1, 0])
    bins = reliability(probabilities, codes, bins=10)
    assert [(b["rows"], b["right"]) for b in bins] == [(2, 1), (1, 1)]
    assert bins[0]["confidence"] == pytest.approx(0.63)
    assert (bins[0]["from"], bins[0]["to"]) == (0.6, 0.7)
    error = (2 * abs(0.5 - 0.63) + 1 * abs(1 - 0.99)) / 3
    assert calibration_error(probabilities, codes) == pytest.approx(error)


def test_the_worst_mistakes_are_the_surest():
    report = make_report(CARD, answers(rows=[11, 12, 13, 14, 15]), FACTS)
    assert report["mistakes"] == [
        {"row": 15, "label": "c", "predicted": "a", "confidence": 0.95},
        {"row": 12, "label": "a", "predicted": "b", "confidence": 0.7},
    ]


def test_the_page_tells_the_report_s_figures():
    report = make_report(CARD, answers(), FACTS)
    page = Page(report_html(report))
    for figure in (
        *("0.417", "0.600", "0.250", "epoch 2 of 2", "sha256:0123", "321 MB", "torch 2.13.0"),
        *("12.5 (99 steps)", "width", "prior weighed by 0.3, temperature 1.2", "hosts: 2"),
        *("Never trained on: c", "named", "row 5", "60+", NOTE),
    ):
        assert figure in page.text, figure
    assert [tag for tag, _ in page.tags].count("svg") == 6  # two curves, three recalls, calibration


def test_the_page_tells_where_images_were_small():
    epochs = [EPOCH | {"side": 32, "validation_macro_recall": 0.9}, EPOCH | {"epoch": 2}]
    training = CARD["training"] | {"epochs": epochs}
    small = Page(report_html(make_report(CARD | {"training": training}, answers(), FACTS)))
    assert "Kept: epoch 2 of 2" in small.text
    assert "Epochs 1 to 1, left of the dashed line, learnt from images of side 32" in small.text
    whole = Page(report_html(make_report(CARD, answers(), FACTS)))
    assert "dashed line, learnt" not in whole.text
    breaks = [[a.get("class") for _, a in page.tags].count("limit") for page in (small, whole)]
    assert breaks[0] == breaks[1] + 2


def test_the_page_needs_nothing_but_itself_and_runs_nothing():
    page = Page(
        report_html(make_report(CARD, answers(), FACTS), ["data:image/png;base64,AA=="] * 2)
    )
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:").startswith("data:")
        assert "href" not in attributes


def test_what_the_data_says_is_text_and_nothing_else():
    spiteful = '<script>alert("x")</script>'
    told = answers(truth=[spiteful] * 5, labels=("a", spiteful), codes=np.array([1] * 5), groups={})
    card = CARD | {"labels": ["a", spiteful], "version": spiteful}
    page = Page(report_html(make_report(card, told, FACTS | {"device": spiteful})))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count("The data does not tell") == 2


def test_no_picture_leaves_data_that_may_show_people():
    images = np.full((2, 48, 48, 1), 7, np.uint8)
    assert pictures(CARD, images) == []
    shown = pictures(CARD | {"sensitive": False}, images)
    assert len(shown) == 2
    assert all(uri.startswith("data:image/png;base64,") for uri in shown)
    report = make_report(CARD, answers(), FACTS)
    assert "data:image" not in report_html(report, pictures(CARD, images))
    assert report_html(report, shown).count("<img ") == 2


@pytest.mark.parametrize("line", [[0.5], [0.0, 0.0], [math.nan], [1e-9, 3e8], [0.2, math.nan, 9]])
def test_any_curve_can_be_drawn(line):
    chart = line_chart("Loss", {"loss": line}, best=1)
    assert "nan" not in chart
    assert "inf" not in chart


def test_a_model_without_mistakes_has_none_to_show():
    told = answers(
        truth=["a", "b"],
        codes=np.array([0, 1]),
        probabilities=np.eye(2),
        groups={"gender": ["", ""], "age": ["", ""]},
        rows=[1, 2],
    )
    assert "every held-out row is named rightly" in report_html(make_report(CARD, told, FACTS))


@pytest.mark.parametrize("sensitive", [True, False])
def test_a_job_leaves_its_report_in_the_artifact(tmp_path: Path, sensitive: bool):
    pytest.importorskip("torch")
    from ethnicity_prediction import job
    from ethnicity_prediction.paths import Paths

    prepare(tmp_path, train=12, validation=30, epochs="1", learning_rate="0.000001")
    naming = {"sensitive": sensitive}
    (tmp_path / "input/data/train/labels.json").write_text(json.dumps(naming))
    job.run(Paths(tmp_path), {}, lambda: False)
    page = (tmp_path / "model/report.html").read_text()
    report = json.loads((tmp_path / "model/report.json").read_text())
    card = json.loads((tmp_path / "model/model.json").read_text())
    assert report["accuracy"]["value"] == card["metrics"]["accuracy"]
    assert {e["label"]: e["value"] for e in report["labels"]} == card["metrics"]["recall"]
    assert report["groups"]["gender"][0]["rows"] == len(draw(30))
    assert [g["group"] for g in report["groups"]["age"]] == ["30-39"]
    assert report["training"] == card["training"]
    assert report["peak_memory_mb"] > 50
    assert set(report["versions"]) == {"python", "torch", "numpy", "onnxruntime", "pillow"}
    assert len(report["mistakes"]) == 12
    assert {m["label"] for m in report["mistakes"]} <= set(WORDS)
    assert page.count("data:image/png;base64,") == (0 if sensitive else 12)
    assert len(page) < 100_000
    Page(page)
