"""The AWS clients: one per service while the function is warm, and as lean as botocore allows."""

import gc

import botocore.session
import pytest
from common import clients


@pytest.fixture(autouse=True)
def region(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    yield
    clients.client.cache_clear()
    clients._session.cache_clear()


def test_a_warm_function_keeps_its_client():
    settings = clients.config(read_s=7)
    assert clients.client("s3", settings) is clients.client("s3", settings)


@pytest.mark.parametrize("service", clients.SERVICES)
def test_every_service_that_we_name_is_one_of_botocores(service):
    assert service in botocore.session.get_session().get_available_services()
    assert clients.client(service).meta.service_model.service_name == service


def test_a_jobs_credentials_are_never_kept():
    one, other = (clients.client_as("s3", "key", secret, "token") for secret in ("a", "b"))
    assert one is not other
    assert other._request_signer._credentials.secret_key == "b"


def test_garbage_is_collected_again_afterwards():
    clients.client("s3")
    assert gc.isenabled()


@pytest.mark.parametrize("home", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("service", clients.SERVICES)
def test_a_client_asks_where_botocores_own_does(service, home, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", home)
    ours, whole = clients.client(service), botocore.session.get_session().create_client(service)
    assert ours.meta.endpoint_url == whole.meta.endpoint_url
    assert ours.meta.partition == whole.meta.partition
    assert ours._request_signer.region_name == whole._request_signer.region_name
    assert ours._request_signer.signature_version == whole._request_signer.signature_version
