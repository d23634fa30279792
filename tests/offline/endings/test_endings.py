"""Every way a run of the deployed pipeline ends red, what production answers then, and the cure.

The steps are fixtures, each played once, after those that it needs; the tests only look at what a
step left behind. A step that cannot be played is an error of the tests that look at it or beyond.
"""

from __future__ import annotations

import io
import re
import tarfile
from typing import Any
from urllib.parse import urlsplit

import pytest

from .conftest import APPROVAL, LABELS, Ending, Pipeline, Rows

pytestmark = pytest.mark.timeout(600)

MISSING = "Star"
PRESENT = sorted(set(LABELS.values()) - {MISSING})
VALIDATION = "validation/validation.csv"
NO_LICENCE = "the data has no licence"
SHORTEST_MINUTES = 5  # that CodePipeline lets an approval wait
NOT_DEPLOYED = (503, "not_deployed")
ESTIMATE = r"\d\.\d{3} \(95 % interval \d\.\d{3} to \d\.\d{3}\)"


def with_header(rows: Rows, old: str, new: str) -> Rows:
    return [{new if key == old else key: cell for key, cell in row.items()} for row in rows]


def with_pixel(rows: Rows, row: int, pixel: int, value: int) -> Rows:
    """Change one pixel; row and pixel count from 1."""
    pixels = rows[row - 1]["pixels"].split()
    pixels[pixel - 1] = str(value)
    return [*rows[: row - 1], rows[row - 1] | {"pixels": " ".join(pixels)}, *rows[row:]]


def unfair(rows: Rows) -> Rows:
    """Let every second row be of an old woman whose label, if the model knows it, is wrong."""
    wrong = dict(zip(PRESENT, reversed(PRESENT), strict=True))
    young, old = {"gender": "0", "age": "25"}, {"gender": "1", "age": "75"}
    return [
        row | (old | {"ethnicity": wrong.get(row["ethnicity"], MISSING)} if number % 2 else young)
        for number, row in enumerate(rows)
    ]


# -- the steps ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pushed(pipeline: Pipeline) -> Ending:
    """The code is there, the data is not. Its own tests are cut short: they pass elsewhere."""
    clone = pipeline.story.stage_code()
    for slow in (clone / "model-code/tests").glob("test_*.py"):
        if slow.name != "test_settings.py":
            slow.unlink()
    return pipeline.follow(pipeline.story.push(clone, "Model code"))


@pytest.fixture(scope="module")
def unjudged(pipeline: Pipeline, pushed: Ending, glyphs: dict[str, Rows]) -> Ending:
    """Training data without one label arrives, and nothing to validate with."""
    pipeline.upload("smoketest/smoketest.csv", glyphs["smoketest"])
    rows = [row for row in glyphs["train"] if row["ethnicity"] != MISSING]
    return pipeline.started_by(lambda: pipeline.upload("train/train.csv", rows))


@pytest.fixture(scope="module")
def judged(pipeline: Pipeline, unjudged: Ending, glyphs: dict[str, Rows]) -> dict[str, Ending]:
    """The same model, held against one validation file after the other by retrying the gate."""
    rows = glyphs["validation"]
    files = {
        "header": with_header(rows, "pixels", "pixel"),
        "pixel": with_pixel(rows, row=3, pixel=17, value=300),
        "unfair": unfair(rows),
        "complete": rows,
    }
    endings = {}
    for name, changed in files.items():
        pipeline.upload(VALIDATION, changed)
        endings[name] = pipeline.retry(unjudged, "EvaluateModel")
    return endings


@pytest.fixture(scope="module")
def malformed(pipeline: Pipeline, judged: dict[str, Ending], glyphs: dict[str, Rows]) -> Ending:
    """The complete training data arrives, and validation data with a pixel of 300 is there."""
    pipeline.upload(VALIDATION, with_pixel(glyphs["validation"], row=3, pixel=17, value=300))
    return pipeline.started_by(lambda: pipeline.upload("train/train.csv", glyphs["train"]))


@pytest.fixture(scope="module")
def asked(pipeline: Pipeline, malformed: Ending, glyphs: dict[str, Rows]) -> Ending:
    """The validation data is put right, and the stage retried: the run asks for approval."""
    pipeline.upload(VALIDATION, glyphs["validation"])
    return pipeline.retry(malformed, "TrainModel")


