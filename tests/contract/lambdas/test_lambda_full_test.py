"""FullTest: every row counted, over as many invocations as it takes, and the gate's verdict."""

import json

import pytest
from glyph_model import GOOD, ROWS, answer, csv_of

EVALUATE = "Ethnicity-Pred-EvaluateModel"
EXECUTION = "5d1c0f6e-3a57-4b0b-9e0d-6f3b7a1c2d3e"
FOLDER = f"evaluations/{EXECUTION}/"
HURRIED = 100  # seconds left to the function: enough for one batch, not for two


@pytest.fixture
def report(aws):
    return lambda: json.loads(aws.objects["models", f"{FOLDER}report.json"])


@pytest.fixture
def run_all(invoke, full_testing, ending, aws):
    """Ask again and again, as CodePipeline does, until the action ends; returns the last event."""

    def run(time_left_s, **params):
        token = None
        for number in range(1, 20):
            asking = full_testing(job_id=f"job-{number}", token=token, **params)
            invoke(EVALUATE, asking, time_left_s=time_left_s)
            token = ending(asking).get("continuationToken")
            if not token:
                return asking
        raise AssertionError("it never ends")

    return run


def test_a_good_model_passes_with_a_report_beside_it(
    invoke, full_testing, ending, output, report, aws
):
    invoke(EVALUATE, asking := full_testing(), time_left_s=600)
    told = ending(asking)
    assert told["ending"] == "success"
    assert told["outputVariables"]["EvaluatedRows"] == str(ROWS)
    assert told["outputVariables"]["EvaluationReport"] == f"s3://models/{FOLDER}report.html"
    assert output(asking)["kind"] == "evaluation"
    measured = report()
    assert (measured["passed"], measured["rows"]) == (True, ROWS)
    assert measured["confusion"]["Round"] == {"Round": 120, "Square": 5}
    assert {entry["label"]: entry["rows"] for entry in measured["labels"]} == {
        "Round": 125,
        "Square": 100,
        "Star": 93,
    }
    assert [group["group"] for group in measured["groups"]["gender"]["groups"]] == ["0", "1"]
    assert [group["group"] for group in measured["groups"]["age"]["groups"]] == ["20-29", "60+"]
    page = aws.objects["models", f"{FOLDER}report.html"].decode()
    assert page.startswith("<!doctype html>")
    assert aws.object_headers["models", f"{FOLDER}report.html"]["content-type"].startswith(
        "text/html"
    )


def test_it_goes_on_where_it_stopped_and_counts_every_row_once(
    invoke, full_testing, run_all, report, aws
):
    invoke(EVALUATE, full_testing(), time_left_s=600)
    at_once = report()
    aws.calls.clear()
    run_all(HURRIED)
    in_pieces = report()
    asked = [request["Body"].count(b"\n") + 1 for request in aws.called("InvokeEndpoint")]
    assert asked == [100, 100, 100, 18]
    for measured in (at_once, in_pieces):
        measured.pop("created")
    assert in_pieces == at_once


def test_the_token_only_points_to_the_state(invoke, full_testing, ending, aws):
    invoke(EVALUATE, asking := full_testing(), time_left_s=HURRIED)
    token = json.loads(ending(asking)["continuationToken"])
    key = f"{FOLDER}{asking['CodePipeline.job']['id']}/state.json"
    assert token["state"] == {"state": f"s3://models/{key}"}
    state = json.loads(aws.objects["models", key])
    assert state["tally"]["rows"] == 100
    assert "counted 100 rows" in ending(asking)["executionDetails"]["summary"]


@pytest.mark.parametrize("calls", range(3, 12))
def test_cut_off_anywhere_a_redelivery_counts_every_row_once(
    invoke, full_testing, ending, report, aws, calls
):
    cut_off = invoke(EVALUATE, asking := full_testing(), time_left_s=600, crash_after=calls)
    aws.endings.clear()
    invoke(EVALUATE, asking, time_left_s=600)
    assert cut_off.code in (0, 9)
    assert ending(asking)["ending"] == "success"
    assert report()["rows"] == ROWS


def test_a_redelivered_continuation_counts_every_row_once(
    invoke, full_testing, ending, report, aws
):
    invoke(EVALUATE, first := full_testing(), time_left_s=HURRIED)
    token = ending(first)["continuationToken"]
    second = full_testing(job_id="2", token=token)
    invoke(EVALUATE, second, time_left_s=HURRIED)
    aws.endings.clear()
    invoke(EVALUATE, second, time_left_s=HURRIED)
    token = ending(second)["continuationToken"]
    invoke(EVALUATE, third := full_testing(job_id="3", token=token), time_left_s=600)
    assert ending(third)["ending"] == "success"
    assert report()["rows"] == ROWS


def test_a_state_that_is_lost_fails_instead_of_beginning_for_ever_anew(
    invoke, full_testing, ending, aws
):
    invoke(EVALUATE, first := full_testing(), time_left_s=HURRIED)
    token = ending(first)["continuationToken"]
    del aws.objects["models", f"{FOLDER}{first['CodePipeline.job']['id']}/state.json"]
    invoke(EVALUATE, second := full_testing(job_id="2", token=token))
    assert ending(second)["ending"] == "failure"
    assert "NoSuchKey" in ending(second)["message"]


