"""The model card: what it says of a test, and that it fits whatever the data is like."""

import json
import re
from pathlib import Path

import model_card as cards
import pytest
from common.notice import STANDING_NOTE
from gate import Thresholds, measure
from model_card import MAX_BARS, MAX_MATRIX, model_card
from tally import Tally

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/model-card.md"
DEPLOYED = {"model_data_url": "s3://models/m.tar.gz", "data_bucket": "data"}
TRAINING = "arn:aws:sagemaker:us-east-1:000000000000:training-job/job"


def report_of(tally, note=None):
    limits = Thresholds(macro_recall=0.5)
    facts = {"execution_id": "e-1", "commit": "c", "serve_image": "repo@sha256:b"}
    return {
        **measure(tally, limits),
        **facts,
        "thresholds": {"macro_recall": 0.5, "min_group_rows": 30},
        "data": "s3://data/validation/",
        "endpoint_name": "e",
        "model": {"version": "job"},
        "note": note,
    }


def card_of(tally, **kwargs):
    return model_card(report_of(tally, **kwargs), DEPLOYED, "s3://models/r.html", TRAINING)


def tally_of(labels, rows=40, people=()):
    """Count so many rows of each label, one in ten of them taken for the next label."""
    tally = Tally(labels=list(labels))
    for at, label in enumerate(labels):
        for number in range(rows):
            predicted = labels[(at + 1) % len(labels)] if number % 10 == 0 else label
            gender = people[number % len(people)] if people else None
            tally.add(label, predicted, gender)
    return tally


def metrics(card, group):
    [test] = card["evaluation_details"]
    [found] = [g for g in test["metric_groups"] if g["name"] == group]
    return {metric["name"]: metric for metric in found["metric_data"]}


def test_it_tells_quality_per_label_and_in_all():
    card = card_of(tally_of("AB"))
    overall = metrics(card, "overall")
    assert overall["macro_recall"]["value"] == 0.9
    assert "95 % interval" in overall["macro_recall"]["notes"]
    assert overall["rows"]["value"] == 80
    of_labels = metrics(card, "labels")
    assert of_labels["recall of each label"]["value"] == [0.9, 0.9]
    matrix = of_labels["rows by label (down) and prediction (across)"]
    assert matrix["value"] == [[36, 4], [4, 36]]
    assert matrix["x_axis_name"] == matrix["y_axis_name"] == ["A", "B"]


def test_it_names_the_worst_label_and_the_gap_between_groups():
    tally = tally_of("AB", rows=100, people=("0", "1"))
    for _ in range(40):
        tally.add("B", "A", "1")
    card = card_of(tally)
    assert "label B" in metrics(card, "overall")["worst_label_recall"]["notes"]
    assert metrics(card, "gender")["recall_gap"]["notes"].endswith("0 over 1")


def test_labels_with_too_few_rows_are_named():
    tally = tally_of("AB")
    tally.add("C", "A")
    [test] = card_of(tally)["evaluation_details"]
    assert test["evaluation_observation"].endswith("Too few rows to judge: C (1 rows).")


@pytest.mark.parametrize(("note", "risk"), [(STANDING_NOTE, "High"), (None, "Low")])
def test_labels_about_people_are_a_high_risk_and_bring_their_note(note, risk):
    card = card_of(tally_of("AB"), note=note)
    assert card["intended_uses"]["risk_rating"] == risk
    told = card["additional_information"]["ethical_considerations"]
    assert told.startswith(STANDING_NOTE) == bool(note)


def test_data_with_very_many_and_very_long_labels_still_fits_a_card():
    labels = [f"{'long ' * 20}{number}" for number in range(300)]
    people = [f"group {number}" for number in range(10)]
    card = card_of(tally_of(labels, rows=40, people=people))
    bars = metrics(card, "labels")
    assert list(bars) == ["recall of each label"]  # a matrix has at most MAX_MATRIX rows
    assert len(labels) > MAX_MATRIX
    assert len(bars["recall of each label"]["value"]) == MAX_BARS
    assert max(map(len, bars["recall of each label"]["x_axis_name"])) == 63
    assert len(json.dumps(card)) < 100_000


def test_the_same_test_gives_the_same_card():
    assert card_of(tally_of("AB")) == card_of(tally_of("AB"))


@pytest.mark.parametrize("name", ["PURPOSE", "INTENDED", "REFUSED", "FACTORS", "ETHICS", "CAVEATS"])
def test_what_holds_for_every_model_stands_in_the_document_in_the_same_words(name):
    document = re.sub(r"\*\*|^- ", "", DOCUMENT.read_text(), flags=re.MULTILINE)
    said = " ".join(getattr(cards, name).split())
    assert said in " ".join(document.split())
