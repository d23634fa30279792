"""From a push to green: source, build, Lambda, and what is left of it."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import Any

import pytest

PIPELINE = "mini-pipeline"


@pytest.fixture(scope="module")
def execution(mini: Any) -> dict[str, Any]:
    """The execution that the push started, when it has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        listed = mini.codepipeline.list_pipeline_executions(pipelineName=PIPELINE)
        newest = listed["pipelineExecutionSummaries"][0]
        if newest["trigger"]["triggerType"] == "CloudWatchEvent":
            status = mini.wait(PIPELINE, newest["pipelineExecutionId"], timeout_s=90)
            failed = [
                detail["output"]["executionResult"]
                for detail in mini.actions(PIPELINE, newest["pipelineExecutionId"]).values()
                if detail["status"] == "Failed"
            ]
            assert status == "Succeeded", failed
            return newest
        time.sleep(0.1)
    raise AssertionError("the push started nothing")


@pytest.fixture(scope="module")
def actions(mini: Any, execution: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return mini.actions(PIPELINE, execution["pipelineExecutionId"])


def test_an_empty_repository_fails_at_source_in_awss_own_words(
    first_failure: dict[str, str],
) -> None:
    assert first_failure["message"] == (
        "The action failed because no branch named main was found in the selected AWS CodeCommit "
        "repository mini-repository. Make sure you are using the correct branch name, and then "
        "try again. Error: null"
    )


def test_creating_the_pipeline_started_its_first_execution(
    mini: Any, execution: dict[str, Any]
) -> None:
    listed = mini.codepipeline.list_pipeline_executions(pipelineName=PIPELINE)
    triggers = [e["trigger"]["triggerType"] for e in listed["pipelineExecutionSummaries"]]
    assert triggers[-1] == "CreatePipeline"


def test_the_push_started_one_execution_by_its_rule(mini: Any, execution: dict[str, Any]) -> None:
    assert execution["trigger"] == {
        "triggerType": "CloudWatchEvent",
        "triggerDetail": mini.outputs["RuleArn"],
    }


def test_the_execution_names_the_commit(mini: Any, execution: dict[str, Any]) -> None:
    found = mini.codepipeline.get_pipeline_execution(
        pipelineName=PIPELINE, pipelineExecutionId=execution["pipelineExecutionId"]
    )["pipelineExecution"]
    assert found["status"] == "Succeeded"
    revision = found["artifactRevisions"][0]
    assert (revision["name"], revision["revisionId"]) == ("Code", mini.outputs["Commit"])
    assert revision["revisionSummary"] == "the first change"


def test_variables_went_from_action_to_action(
    mini: Any, execution: dict[str, Any], actions: dict[str, dict[str, Any]]
) -> None:
    resolved = actions["Call"]["input"]["resolvedConfiguration"]["UserParameters"]
    wish = json.loads(resolved)
    assert wish["execution"] == execution["pipelineExecutionId"]
    assert wish["commit"] == wish["tag"] == mini.outputs["Commit"]


def test_a_continued_action_got_a_new_job_and_its_token(actions: dict[str, dict[str, Any]]) -> None:
    variables = actions["Call"]["output"]["outputVariables"]
    assert variables["first"] != variables["job"]
    assert actions["Call"]["output"]["executionResult"]["externalExecutionSummary"] == "done"


def test_artifacts_lie_in_the_store_under_its_key(
    mini: Any, actions: dict[str, dict[str, Any]]
) -> None:
    s3 = mini.cloud.client("s3")
    for name in ("Get", "Make", "Call"):
        place = actions[name]["output"]["outputArtifacts"][0]["s3location"]
        found = s3.get_object(Bucket=place["bucket"], Key=place["key"])
        assert found["ServerSideEncryption"] == "aws:kms"
        assert found["SSEKMSKeyId"] == mini.outputs["KeyArn"]
    with zipfile.ZipFile(io.BytesIO(found["Body"].read())) as archive:
        assert json.loads(archive.read("answer.json"))["inputs"] == [["image.json"]]


def test_the_image_is_in_ecr_under_the_commit(mini: Any, execution: dict[str, Any]) -> None:
    images = mini.cloud.client("ecr").describe_images(
        repositoryName="mini-images", imageIds=[{"imageTag": mini.outputs["Commit"]}]
    )["imageDetails"]
    assert images[0]["imageDigest"].startswith("sha256:")


def test_the_build_says_what_it_did_and_what_it_did_not(
    mini: Any, actions: dict[str, dict[str, Any]]
) -> None:
    build_id = actions["Make"]["output"]["executionResult"]["externalExecutionId"]
    build = mini.cloud.client("codebuild").batch_get_builds(ids=[build_id])["builds"][0]
    assert build["initiator"] == f"codepipeline/{PIPELINE}"
    assert build["resolvedSourceVersion"] == mini.outputs["Commit"]
    phases = {phase["phaseType"]: phase.get("phaseStatus") for phase in build["phases"]}
    assert phases["BUILD"] == phases["UPLOAD_ARTIFACTS"] == "SUCCEEDED"
    events = mini.cloud.client("logs").get_log_events(
        logGroupName=build["logs"]["groupName"], logStreamName=build["logs"]["streamName"]
    )["events"]
    log = "".join(event["message"] for event in events)
    assert "the image greets" in log
    assert "not executed: RUN useradd somebody" in log


def test_the_pipelines_state_shows_every_stage(mini: Any, execution: dict[str, Any]) -> None:
    states = mini.codepipeline.get_pipeline_state(name=PIPELINE)["stageStates"]
    assert [state["stageName"] for state in states] == ["Source", "Build", "Use"]
    assert {state["latestExecution"]["status"] for state in states} == {"Succeeded"}
    revision = states[0]["actionStates"][0]["currentRevision"]
    assert revision["revisionId"] == mini.outputs["Commit"]