def test_data_that_changes_during_the_test_fails_it(invoke, full_testing, ending, aws):
    invoke(EVALUATE, first := full_testing(), time_left_s=HURRIED)
    token = ending(first)["continuationToken"]
    second = full_testing(job_id="2", token=token)
    aws.objects["data", "validation/validation.csv"] += b"30,Star,0,x.png,1\n"
    invoke(EVALUATE, second)
    assert "has changed during the test" in ending(second)["message"]


def test_a_missed_threshold_fails_the_stage_and_names_value_limit_and_report(
    invoke, full_testing, ending, report
):
    limits = {"macro_recall": 0.99, "worst_label_recall": 0.95}
    invoke(EVALUATE, asking := full_testing(thresholds=limits), time_left_s=600)
    told = ending(asking)
    assert (told["ending"], told["type"]) == ("failure", "JobFailed")
    assert "macro recall 0.976" in told["message"]
    assert "must be at least 0.99" in told["message"]
    assert "recall of label 'Round' 0.960" in told["message"]
    assert f"s3://models/{FOLDER}report.html" in told["message"]
    assert report()["passed"] is False


def test_the_lesson_a_group_left_out_of_training_stops_the_model(invoke, full_testing, ending, aws):
    left_out = csv_of(*GOOD, ("Hexagon", 0, 60, 0, 30))
    aws.objects["data", "validation/validation.csv"] = left_out
    invoke(EVALUATE, asking := full_testing(), time_left_s=600)
    assert "recall of label 'Hexagon' 0.000" in ending(asking)["message"]
    assert "the model was never trained on it" in ending(asking)["message"]


def test_a_gap_between_genders_stops_the_model(invoke, full_testing, ending, aws):
    rows = [("Round", 0, 100, 0, 25), ("Round", 1, 60, 1, 25), ("Round", 0, 40, 1, 25)]
    rows += [("Square", 1, 100, 0, 25), ("Square", 1, 100, 1, 25)]
    aws.objects["data", "validation/validation.csv"] = csv_of(*rows)
    limits = {"macro_recall": 0.5, "gender_recall_gap": 0.1}
    invoke(EVALUATE, asking := full_testing(thresholds=limits), time_left_s=600)
    assert "recall gap 0.300" in ending(asking)["message"]
    assert "between gender '0' and '1' must be at most 0.1" in ending(asking)["message"]


@pytest.mark.parametrize("thresholds", [{}, {"macro_recal": 0.6}, {"macro_recall": 60}])
def test_a_gate_that_cannot_be_meant_is_refused_before_anything_is_asked(
    invoke, full_testing, ending, aws, thresholds
):
    invoke(EVALUATE, asking := full_testing(thresholds=thresholds))
    assert ending(asking)["type"] == "ConfigurationError"
    assert not aws.called("InvokeEndpoint")


def test_it_gives_up_at_its_deadline(invoke, full_testing, ending):
    token = {"action": "x", "since": "2020-01-01T00:00:00+00:00", "state": {}}
    asking = full_testing(token=json.dumps(token), deadline_minutes=30)
    invoke(EVALUATE, asking, time_left_s=HURRIED)
    assert ending(asking)["ending"] == "failure"
    assert "counted 100 rows after" in ending(asking)["message"]


def test_several_files_and_both_forms_make_one_test(invoke, run_all, full_testing, report, aws):
    labels = "file,label,age,gender\n" + "".join(f"{n}.jpg,Star,30,0\n" for n in range(40))
    aws.objects["data", "validation/z/labels.csv"] = labels.encode()
    for number in range(40):
        aws.objects["data", f"validation/z/{number}.jpg"] = b"\xff\xd8\xff\x02"
    run_all(HURRIED)
    assert report()["rows"] == ROWS + 40
    asked = [request["ContentType"] for request in aws.called("InvokeEndpoint")]
    assert asked == ["text/csv"] * 4 + ["application/json"] * 2


def test_large_images_are_spread_over_more_requests(invoke, full_testing, report, aws):
    aws.objects["data", "validation/validation.csv"] = b"file,label\n" + b"big.jpg,Star\n" * 40
    aws.objects["data", "validation/big.jpg"] = bytes(300_000) + b"\x02"
    invoke(EVALUATE, full_testing(), time_left_s=600)
    assert report()["rows"] == 40
    sizes = [len(request["Body"]) for request in aws.called("InvokeEndpoint")]
    assert max(sizes) < 3_000_000
    assert len(sizes) == 8


def test_no_more_rows_are_read_than_the_test_may_take(invoke, full_testing, report):
    invoke(EVALUATE, full_testing(max_rows=150), time_left_s=600)
    assert report()["rows"] == 150


def test_the_reports_of_a_model_about_people_carry_the_standing_note(
    invoke, full_testing, report, aws
):
    about_people = lambda kind, body: answer(kind, body).replace(b"false", b"true")  # noqa: E731
    aws.model_answers = about_people
    invoke(EVALUATE, full_testing(), time_left_s=600)
    assert "cannot establish" in report()["note"]
    assert b"cannot establish" in aws.objects["models", f"{FOLDER}report.html"]
