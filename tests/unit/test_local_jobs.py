"""A job of a Lambda action is answered once."""

from __future__ import annotations

import pytest
from local_cloud.codepipeline.jobs import Jobs
from local_cloud.errors import ApiError


def test_a_job_takes_one_answer() -> None:
    jobs = Jobs()
    job = jobs.open("run")
    assert jobs.answer(job.id).owner == "run"
    with pytest.raises(ApiError) as refused:
        jobs.answer(job.id)
    assert refused.value.code == "InvalidJobStateException"


def test_an_unknown_job_is_not_found() -> None:
    with pytest.raises(ApiError) as refused:
        Jobs().answer("00000000-0000-0000-0000-000000000000")
    assert refused.value.code == "JobNotFoundException"


def test_each_try_of_an_action_has_a_job_of_its_own() -> None:
    jobs = Jobs()
    assert jobs.open("run").id != jobs.open("run").id


def test_a_job_that_timed_out_takes_no_answer() -> None:
    jobs = Jobs()
    job = jobs.open("run")
    assert jobs.expire(job.id)
    with pytest.raises(ApiError, match="timed out"):
        jobs.answer(job.id)


def test_an_answered_job_does_not_time_out() -> None:
    jobs = Jobs()
    job = jobs.open("run")
    jobs.answer(job.id)
    assert not jobs.expire(job.id)


def test_abandoning_an_action_closes_its_jobs_only() -> None:
    jobs = Jobs()
    mine, other = jobs.open("mine"), jobs.open("other")
    jobs.abandon("mine")
    with pytest.raises(ApiError):
        jobs.answer(mine.id)
    assert jobs.answer(other.id).owner == "other"
