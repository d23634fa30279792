"""SmokeTest: a few rows of real data through the deployed endpoint, every answer checked."""

import json

import pytest
from fake_aws import AwsFault
from glyph_model import DEPLOYED, LABELS, answer, pixel_csv, pixels

EVALUATE = "Ethnicity-Pred-EvaluateModel"
ENDPOINT = DEPLOYED["endpoint_name"]


@pytest.fixture
def testing(event, put_input, aws):
    """The event of SmokeTest with a good endpoint; keyword arguments change UserParameters."""
    aws.model_answers = answer

    def make(deployed=DEPLOYED, **params):
        asking = event("smoke-test", params=params)
        put_input(asking, deployed)
        return asking

    return make


@pytest.fixture
def failure(invoke, testing, ending):
    """Run the smoke test and return the reason of its failure."""

    def run(*args, **params):
        invoke(EVALUATE, asking := testing(*args, **params))
        assert ending(asking)["ending"] == "failure"
        return ending(asking)["message"]

    return run


def test_accuracy_is_reported_and_the_endpoint_handed_on(invoke, testing, ending, output, aws):
    aws.objects["data", "smoketest/smoketest.csv"] = pixel_csv(
        ("Round", pixels(0)), ("Square", pixels(1)), ("Round", pixels(2)), ("Star", pixels(2))
    )
    invoke(EVALUATE, asking := testing())
    report = output(asking)
    assert (report["kind"], report["rows"], report["accuracy"]) == ("smoke-test", 4, 0.75)
    assert report["labels"] == LABELS
    assert report["endpoint_name"] == ENDPOINT
    assert report["data"] == "s3://data/smoketest/"
    assert "accuracy 0.750" in ending(asking)["executionDetails"]["summary"]


def test_label_values_are_named_by_labels_json_of_the_training_data(invoke, testing, output, aws):
    names = {"names": {"0": "Round", "1": "Square", "2": "Star"}, "sensitive": False}
    aws.objects["data", "train/labels.json"] = json.dumps(names).encode()
    aws.objects["data", "smoketest/a.csv"] = pixel_csv(("0", pixels(0)), ("1", pixels(1)))
    invoke(EVALUATE, asking := testing())
    assert output(asking)["accuracy"] == 1.0


def test_labels_that_the_model_never_saw_are_named(invoke, testing, output, aws):
    aws.objects["data", "smoketest/a.csv"] = pixel_csv(("Hexagon", pixels(0)))
    invoke(EVALUATE, asking := testing())
    assert output(asking)["labels_unknown_to_the_model"] == ["Hexagon"]
    assert output(asking)["accuracy"] == 0.0


def test_data_without_labels_checks_the_answers_only(invoke, testing, output, aws):
    aws.objects["data", "smoketest/a.csv"] = f"pixels\n{pixels(1)}\n".encode()
    invoke(EVALUATE, asking := testing())
    assert (output(asking)["rows"], output(asking)["accuracy"]) == (1, None)


def test_an_image_folder_is_tested_by_its_images(invoke, testing, output, aws):
    aws.objects["data", "smoketest/faces/labels.csv"] = b"file,label\na.jpg,Round\nb/c.png,Star\n"
    aws.objects["data", "smoketest/faces/a.jpg"] = b"\xff\xd8\xff\x00"
    aws.objects["data", "smoketest/faces/b/c.png"] = b"\x89PNG\x02"
    invoke(EVALUATE, asking := testing())
    assert (output(asking)["rows"], output(asking)["accuracy"]) == (2, 1.0)


def test_it_asks_in_batches_and_stops_at_max_rows(invoke, testing, output, aws):
    aws.objects["data", "smoketest/a.csv"] = pixel_csv(*[("Round", pixels(0))] * 260)
    invoke(EVALUATE, asking := testing(max_rows=250))
    assert output(asking)["rows"] == 250
    rows = [request["Body"].count(b"\n") + 1 for request in aws.called("InvokeEndpoint")]
    assert rows == [100, 100, 50]


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ({}, "no test data (a CSV) under s3://data/smoketest/; upload it (step 4)"),
        ({"smoketest/": b"", "smoketest/a.csv": b""}, "no test data (a CSV)"),
        ({"smoketest/a.csv": b"ethnicity,pixels\n"}, "s3://data/smoketest/ hold no rows"),
        ({"smoketest/a.csv": b"a,b\n1,2\n"}, "s3://data/smoketest/a.csv: the header must name"),
        ({"smoketest/a.csv": pixel_csv(("A", "1 2"))}, "a.csv line 2: 2 pixels, must be 2304"),
        ({"smoketest/a.csv": b"\xff\xfe"}, "is not UTF-8 text"),
        ({"smoketest/l.csv": b"file,label\nx.jpg,A\n"}, "names 'x.jpg', but smoketest/x.jpg"),
    ],
)
def test_missing_or_malformed_data_fails_and_names_the_place(failure, aws, objects, told):
    aws.objects.update({("data", key): content for key, content in objects.items()})
    assert told in failure()


def test_another_prefix_is_named_when_it_is_empty(failure):
    assert "s3://data/elsewhere/" in failure(prefix="elsewhere/")


@pytest.fixture
def one_row(aws):
    aws.objects["data", "smoketest/a.csv"] = pixel_csv(("Round", pixels(0)))


@pytest.mark.usefixtures("one_row")
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (b"Round\n", "not in the documented form"),
        (b'{"predictions": [], "model": {"version": "job"}}', "0 predictions for 1 rows"),
        (answer("text/csv", b"0").replace(b'"job"', b'"older"'), "'job' was deployed"),
    ],
)
def test_a_malformed_answer_fails_with_what_is_wrong(failure, aws, given, told):
    aws.model_answers = lambda kind, body: given
    assert told in failure()


@pytest.mark.usefixtures("one_row")
def test_a_model_that_fails_is_told_with_its_own_words(failure, aws):
    def broken(kind, body):
        told = {"OriginalStatusCode": 422, "OriginalMessage": '{"error": "out of range"}'}
        raise AwsFault("ModelError", "Received client error (422)", 424, **told)

    aws.model_answers = broken
    told = failure()
    assert f"endpoint {ENDPOINT} answered 422" in told
    assert "out of range" in told


@pytest.mark.usefixtures("one_row")
def test_parameters_for_another_environment_are_refused(failure):
    assert "environment 'prod', the input artifact is of 'dev'" in failure(environment="prod")


@pytest.mark.usefixtures("one_row")
def test_data_that_changes_during_the_test_fails_it(failure, aws):
    aws.etag = lambda bucket, key: f'"{len(aws.calls)}"'
    assert "has changed during the test" in failure()
