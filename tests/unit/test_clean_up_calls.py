"""Every call of clean-up exists in the SDK with the argument it is given."""

import boto3
import pytest
from cleanup.effects import CALLS, DRIVES


@pytest.fixture(scope="module")
def session():
    return boto3.session.Session("nobody", "nothing", region_name="us-east-1")


def members(session, service, operation, shape="input_shape"):
    client = session.client(service)
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
    return getattr(model, shape).members


@pytest.mark.parametrize("deed", CALLS, ids=" ".join)
def test_a_single_call_exists_and_takes_its_argument(session, deed):
    service, operation, argument = CALLS[deed]
    assert argument in members(session, service, operation)


@pytest.mark.parametrize("deed", DRIVES, ids=" ".join)
def test_what_is_waited_for_shows_its_status(session, deed):
    drive = DRIVES[deed]
    assert drive.argument in members(session, "sagemaker", drive.ask)
    assert drive.argument in members(session, "sagemaker", drive.describe)
    assert drive.status in members(session, "sagemaker", drive.describe, "output_shape")
