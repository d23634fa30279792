"""The lab's decisions, without AWS: which stacks, which request, which rows, which files."""

import csv
import json
import os
import subprocess

import pytest
from botocore.exceptions import ClientError
from demo.calls import CREDENTIAL_HELPER
from lab import data_set, executions, repository, upload, workshop
from lab.api import prediction_request
from lab.errors import LabError
from lab.pictures import groups_of
from lab.report import recall
from pipeline_rows import ActionRow

PREP, PIPELINE = "MLOps-Ethnicity-Prediction", "MLOps-BYO-BuildPipeline"
ROLE = "arn:aws:sts::1:assumed-role/{}-NotebookRole-1A2B/SageMaker"


def stack(unique_id, outputs=None, status="CREATE_COMPLETE", **parameters):
    given = {"UniqueID": unique_id, **parameters}
    return {
        "StackStatus": status,
        "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
        "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in (outputs or {}).items()],
    }


class Account:
    """A boto3 session on an account with these stacks."""

    region_name = "us-east-1"

    def __init__(self, stacks, arn="arn:aws:iam::1:user/me"):
        self.stacks, self.arn = stacks, arn
        self.uploaded = []

    def client(self, service):
        return self

    def get_caller_identity(self):
        return {"Arn": self.arn}

    def describe_stacks(self, **request):
        name = request["StackName"]
        if name not in self.stacks:
            error = {"Code": "ValidationError", "Message": f"{name} does not exist"}
            raise ClientError({"Error": error}, "DescribeStacks")
        return {"Stacks": [self.stacks[name]]}

    def upload_file(self, file, bucket, key):
        self.uploaded.append(key)


@pytest.fixture
def metadata(tmp_path):
    """SageMaker's file about the instance of kmm."""
    arn = "arn:aws:sagemaker:eu-west-1:1:notebook-instance/ethnicity-prediction-notebook-kmm"
    content = {"ResourceName": "Ethnicity-Prediction-Notebook-kmm", "ResourceArn": arn}
    path = tmp_path / "resource-metadata.json"
    path.write_text(json.dumps(content))
    return path


def find(account, metadata=None, **names):
    nowhere = workshop.Path("no-such-file")
    return workshop.find(account, metadata=metadata or nowhere, **names)


def test_the_stacks_of_the_default_names_are_found():
    stacks = {
        PREP: stack("kmm", {"RepositoryName": "r"}),
        PIPELINE: stack("kmm", {"PipelineName": "p"}, ApiAuthorization="NONE"),
    }
    found = find(Account(stacks))
    assert found.unique_id == "kmm"
    assert found.outputs == {"RepositoryName": "r", "PipelineName": "p"}
    assert found.pipeline == "p"
    assert not found.is_signed


def test_an_api_of_which_nothing_is_known_is_taken_to_want_signatures():
    assert find(Account({PREP: stack("kmm"), PIPELINE: stack("kmm")})).is_signed


def test_on_an_instance_another_persons_default_names_are_passed_over(metadata):
    stacks = {
        PREP: stack("abc"),
        PIPELINE: stack("abc", {"whose": "theirs"}),
        f"{PREP}-kmm": stack("kmm"),
        f"{PIPELINE}-kmm": stack("kmm", {"whose": "mine"}),
    }
    assert find(Account(stacks), metadata).outputs == {"whose": "mine"}


def test_the_role_of_the_instance_tells_stack_1(metadata):
    stacks = {"my-lab": stack("kmm", {"RepositoryName": "r"}), PIPELINE: stack("kmm")}
    account = Account(stacks, ROLE.format("my-lab"))
    assert find(account, metadata).outputs["RepositoryName"] == "r"


def test_names_can_be_given():
    stacks = {"one": stack("kmm"), "two": stack("kmm", {"PipelineName": "p"})}
    found = find(Account(stacks), prep_stack="one", pipeline_stack="two")
    assert found.pipeline == "p"


@pytest.mark.parametrize(
    ("stacks", "said"),
    [
        ({}, f"{PREP}: {PREP} does not exist"),
        ({PREP: stack("kmm")}, f"{PIPELINE} does not exist"),
        ({PREP: stack("kmm"), PIPELINE: stack("abc")}, f"{PIPELINE} is of UniqueID abc, not kmm"),
        ({PREP: stack("kmm", status="CREATE_FAILED")}, f"{PREP} is CREATE_FAILED"),
        ({PREP: stack("kmm", status="ROLLBACK_COMPLETE")}, f"{PREP} is ROLLBACK_COMPLETE"),
        ({PREP: stack("kmm", status="DELETE_COMPLETE")}, f"{PREP} is DELETE_COMPLETE"),
    ],
)
def test_what_was_not_found_is_said_and_what_to_do(stacks, said):
    with pytest.raises(LabError) as error:
        find(Account(stacks))
    assert said in str(error.value)
    assert "find(prep_stack=" in str(error.value)


# -- the API -----------------------------------------------------------------------------------

URL = "https://abc123.execute-api.us-east-1.amazonaws.com/dev/predict"


