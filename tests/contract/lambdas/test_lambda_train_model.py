"""StartTraining: image.json in, one training job out, however often it is asked."""

import pytest

TRAIN = "Ethnicity-Pred-TrainModel"
NAME = "ethnicity-pred-kmm-11111111-2222-3333-4444-555555555555"
DIGEST = "sha256:" + "a" * 64
IMAGE = {
    "repository": "000000000000.dkr.ecr.us-east-1.amazonaws.com/ethnicity-pred-ecr-kmm",
    "commit": "c0ffee",
    "train": {"tag": "c0ffee-train", "digest": DIGEST},
    "serve": {"tag": "c0ffee-serve", "digest": DIGEST},
}


@pytest.fixture
def starting(event, put_input, aws):
    """The event of StartTraining, its input, and training data."""
    asking = event("start-training")
    put_input(asking, IMAGE, "image.json")
    aws.objects["data", "train/train.csv"] = b"ethnicity,pixels\n"
    return asking


def test_a_training_job_is_started_and_handed_over(invoke, starting, ending, output, aws):
    invoke(TRAIN, starting)
    [request] = aws.called("CreateTrainingJob")
    assert request["TrainingJobName"] == NAME
    assert request["AlgorithmSpecification"]["TrainingImage"].endswith(f"@{DIGEST}")
    assert {t["Key"] for t in request["Tags"]} == {"pipeline-execution-id", "commit", "unique-id"}
    assert [c["ChannelName"] for c in request["InputDataConfig"]] == ["train"]
    assert output(starting)["training_job_name"] == NAME
    assert ending(starting)["outputVariables"]["TrainingJobName"] == NAME
    assert ending(starting)["executionDetails"]["externalExecutionId"] == NAME


def test_validation_data_becomes_a_channel_only_if_it_is_there(invoke, starting, aws):
    aws.objects["data", "validation/"] = b""
    aws.objects["data", "validation/validation.csv"] = b"ethnicity,pixels\n"
    invoke(TRAIN, starting)
    [request] = aws.called("CreateTrainingJob")
    assert [c["ChannelName"] for c in request["InputDataConfig"]] == ["train", "validation"]


def test_a_validation_folder_without_a_csv_is_no_channel(invoke, starting, aws):
    aws.objects["data", "validation/labels.json"] = b"{}"
    invoke(TRAIN, starting)
    [request] = aws.called("CreateTrainingJob")
    assert [c["ChannelName"] for c in request["InputDataConfig"]] == ["train"]


def test_a_csv_behind_many_images_is_found(invoke, starting, ending, aws):
    del aws.objects["data", "train/train.csv"]
    for number in range(10):
        aws.objects["data", f"train/images/{number}.jpg"] = b"x"
    aws.objects["data", "train/labels.csv"] = b"file,label\n"
    invoke(TRAIN, starting)
    assert ending(starting)["ending"] == "success"


@pytest.mark.parametrize(
    "objects", [{}, {"train/": b""}, {"train/a.csv": b""}, {"train/x.jpg": b"x"}]
)
def test_without_training_data_it_fails_and_says_what_to_upload(
    invoke, starting, ending, aws, objects
):
    del aws.objects["data", "train/train.csv"]
    aws.objects.update({("data", key): content for key, content in objects.items()})
    invoke(TRAIN, starting)
    assert ending(starting)["ending"] == "failure"
    assert ending(starting)["message"] == (
        "no training data under s3://data/train/; upload it (step 4)"
    )
    assert not aws.called("CreateTrainingJob")


def test_a_redelivery_finds_the_job_and_hands_over_the_same(invoke, starting, output, aws):
    invoke(TRAIN, starting)
    first = output(starting)
    aws.endings.clear()
    invoke(TRAIN, starting)
    assert output(starting) == first
    assert list(aws.training) == [NAME]


@pytest.mark.parametrize("calls", range(6))
def test_cut_off_anywhere_a_redelivery_ends_well(invoke, starting, ending, output, aws, calls):
    cut_off = invoke(TRAIN, starting, crash_after=calls)
    assert cut_off.code == 9
    invoke(TRAIN, starting)
    assert ending(starting)["ending"] == "success"
    assert output(starting)["training_job_name"] == NAME
    assert list(aws.training) == [NAME]


def test_another_job_of_the_same_name_is_not_taken_for_ours(invoke, starting, ending, aws):
    invoke(TRAIN, starting)
    aws.endings.clear()
    aws.training[NAME]["HyperParameters"] = {"epochs": "99"}
    invoke(TRAIN, starting)
    assert "exists already with another set of hyperparameters" in ending(starting)["message"]


def test_a_quota_of_zero_is_told_with_what_to_do(invoke, starting, ending, aws):
    aws.fail("CreateTrainingJob", "ResourceLimitExceeded", "the limit is 0 Instances")
    invoke(TRAIN, starting)
    assert "the limit is 0 Instances" in ending(starting)["message"]
    assert "quota" in ending(starting)["message"]


def test_an_image_without_a_serving_half_fails_before_training(
    invoke, starting, ending, put_input, aws
):
    put_input(starting, IMAGE | {"serve": {}})
    invoke(TRAIN, starting)
    assert "serve image's digest" in ending(starting)["message"]
    assert not aws.training
