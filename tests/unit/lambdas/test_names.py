"""Names of SageMaker objects, and which of them may be deleted."""

import pytest
from common.instances import takes_volume_key
from common.names import endpoint_name, is_ours_to_delete, run_name

JOB = "11111111-2222-3333-4444-555555555555"
OLDER = "99999999-2222-3333-4444-555555555555"


def test_a_runs_name_fits_sagemakers_63_characters():
    assert len(run_name("kmm", JOB)) == 55


def test_an_endpoints_name_does_not_change_from_run_to_run():
    assert endpoint_name("dev", "kmm") == "ethnicity-pred-dev-kmm"


def test_an_older_run_of_the_same_pipeline_may_be_deleted():
    assert is_ours_to_delete(run_name("kmm", OLDER), run_name("kmm", JOB))


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        run_name("kmm", JOB),  # what serves now
        run_name("abc", OLDER),  # somebody else's
        "ethnicity-pred-kmm-by-hand",
        f"{run_name('kmm', OLDER)}-x",
        f"my-{run_name('kmm', OLDER)}",
    ],
)
def test_nothing_else_may_be_deleted(name):
    assert not is_ours_to_delete(name, run_name("kmm", JOB))


@pytest.mark.parametrize("kind", ["ml.m5.xlarge", "ml.c6i.large", "ml.t2.medium", "ml.inf2.xlarge"])
def test_a_volume_key_is_given_where_the_volume_is_ebs(kind):
    assert takes_volume_key(kind)


@pytest.mark.parametrize(
    "kind", ["ml.g4dn.xlarge", "ml.g5.xlarge", "ml.p4d.24xlarge", "ml.m5d.large", "ml.c6gd.large"]
)
def test_no_volume_key_is_given_where_sagemaker_refuses_one(kind):
    assert not takes_volume_key(kind)
