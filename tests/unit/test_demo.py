"""The demo's pure parts: splitting data, scoring answers, and the pipeline's table."""

import csv
import datetime

import pytest
from demo import data_set
from demo.scoring import score
from demo.story import StepFailed, Story
from pipeline_rows import action_rows
from stacks import StackError, key_values

NOW = datetime.datetime(2026, 1, 1, 12, 0, 30, tzinfo=datetime.UTC)


def write_pixel_csv(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "ethnicity", "gender", "img_name", "pixels"])
        for number in range(rows):
            pixels = " ".join([str(number)] + ["7"] * 2303)
            writer.writerow([30, number % 3, 0, f"{number}.jpg", pixels])


def labels_of(part):
    return [row.label for row in data_set.read_rows(part, {})]


def story_with(tmp_path, parameters):
    return Story(None, None, tmp_path / "faces.csv", tmp_path, tmp_path, parameters=parameters)


def test_words_are_read_as_parameters_and_a_word_that_is_none_is_named():
    words = ['HyperParameters={"epochs":3}', "GateMinMacroRecall=0.5", "NotificationEmail="]
    assert key_values(words) == {
        "HyperParameters": '{"epochs":3}',
        "GateMinMacroRecall": "0.5",
        "NotificationEmail": "",
    }
    with pytest.raises(StackError, match="'3}' is no Key=Value"):
        key_values(['HyperParameters={"epochs":', "3}"])


def test_a_given_parameter_goes_before_the_demos_default_and_none_that_it_needs(tmp_path):
    given = {"GateMinMacroRecall": "0.5", "BakeSeconds": "0"}
    parameters = story_with(tmp_path, given)._parameters("code", "lambda/0a/")
    assert (
        parameters.items() >= {**given, "UniqueID": "kmm", "LambdaCodePrefix": "lambda/0a/"}.items()
    )
    with pytest.raises(StepFailed, match="the demo sets UniqueID itself"):
        story_with(tmp_path, {"UniqueID": "abc"})._parameters("code", "lambda/0a/")


def test_recall_is_counted_per_label_and_averaged_over_labels():
    result = score(["a", "a", "a", "b"], ["a", "a", "b", "a"])
    assert result.accuracy == 0.5
    assert result.recall == {"a": 2 / 3, "b": 0.0}
    assert result.macro_recall == pytest.approx(1 / 3)


def test_a_score_of_nothing_is_refused():
    with pytest.raises(ValueError, match="0 true labels"):
        score([], [])


def test_a_pixel_csv_is_dealt_into_parts_that_share_no_row_and_lose_none(tmp_path):
    source = tmp_path / "u.csv"
    write_pixel_csv(source, 200)
    data = data_set.split(source, tmp_path / "out")
    names = []
    for part in data_set.PARTS:
        with (data.part(part) / f"{part}.csv").open(newline="") as file:
            names += [row["img_name"] for row in csv.DictReader(file)]
    assert sorted(names) == sorted(f"{n}.jpg" for n in range(200))
    assert len(data.images) == data_set.TEST_IMAGES


def test_the_same_csv_is_dealt_the_same_way_twice(tmp_path):
    source = tmp_path / "u.csv"
    write_pixel_csv(source, 100)
    first = data_set.split(source, tmp_path / "one")
    second = data_set.split(source, tmp_path / "two")
    assert labels_of(first.part("test")) == labels_of(second.part("test"))


def test_an_image_folder_is_dealt_with_its_images(tmp_path):
    source = tmp_path / "faces"
    source.mkdir()
    lines = ["file,label"]
    for number in range(120):
        (source / f"{number}.jpg").write_bytes(b"\xff\xd8" + bytes([number]))
        lines.append(f"{number}.jpg,{'ab'[number % 2]}")
    (source / "labels.csv").write_text("\n".join(lines) + "\n")
    data = data_set.split(source, tmp_path / "out")
    rows = list(data.held_out())
    assert rows
    assert {row.content_type for row in rows} == {"image/jpeg"}
    assert set(data.images) == {f"download-{n}.jpg" for n in range(len(data.images))}


def test_a_folder_of_parts_is_taken_as_it_is(tmp_path):
    source, out = tmp_path / "parts", tmp_path / "out"
    csv_file = tmp_path / "u.csv"
    write_pixel_csv(csv_file, 100)
    dealt = data_set.split(csv_file, source)
    (source / "train/labels.json").write_text('{"names": {"0": "Zero"}}')
    taken = data_set.split(source, out)
    for part in data_set.PARTS:
        assert labels_of(taken.part(part)) == labels_of(dealt.part(part))
    assert "Zero" in taken.images.values()
    (source / "smoketest/smoketest.csv").unlink()
    (source / "smoketest").rmdir()
    with pytest.raises(data_set.DataError, match="but not smoketest"):
        data_set.split(source, tmp_path / "again")


@pytest.mark.parametrize(
    ("content", "said"),
    [("a,b\n1,2\n", "; ethnicity, pixels are needed"), (None, "does not exist")],
)
def test_what_is_no_data_set_is_refused_with_what_was_found(tmp_path, content, said):
    source = tmp_path / "wrong.csv"
    if content:
        source.write_text(content)
    with pytest.raises(data_set.DataError, match=said):
        data_set.split(source, tmp_path / "out")


PIPELINE = {
    "stages": [
        {
            "name": "Source",
            "actions": [{"name": "SourceAction", "actionTypeId": {"provider": "CodeCommit"}}],
        },
        {
            "name": "TrainModel",
            "actions": [
                {
                    "name": "GetTrainingStatus",
                    "runOrder": 2,
                    "actionTypeId": {"provider": "Lambda"},
                    "configuration": {"FunctionName": "get-status"},
                },
                {
                    "name": "StartTraining",
                    "runOrder": 1,
                    "actionTypeId": {"provider": "Lambda"},
                    "configuration": {"FunctionName": "train"},
                },
            ],
        },
    ]
}


def execution(stage, action, status, start_s, end_s, error=None):
    result = {"errorDetails": {"message": error}} if error else {}
    return {
        "stageName": stage,
        "actionName": action,
        "status": status,
        "startTime": NOW + datetime.timedelta(seconds=start_s),
        "lastUpdateTime": NOW + datetime.timedelta(seconds=end_s),
        "output": {"executionResult": result},
    }


def test_actions_stand_in_run_order_and_wait_until_they_start():
    rows = action_rows(PIPELINE, [], NOW)
    assert [row.action for row in rows] == ["SourceAction", "StartTraining", "GetTrainingStatus"]
    assert {row.status for row in rows} == {""}
    assert rows[1].log_group == "/aws/lambda/train"


def test_a_running_action_counts_up_to_now_and_an_ended_one_to_its_end():
    rows = action_rows(
        PIPELINE,
        [
            execution("Source", "SourceAction", "Succeeded", -30, -28),
            execution("TrainModel", "StartTraining", "InProgress", -20, -20),
        ],
        NOW,
    )
    assert [row.seconds for row in rows] == [2.0, 20.0, None]


def test_a_retried_action_shows_its_newest_try():
    rows = action_rows(
        PIPELINE,
        [
            execution("Source", "SourceAction", "Succeeded", -5, -4),
            execution("Source", "SourceAction", "Failed", -30, -28, error="no branch"),
        ],
        NOW,
    )
    assert rows[0].status == "Succeeded"
    assert rows[0].note == ""
