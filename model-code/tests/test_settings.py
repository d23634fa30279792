"""Hyperparameters, labels, hosts, splits and metrics: small rules, values in and values out."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from ethnicity_prediction.config import Hyperparameters, parse
from ethnicity_prediction.errors import BadInputError, MalformedError
from ethnicity_prediction.labels import Labels, Naming, labels_of, read_naming
from ethnicity_prediction.metrics import evaluate, macro_recall
from ethnicity_prediction.paths import Paths
from ethnicity_prediction.split import stratified


def test_strings_become_numbers_and_the_rest_keeps_its_default():
    given = parse({"epochs": "3", "learning_rate": "0.01", "sagemaker_region": "us-east-1"})
    assert given == Hyperparameters(epochs=3, learning_rate=0.01)


def test_one_error_names_everything_that_is_wrong():
    with pytest.raises(BadInputError) as caught:
        parse({"epochs": "3.5", "dropout": "2", "colour": "red", "seed": "1"})
    told = str(caught.value)
    assert "epochs is '3.5'; it must be a whole number from 1 to 1000" in told
    assert "dropout is '2'; it must be a number from 0.0 to 0.9" in told
    assert "colour is unknown (known are epochs," in told
    assert "seed" not in told.split("known are")[0]


@pytest.mark.parametrize("text", ["nan", "inf", "-1", ""])
def test_numbers_out_of_reason_are_refused(text):
    with pytest.raises(BadInputError, match="learning_rate"):
        parse({"learning_rate": text})


def test_there_are_gray_and_colour_images_but_none_of_two_channels():
    with pytest.raises(BadInputError, match=r"channels is '2'; .* from 1 to 3 in steps of 2"):
        parse({"channels": "2"})


def test_time_is_unlimited_unless_it_is_given():
    assert Hyperparameters().budget_s == math.inf
    assert Hyperparameters(max_minutes=2).budget_s == 120


def test_labels_are_ordered_as_numbers_and_named_by_the_data():
    labels = labels_of(["10", "2", "x", "2"], Naming({"2": "Two"}, sensitive=False))
    assert labels == Labels(("2", "10", "x"), ("Two", "10", "x"), sensitive=False)
    assert Labels.from_json(json.loads(json.dumps(labels.as_json()))) == labels


def test_data_without_labels_json_is_taken_to_be_about_people(tmp_path: Path):
    assert read_naming(tmp_path) == Naming({}, sensitive=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "not a JSON object"),
        ("{", "not a JSON object"),
        ('{"names": ["a"]}', "must map label values to names"),
        ('{"sensitive": "no"}', "must be true or false"),
        ('{"names": {"0": "a", "1": "a"}}', "share a name"),
    ],
)
def test_a_bad_labels_json_is_refused(tmp_path: Path, text, words):
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(MalformedError, match=words):
        read_naming(tmp_path)


def test_a_label_that_was_never_learnt_has_a_recall_of_zero():
    result = evaluate(["a", "a", "b", "c"], ["a", "b", "b", "a"])
    assert result["recall"] == {"a": 0.5, "b": 1.0, "c": 0.0}
    assert result["rows"] == {"a": 2, "b": 1, "c": 1}
    assert result["accuracy"] == 0.5
    assert result["macro_recall"] == 0.5
    assert macro_recall(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 0])) == 0.5


def test_every_label_gives_its_share_to_the_held_out_part():
    codes = np.array([0] * 80 + [1] * 18 + [2] * 2)
    kept, held = stratified(codes, 0.1, np.random.default_rng(0))
    assert sorted([*kept, *held]) == list(range(100))
    assert np.bincount(codes[held]).tolist() == [8, 2, 1]


def test_a_label_with_one_row_cannot_be_split():
    with pytest.raises(MalformedError, match="single row"):
        stratified(np.array([0, 0, 1]), 0.5, np.random.default_rng(0))


def test_ml_root_moves_everything():
    assert Paths.from_env({}).model == Path("/opt/ml/model")
    assert Paths.from_env({"ML_ROOT": "/x"}).channel("train") == Path("/x/input/data/train")
