"""How an action waits, and how its failure is told."""

from datetime import UTC, datetime, timedelta

import pytest
from common.endings import NotYet, keep_waiting
from common.failures import (
    LIMIT,
    ActionFailed,
    WrongConfiguration,
    clipped,
    exists_already,
    failure_type,
    is_missing,
    reason,
)

ASKED = datetime(2026, 1, 1, tzinfo=UTC)


class AwsError(Exception):
    """Looks like a botocore ClientError to code that reads only its response."""

    def __init__(self, code, message):
        super().__init__(f"An error occurred ({code}): {message}")
        self.response = {"Error": {"Code": code, "Message": message}}


def test_before_the_deadline_waiting_goes_on_and_keeps_its_state():
    wait = keep_waiting("job x is InProgress", ASKED, ASKED + timedelta(minutes=59), 60, {"a": 1})
    assert isinstance(wait, NotYet)
    assert (str(wait), wait.state) == ("job x is InProgress", {"a": 1})


def test_at_the_deadline_waiting_fails_with_what_it_waited_for_and_how_long():
    with pytest.raises(ActionFailed, match=r"job x is InProgress after 60 minutes.*deadline is 60"):
        keep_waiting("job x is InProgress", ASKED, ASKED + timedelta(minutes=60), 60)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ActionFailed("x"), "JobFailed"),
        (WrongConfiguration("x"), "ConfigurationError"),
        (AwsError("AccessDeniedException", "x"), "PermissionError"),
        (AwsError("ValidationException", "x"), "JobFailed"),
        (KeyError("x"), "JobFailed"),
    ],
)
def test_a_failure_is_of_the_type_that_tells_who_can_mend_it(error, kind):
    assert failure_type(error) == kind


def test_a_reason_fits_codepipeline_and_shows_that_it_was_cut():
    told = reason(ActionFailed("x" * 9_000))
    assert len(told) == LIMIT
    assert told.endswith("…")


def test_a_reason_is_never_empty():
    assert clipped("  ")


def test_a_quota_of_zero_is_told_with_what_to_do():
    told = reason(AwsError("ResourceLimitExceeded", "the limit is 0 Instances"))
    assert "the limit is 0 Instances" in told
    assert "quota" in told


def test_an_unexpected_error_is_told_as_such():
    assert reason(KeyError("digest")).startswith("KeyError: 'digest' (unexpected")


@pytest.mark.parametrize(
    "error",
    [
        AwsError("ValidationException", 'Could not find endpoint "arn:aws:..."'),
        AwsError("ValidationException", "Requested resource not found."),
        AwsError("ResourceNotFound", "x"),
    ],
)
def test_sagemakers_ways_to_say_not_found_are_known(error):
    assert is_missing(error)
    assert not exists_already(error)


@pytest.mark.parametrize(
    "error",
    [
        AwsError("ResourceInUse", "Job name must be unique"),
        AwsError("ValidationException", 'Cannot create already existing model "arn:aws:..."'),
    ],
)
def test_sagemakers_ways_to_say_that_a_name_is_taken_are_known(error):
    assert exists_already(error)
    assert not is_missing(error)


def test_another_validation_error_is_neither():
    error = AwsError("ValidationException", "1 validation error detected")
    assert not is_missing(error)
    assert not exists_already(error)