@pytest.fixture(scope="module")
def rejected(pipeline: Pipeline, asked: Ending) -> Ending:
    return pipeline.answer(asked, "Rejected", NO_LICENCE)


@pytest.fixture(scope="module")
def released(pipeline: Pipeline, rejected: Ending) -> Ending:
    return pipeline.answer(pipeline.retry(rejected, "Approve"), "Approved", "now it does")


@pytest.fixture(scope="module")
def expired(pipeline: Pipeline, released: Ending) -> Ending:
    """A second model, for whose approval nobody has time."""
    declaration = pipeline.codepipeline.get_pipeline(name=pipeline.name)["pipeline"]
    (approval,) = [a for s in declaration["stages"] for a in s["actions"] if s["name"] == "Approve"]
    approval["timeoutInMinutes"] = SHORTEST_MINUTES
    pipeline.codepipeline.update_pipeline(pipeline=declaration)
    return pipeline.follow(pipeline.start(), past_approval=True)


@pytest.fixture(scope="module")
def broken(pipeline: Pipeline, expired: Ending) -> tuple[Ending, dict[str, str]]:
    """The second model is approved, but its file is damaged: no new container passes /ping."""
    where = urlsplit(pipeline.training_job(expired)["ModelArtifacts"]["S3ModelArtifacts"])
    file = {"Bucket": where.netloc, "Key": where.path.lstrip("/")}
    version = pipeline.s3.put_object(**file, Body=archive_of(b"damaged"))["VersionId"]
    waiting = pipeline.retry(expired, "Approve")
    return pipeline.answer(waiting, "Approved", "fine"), {**file, "VersionId": version}


