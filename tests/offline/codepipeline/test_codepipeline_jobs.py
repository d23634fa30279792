"""What becomes of an action by what its function answers, or does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Stage = Callable[..., dict[str, Any]]
NO_RESULT = (
    "The AWS Lambda function mini-function failed to return a result. Check the function to verify "
    "that it has permission to call the PutJobSuccessResult action and that it made a call to "
    "PutJobSuccessResult."
)


def ending(mini: Any, *stages: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Run a pipeline of these stages; return its status and why the action Call failed."""
    name, execution = mini.create(*stages)
    status = mini.wait(name, execution)
    return status, mini.error(name, execution, "Call") if status == "Failed" else {}


def test_a_reported_failure_fails_the_action_with_its_message(mini: Any, invoke: Stage) -> None:
    status, error = ending(mini, invoke("fail", why="no data"))
    assert status == "Failed"
    assert error == {"code": "ConfigurationError", "message": "no data"}


def test_silence_ends_in_awss_own_words(mini: Any, silent: tuple[str, str]) -> None:
    assert mini.wait(*silent) == "Failed"
    assert mini.error(*silent, "Call")["message"] == NO_RESULT


def test_success_without_the_declared_artifact_fails(mini: Any, invoke: Stage) -> None:
    status, error = ending(mini, invoke("forget artifact", artifact="Answer"))
    assert status == "Failed"
    assert "output artifact Answer is missing" in error["message"]


def test_the_second_answer_of_a_job_does_not_count(mini: Any, invoke: Stage) -> None:
    status, _ = ending(mini, invoke("answer twice", artifact="Answer"))
    assert status == "Succeeded"
    end = time.monotonic() + 60
    while not (told := second_answers(mini)):  # the log follows the invocation's end
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "InvalidJobStateException" in told[0]["message"]


def second_answers(mini: Any) -> list[dict[str, Any]]:
    logs = mini.cloud.client("logs")
    found = logs.filter_log_events(
        logGroupName="/aws/lambda/mini-function", filterPattern='"second answer"'
    )
    return list(found["events"])


def test_artifact_credentials_reach_no_further_than_the_artifacts(mini: Any, invoke: Stage) -> None:
    status, error = ending(mini, invoke("read elsewhere"))
    assert status == "Failed"
    assert "s3:ListBucket" in error["message"]


@pytest.mark.parametrize("operation", ["put_job_success_result", "put_job_failure_result"])
def test_an_unknown_job_is_not_found(mini: Any, operation: str) -> None:
    details = {"failureDetails": {"type": "JobFailed", "message": "x"}}
    with pytest.raises(ClientError) as refused:
        getattr(mini.codepipeline, operation)(
            jobId="00000000-0000-0000-0000-000000000000",
            **(details if "failure" in operation else {}),
        )
    assert refused.value.response["Error"]["Code"] == "JobNotFoundException"


def test_a_continuation_carries_no_output_variables(mini: Any) -> None:
    with pytest.raises(ClientError, match="only when there is no continuation token"):
        mini.codepipeline.put_job_success_result(
            jobId="00000000-0000-0000-0000-000000000000",
            continuationToken="again",
            outputVariables={"a": "b"},
        )


def test_members_that_would_be_ignored_are_refused_by_name(mini: Any) -> None:
    with pytest.raises(ClientError, match="currentRevision"):
        mini.codepipeline.put_job_success_result(
            jobId="00000000-0000-0000-0000-000000000000",
            currentRevision={"revision": "1", "changeIdentifier": "1"},
        )
    with pytest.raises(ClientError, match="GetJobDetails is not emulated"):
        mini.codepipeline.get_job_details(jobId="00000000-0000-0000-0000-000000000000")
