"""Every ending of an action is reported to CodePipeline once, whatever goes wrong."""

import json

import pytest

TRAIN, STATUS = "Ethnicity-Pred-TrainModel", "Ethnicity-Pred-GetStatus"
STARTED = {
    "kind": "training-job",
    "training_job_name": "job",
    "train_image": "repo@sha256:a",
    "serve_image": "repo@sha256:b",
    "commit": "c0ffee",
    "data_bucket": "data",
    "execution_id": "e-1",
}


@pytest.fixture
def asked(aws, event, put_input):
    """The event of GetTrainingStatus for a training job in this status."""

    def ask(status="InProgress", **kwargs):
        aws.training["job"] = {
            "TrainingJobName": "job",
            "TrainingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/job",
            "TrainingJobStatus": status,
            "SecondaryStatus": "Training" if status == "InProgress" else status,
            "ModelArtifacts": {"S3ModelArtifacts": "s3://models/training/job/model.tar.gz"},
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "StoppingCondition": {},
            "ResourceConfig": {"VolumeSizeInGB": 30},
            "CreationTime": 1_796_126_400,
        }
        asking = event("get-training-status", **kwargs)
        put_input(asking, STARTED)
        return asking

    return ask


def test_success_is_reported_once_with_artifact_variables_and_summary(
    invoke, asked, ending, output
):
    run = invoke(STATUS, done := asked("Completed"))
    assert run.results == [{"result": None}]
    told = ending(done)
    assert told["ending"] == "success"
    assert "continuationToken" not in told
    assert told["outputVariables"]["TrainingJobName"] == "job"
    assert "job is Completed" in told["executionDetails"]["summary"]
    assert output(done)["kind"] == "trained-model"


def test_not_yet_is_a_success_with_a_token_and_without_an_artifact(invoke, asked, ending, aws):
    invoke(STATUS, waiting := asked())
    told = ending(waiting)
    assert told["ending"] == "success"
    token = json.loads(told["continuationToken"])
    assert token["action"] == waiting["CodePipeline.job"]["id"]
    assert not aws.called("PutObject")


def test_a_continued_action_remembers_its_first_job_and_when_it_first_asked(invoke, asked, ending):
    invoke(STATUS, first := asked())
    token = ending(first)["continuationToken"]
    invoke(STATUS, second := asked(job_id="22222222-0000-0000-0000-000000000002", token=token))
    assert ending(second)["continuationToken"] == token


def test_the_deadline_counts_from_the_first_question(invoke, asked, ending):
    long_ago = {"action": "x", "since": "2020-01-01T00:00:00+00:00", "state": {}}
    invoke(STATUS, late := asked(token=json.dumps(long_ago)))
    told = ending(late)
    assert (told["ending"], told["type"]) == ("failure", "JobFailed")
    assert "deadline is 180" in told["message"]
    assert "job is InProgress (Training)" in told["message"]


def test_the_true_reason_of_a_failure_is_reported(invoke, asked, ending, aws):
    failed = asked("Failed")
    aws.training["job"]["FailureReason"] = "AlgorithmError: no label column, exit code: 1"
    invoke(STATUS, failed)
    assert "AlgorithmError: no label column" in ending(failed)["message"]


def test_a_missing_right_is_reported_as_such(invoke, asked, ending, aws):
    aws.fail("DescribeTrainingJob", "AccessDeniedException", "not authorized to perform: x")
    invoke(STATUS, denied := asked())
    assert ending(denied)["type"] == "PermissionError"
    assert "not authorized to perform: x" in ending(denied)["message"]


@pytest.mark.parametrize(
    ("operation", "told"),
    [("GetObject", "cannot read artifact jobEventInfo"), ("PutObject", "cannot write artifact")],
)
def test_an_artifact_that_cannot_be_read_or_written_is_reported(
    invoke, asked, ending, aws, operation, told
):
    aws.fail(operation, "AccessDenied", "no kms:Decrypt", 403)
    invoke(STATUS, asking := asked("Completed"))
    assert ending(asking)["type"] == "PermissionError"
    assert told in ending(asking)["message"]
    assert "no kms:Decrypt" in ending(asking)["message"]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04broken", b"x" * (2 << 20)])
def test_an_artifact_that_is_no_zip_of_one_json_file_is_reported(
    invoke, asked, ending, aws, content
):
    asking = asked()
    [place] = list(aws.objects)
    aws.objects[place] = content
    invoke(STATUS, asking)
    assert "artifact jobEventInfo" in ending(asking)["message"]


def test_an_artifact_of_another_kind_is_reported(invoke, asked, ending, put_input):
    asking = asked()
    put_input(asking, {"kind": "smoke-test"})
    invoke(STATUS, asking)
    assert "is of kind 'smoke-test'" in ending(asking)["message"]
    assert ending(asking)["type"] == "ConfigurationError"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"params": "not json"}, "not JSON at character 0: …not json… (if these are hyper"),
        ({"params": '{"hyperparameters": {"epochs": 3,}, "more": 1}'}, ': {"epochs": 3,}, "'),
        ({"params": "[]"}, "UserParameters is a list"),
        ({"params": {"execution_id": None, "colour": "red"}}, "lacks 'execution_id'"),
        ({"params": {"deadline_minutes": 0}}, "'deadline_minutes' must be a whole number from 1"),
        ({"inputArtifacts": []}, "one input artifact, has 0"),
        ({"token": "somebody else's"}, "continuation token is not one of ours"),
        ({"artifactCredentials": {}}, "KeyError"),
        ({"actionConfiguration": {}}, "KeyError"),
    ],
)
def test_a_malformed_job_is_reported_with_what_is_wrong(invoke, event, ending, change, told):
    malformed = event("get-training-status", **change)
    run = invoke(STATUS, malformed)
    assert run.code == 0
    assert ending(malformed)["ending"] == "failure"
    assert told in ending(malformed)["message"]