def test_the_request_is_the_seeds_own():
    request = prediction_request(URL, "download-1.jpg", {})
    assert (request.method, request.url) == ("POST", URL)
    assert json.loads(request.data) == {"image_name": "download-1.jpg"}
    assert request.headers["Content-Type"] == "application/json"


def test_an_endpoint_of_the_sdk_is_where_to_connect_and_the_host_still_names_the_api():
    request = prediction_request(URL, "x.jpg", {"AWS_ENDPOINT_URL": "http://10.0.0.7:80"})
    assert request.url == "http://10.0.0.7:80/dev/predict"
    assert request.headers["Host"] == "abc123.execute-api.us-east-1.amazonaws.com"


# -- the data ----------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path):
    return data_set.draw_data(tmp_path / "data", {"train": 25, "validation": 10, "smoketest": 5})


def test_the_drawn_data_are_hidden_from_git_and_named(data):
    assert (data.folder / ".gitignore").read_text() == "*\n"
    part = data.part("train")
    assert part.images.shape == (25, 48, 48)
    assert set(part.labels) == set(data.names.values())
    assert not data.sensitive


def test_leaving_one_label_out_leaves_all_other_rows_as_they_are(data):
    with data.part_path("train").open(newline="") as file:
        every = list(csv.reader(file))
    with data_set.leave_out(data, "Star").open(newline="") as file:
        rest = list(csv.reader(file))
    star = next(value for value, name in data.names.items() if name == "Star")
    column = every[0].index("ethnicity")
    assert rest == [row for row in every if row[column] != star]
    assert len(rest) == len(every) - 5


def test_a_label_that_nobody_has_cannot_be_left_out(data):
    with pytest.raises(LabError, match="no label is called 'Sun'; there are Round, Square"):
        data_set.leave_out(data, "Sun")


def test_the_file_that_starts_the_pipeline_is_uploaded_last(data, tmp_path):
    account = Account({PREP: stack("kmm"), PIPELINE: stack("kmm", {"DataBucket": "b"})})
    (tmp_path / "download-0.jpg").write_bytes(b"jpeg")
    upload.upload_all(find(account), data, tmp_path)
    assert account.uploaded[-1] == "train/train.csv"
    assert set(account.uploaded) == {
        "images/download-0.jpg",
        "smoketest/smoketest.csv",
        "validation/validation.csv",
        "train/labels.json",
        "train/train.csv",
    }


def test_groups_are_by_gender_and_age_as_far_as_the_data_tells_them():
    columns = {"gender": ["0", "1", "1"], "age": ["29", "30", "31"]}
    part = data_set.Part(None, None, ["a", "b", "b"], columns)
    assert groups_of(part) == {"gender 0, age 0-29": {"a": 1}, "gender 1, age 30-59": {"b": 2}}
    assert groups_of(data_set.Part(None, None, ["a"], {})) == {"all": {"a": 1}}


def test_a_label_without_test_rows_has_no_recall():
    labels = [{"label": "a", "value": 0.5}, {"label": "b", "value": None}]
    assert recall({"labels": labels}) == {"a": 0.5}


# -- the pipeline ------------------------------------------------------------------------------


def row(status, provider="Lambda", note=""):
    return ActionRow("Stage", "Action", status, 1.0, note, provider, "/aws/lambda/x")


def test_a_table_escapes_what_an_action_says():
    run = executions.Run("id", "Failed", [row("Failed", note="<b>why</b> & how")])
    assert "&lt;b&gt;why&lt;/b&gt; &amp; how" in executions.table(run)
    assert executions.why_stopped(run) == "Stage/Action: <b>why</b> & how"


def test_only_a_manual_action_in_progress_waits_for_approval():
    assert executions.Run("id", "InProgress", [row("InProgress", "Manual")]).waits_for_approval
    assert not executions.Run("id", "InProgress", [row("InProgress")]).waits_for_approval
    assert not executions.Run("id", "Succeeded", [row("Succeeded", "Manual")]).waits_for_approval


def test_nothing_is_approved_that_does_not_wait():
    run = executions.Run("id", "Failed", [row("Failed")])
    with pytest.raises(LabError, match="waits for no approval: it is Failed"):
        executions.approve(None, run, "why not")


def test_a_run_that_was_not_stopped_has_no_reason():
    with pytest.raises(LabError, match="was not stopped: it is Succeeded"):
        executions.why_stopped(executions.Run("id", "Succeeded", [row("Succeeded")]))


# -- the repository ----------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone of an empty repository, with what running the notebook leaves in it."""
    for name in ("bin", "home"):
        (tmp_path / name).mkdir()
    (tmp_path / "bin/aws").write_text("#!/bin/sh\n")
    (tmp_path / "bin/aws").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    run(tmp_path, "init", "--quiet", "--bare", "origin.git")
    run(tmp_path, "clone", "--quiet", str(tmp_path / "origin.git"), "clone")
    folder = tmp_path / "clone"
    (folder / "model-code").mkdir()
    (folder / "model-code/train").write_text("#!/usr/bin/env python3\n")
    (folder / "lab/__pycache__").mkdir(parents=True)
    (folder / "lab/__pycache__/api.pyc").write_bytes(b"bytecode")
    return folder