def archive_of(model: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        member = tarfile.TarInfo("model.onnx")
        member.size = len(model)
        tar.addfile(member, io.BytesIO(model))
    return archive.getvalue()


@pytest.fixture(scope="module")
def looked_at_again(pipeline: Pipeline, broken: tuple[Ending, dict[str, str]]) -> Ending:
    """Only the failed action is retried."""
    return pipeline.retry(broken[0], "DeployModel-Prod", "FAILED_ACTIONS")


@pytest.fixture(scope="module")
def healed(
    pipeline: Pipeline, broken: tuple[Ending, dict[str, str]], looked_at_again: Ending
) -> Ending:
    """The model's file is put right, and the whole stage retried."""
    pipeline.s3.delete_object(**broken[1])
    return pipeline.retry(looked_at_again, "DeployModel-Prod")


# -- what they left ----------------------------------------------------------------------------


def failed_before(ending: Ending, action: str, *later: str) -> str:
    """Return the message of the one failed action; the later ones did not begin."""
    assert ending.status == "Failed"
    assert ending.failed.count("\n") == 0, ending.failed
    assert {ending.row(name).status for name in later} <= {""}, later
    return ending.failed.partition(f"/{action}: ")[2]


def production(ending: Ending) -> Any:
    """Return the label and the version that production answers with, or status and code."""
    status, body = ending.prod
    return (
        (body["predict"], body["model"]["version"])
        if status == 200
        else (status, body["error"]["code"])
    )


def test_without_data_training_does_not_start(pipeline, pushed):
    why = failed_before(pushed, "StartTraining", "GetTrainingStatus", APPROVAL)
    assert why == f"no training data under s3://{pipeline.data}/train/; upload it (step 4)"


def test_without_validation_data_the_model_is_not_judged(pipeline, unjudged):
    why = failed_before(unjudged, "FullTest", APPROVAL)
    wanted = f"no test data (a CSV) under s3://{pipeline.data}/validation/; upload it (step 4)"
    assert why == wanted


def test_a_header_without_pixels_is_named_with_its_file(pipeline, judged):
    why = failed_before(judged["header"], "FullTest", APPROVAL)
    assert why.startswith(f"s3://{pipeline.data}/{VALIDATION}: the header must name 'pixels'")
    assert "'pixel'" in why


def test_a_pixel_of_300_is_named_with_its_file_and_line(pipeline, judged):
    why = failed_before(judged["pixel"], "FullTest", APPROVAL)
    where = f"s3://{pipeline.data}/{VALIDATION} line 4"
    assert why == f"{where}: pixel 17 is '300', must be a whole number from 0 to 255"


def test_the_gate_names_every_threshold_that_is_missed_with_value_and_limit(judged):
    why = failed_before(judged["unfair"], "FullTest", APPROVAL)
    assert re.search(rf"macro recall {ESTIMATE} must be at least 0\.7", why)
    assert re.search(rf"recall of label 'Star' {ESTIMATE} in 40 rows must be at least 0\.3", why)
    assert re.search(
        rf"recall gap {ESTIMATE} between gender '0' and '1' must be at most 0\.25", why
    )
    assert re.search(rf"{ESTIMATE} between age '20-29' and '60\+' must be at most 0\.25", why)


def test_the_report_lies_where_the_gate_says(pipeline, judged):
    where = urlsplit(judged["complete"].failed.rpartition("See ")[2])
    page = pipeline.s3.get_object(Bucket=where.netloc, Key=where.path.lstrip("/"))["Body"].read()
    assert MISSING in page.decode()


def test_the_gate_names_the_group_that_training_left_out(judged):
    ending = judged["complete"]
    why = failed_before(ending, "FullTest", APPROVAL)
    assert f"recall of label '{MISSING}' 0.000" in why
    assert "the model was never trained on it" in why
    assert not [label for label in PRESENT if f"'{label}'" in why]
    assert ending.dev[1]["predict"] in PRESENT  # it cannot say what it never saw


@pytest.mark.parametrize("step", ["pushed", "unjudged", "malformed", "asked", "rejected"])
def test_production_is_untouched_before_the_first_approval(request, step):
    assert production(request.getfixturevalue(step)) == NOT_DEPLOYED


@pytest.mark.parametrize("file", ["header", "pixel", "unfair", "complete"])
def test_a_refused_model_does_not_reach_production(judged, file):
    assert production(judged[file]) == NOT_DEPLOYED


def test_training_names_a_pixel_of_300_with_file_and_row(malformed):
    why = failed_before(malformed, "GetTrainingStatus", "DeployToDevEnv")
    assert "validation.csv: row 3: pixel 17 is 300, not in 0-255" in why


def test_the_old_model_answers_on_dev_while_training_fails(judged, malformed):
    assert malformed.dev == judged["complete"].dev


def test_a_stage_retried_with_good_data_goes_on_in_the_same_run(malformed, asked):
    assert asked.execution == malformed.execution
    assert asked.row(APPROVAL).waits_for_approval, asked.failed


def test_new_data_retrains_with_the_image_that_is_there(pipeline, unjudged, asked):
    images = [
        pipeline.training_job(ending)["AlgorithmSpecification"]["TrainingImage"]
        for ending in (unjudged, asked)
    ]
    assert re.search(r"@sha256:[0-9a-f]{64}$", images[0])
    assert images[0] == images[1]
    assert "reusing them: no test, no build, no push" in pipeline.build_log(asked)


def test_a_rejected_model_fails_with_the_reviewers_words(rejected):
    why = failed_before(rejected, APPROVAL, "DeployToProdEnv")
    assert why.startswith("Rejected by arn:")
    assert rejected.approval["status"] == "Failed"
    assert rejected.approval["summary"] == NO_LICENCE


def test_the_missing_group_is_answered_in_production_once_the_data_is_complete(
    pipeline, asked, released
):
    assert released.status == "Succeeded", released.failed
    job = pipeline.training_job(asked)["TrainingJobName"]
    assert production(released) == (MISSING, job)


def test_an_approval_that_nobody_answers_expires_and_production_keeps_its_model(released, expired):
    why = failed_before(expired, APPROVAL, "DeployToProdEnv")
    assert "expired" in why
    assert expired.dev[1]["model"] != released.dev[1]["model"]
    assert expired.prod == released.prod


def test_a_release_whose_containers_are_not_healthy_is_rolled_back(released, broken):
    ending = broken[0]
    assert ending.status == "Failed"
    assert ending.row("GetDeployStatus", "Prod").status == "Failed", ending.failed
    assert "the update was rolled back" in ending.failed
    assert "health check" in ending.failed
    assert ending.prod == released.prod


def test_looking_again_at_a_failed_release_releases_nothing(released, broken, looked_at_again):
    assert looked_at_again.failed == broken[0].failed
    assert looked_at_again.prod == released.prod


def test_retrying_the_whole_stage_releases_the_second_model(pipeline, expired, healed):
    assert healed.status == "Succeeded", healed.failed
    job = pipeline.training_job(expired)["TrainingJobName"]
    assert production(healed) == (MISSING, job)