def test_a_missing_setting_is_reported_and_does_not_break_the_import(invoke, event, ending):
    starting = event("start-training")
    invoke(TRAIN, starting, UNIQUE_ID=None, KMS_KEY_ARN="")
    assert ending(starting)["type"] == "ConfigurationError"
    assert "UNIQUE_ID, KMS_KEY_ARN" in ending(starting)["message"]


def test_a_success_that_cannot_be_reported_becomes_a_failure_with_the_reason(
    invoke, asked, ending, aws
):
    aws.fail("PutJobSuccessResult", "ValidationException", "outputVariables are wrong")
    run = invoke(STATUS, asking := asked("Completed"))
    assert run.results == [{"result": None}]
    assert ending(asking)["ending"] == "failure"
    assert "outputVariables are wrong" in ending(asking)["message"]


def test_when_not_even_a_failure_can_be_reported_lambda_is_told(invoke, asked, aws):
    aws.fail("PutJobSuccessResult", "AccessDeniedException", "no", times=9)
    aws.fail("PutJobFailureResult", "AccessDeniedException", "no", times=9)
    run = invoke(STATUS, asked("Completed"))
    assert "AccessDeniedException" in run.results[0]["raised"]
    assert any(line["message"] == "cannot report to CodePipeline" for line in run.lines)


def test_a_job_that_has_ended_already_is_let_be(invoke, asked, ending, aws):
    asking = asked("Completed")
    run = invoke(STATUS, asking, asking)
    assert run.results == [{"result": None}] * 2
    assert ending(asking)["ending"] == "success"
    assert not aws.called("PutJobFailureResult")


def test_reasons_are_cut_to_what_codepipeline_takes(invoke, asked, ending, aws):
    failed = asked("Failed")
    aws.training["job"]["FailureReason"] = "x" * 9_000
    invoke(STATUS, failed)
    assert len(ending(failed)["message"]) == 5_000


def test_artifacts_are_read_and_written_as_the_job_and_all_else_as_the_function(invoke, asked, aws):
    invoke(STATUS, asked("Completed"))
    keys = {call.operation: call.access_key for call in aws.calls}
    assert keys == {
        "GetObject": "ASIAPIPELINEJOBCREDS",
        "PutObject": "ASIAPIPELINEJOBCREDS",
        "DescribeTrainingJob": "FUNCTIONROLE",
        "PutJobSuccessResult": "FUNCTIONROLE",
    }


def test_the_artifact_is_encrypted_with_the_key_that_the_pipeline_names(invoke, asked, aws):
    invoke(STATUS, asked("Completed"))
    [headers] = aws.object_headers.values()
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"].endswith(":key/k")


def test_without_a_key_the_buckets_own_encryption_decides(invoke, asked, aws):
    invoke(STATUS, asked("Completed", encryptionKey=None))
    [headers] = aws.object_headers.values()
    assert "x-amz-server-side-encryption" not in headers


def test_an_action_that_declares_no_output_writes_none(invoke, asked, ending, aws):
    invoke(STATUS, asking := asked("Completed", outputArtifacts=[]))
    assert ending(asking)["ending"] == "success"
    assert not aws.called("PutObject")


SECRETS = ["planted/secret+access+key+of+the+job", "planted-session-token-of-the-job", "hunter2"]


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "SHOUT"])
def test_no_secret_of_the_event_reaches_a_log_an_artifact_or_a_message(invoke, asked, aws, level):
    aws.fail("DescribeTrainingJob", "AccessDeniedException", f"bad token {SECRETS[1]}")
    events = [
        asked("Completed"),
        asked("Completed", job_id="2", params={"password": "hunter2"}),
        asked("Completed", job_id="3", artifactCredentials={"secretAccessKey": SECRETS[0]}),
        asked("Completed", job_id="4"),
    ]
    run = invoke(STATUS, *events, LOG_LEVEL=level)
    endings = [aws.endings[e["CodePipeline.job"]["id"]][0]["ending"] for e in events]
    assert endings == ["failure", "failure", "failure", "success"]
    written = b"".join(aws.objects.values())
    told = json.dumps([run.results, aws.endings]) + run.log
    for secret in SECRETS:
        assert secret not in told
        assert secret.encode() not in written


def test_the_log_is_one_json_line_per_fact_with_the_ids(invoke, asked):
    asking = asked("Completed")
    [line] = invoke(STATUS, asking).lines
    assert line["job_id"] == asking["CodePipeline.job"]["id"]
    assert line["execution_id"].startswith("5d1c0f6e")
    assert line["service"] == STATUS
    assert (line["level"], line["ending"]) == ("INFO", "put_job_success_result")