def run(folder, *arguments):
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    return done.stdout.strip()


def workshop_of(url):
    outputs = {"RepositoryCloneUrl": str(url)}
    return workshop.Workshop(None, "kmm", outputs, {"RepositoryBranch": "release/1"})


def test_a_push_goes_to_the_branch_that_the_pipeline_reads(clone):
    origin = clone.parent / "origin.git"
    commit = repository.push(workshop_of(origin), "Model code", clone)
    assert run(origin, "rev-parse", "release/1") == commit
    assert run(origin, "ls-tree", "-r", "--name-only", commit) == "model-code/train"


def test_a_push_with_nothing_new_says_the_same_commit(clone):
    lab = workshop_of(clone.parent / "origin.git")
    assert repository.push(lab, "one", clone) == repository.push(lab, "two", clone)


def test_a_folder_that_is_no_clone_is_told_what_to_do(tmp_path, clone):
    with pytest.raises(LabError, match=r"is no clone of .*cp -R ~/SageMaker/byo-staging"):
        repository.push(workshop_of(clone.parent / "origin.git"), "m", tmp_path)


@pytest.mark.parametrize("asked", ["get", "store", "erase"])
def test_the_cli_is_asked_for_credentials_and_told_nothing(tmp_path, asked):
    (tmp_path / "aws").write_text('#!/bin/sh\necho "called=$*" >>"$0.log"\n')
    (tmp_path / "aws").chmod(0o755)
    helper = repository.HELPERS[1].removeprefix("!")  # git runs it by a shell, its word added
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-c", f"{helper} {asked}"], env=environment, check=True)
    assert (tmp_path / "aws.log").exists() == (asked == "get")


def test_the_demo_signs_in_as_the_lab_does():
    assert repository.HELPERS[1] == CREDENTIAL_HELPER


def test_another_repositorys_clone_is_not_pushed(clone):
    with pytest.raises(
        LabError, match=r"is a clone of .*origin\.git, the pipeline reads elsewhere"
    ):
        repository.push(workshop_of("elsewhere"), "m", clone)
    assert run(clone.parent / "origin.git", "branch") == ""


# -- following ---------------------------------------------------------------------------------


class Pipeline:
    """CodePipeline with executions that go through given statuses, one at each look."""

    def __init__(self, **statuses):
        self.statuses = {execution: iter(each) for execution, each in statuses.items()}
        self.summaries = [
            {"pipelineExecutionId": execution, "startTime": number, "sourceRevisions": []}
            for number, execution in enumerate(statuses)
        ]

    def client(self, service):
        return self

    def get_pipeline(self, **request):
        return {"pipeline": {"stages": []}}

    def get_pipeline_execution(self, **request):
        status = next(self.statuses[request["pipelineExecutionId"]])
        return {"pipelineExecution": {"status": status}}

    def get_paginator(self, operation):
        return self

    def paginate(self, **request):
        return [{"actionExecutionDetails": []}]

    def list_pipeline_executions(self, **request):
        return {"pipelineExecutionSummaries": self.summaries}


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, and no waiting between the looks."""
    texts = []

    class Handle:
        def update(self, content):
            texts.append(content.data)

    monkeypatch.setattr(executions, "display", lambda *_, **__: Handle())
    monkeypatch.setattr(executions, "POLL_S", 0)
    return texts


def lab_of(pipeline):
    return workshop.Workshop(pipeline, "kmm", {"PipelineName": "p"}, {})


def test_a_run_is_shown_until_it_ends(shown):
    followed = executions.follow(lab_of(Pipeline(a=["InProgress", "InProgress", "Failed"])), "a")
    assert followed.status == "Failed"
    assert [("InProgress" in text, "Failed" in text) for text in shown] == [
        (True, False),
        (True, False),
        (False, True),
    ]


def test_a_run_that_a_newer_one_took_over_from_is_left_for_that_one(shown):
    pipeline = Pipeline(old=["InProgress", "Superseded"], new=["InProgress", "Succeeded"])
    followed = executions.follow(lab_of(pipeline), "old")
    assert (followed.id, followed.status) == ("new", "Succeeded")


def test_the_run_of_a_commit_is_awaited(shown):
    pipeline = Pipeline(data=[], push=[])
    lab = lab_of(pipeline)
    pipeline.summaries[1]["sourceRevisions"] = [{"revisionId": "c0ffee"}]
    assert executions.run_of_commit(lab, "c0ffee") == "push"


def test_a_push_that_starts_nothing_is_told_of(shown, monkeypatch):
    monkeypatch.setattr(executions, "START_S", 0.05)
    with pytest.raises(LabError, match=r"commit c0ffee1 started no execution of p .*EventBridge"):
        executions.run_of_commit(lab_of(Pipeline(data=[])), "c0ffee123")
