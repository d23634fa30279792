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


CALLS = {
    "codepipeline": ("put_job_success_result", {"jobId": "j"}),
    "s3": ("get_object", {"Bucket": "a.bucket", "Key": "train/a b.csv"}),
    "sagemaker": ("describe_endpoint", {"EndpointName": "e"}),
    "sagemaker-runtime": ("invoke_endpoint", {"EndpointName": "e", "Body": b"1"}),
}


HOMES = ["us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1"]
PLACES = [*((home, "false") for home in HOMES), ("us-east-1", "true"), ("us-gov-west-1", "true")]


@pytest.mark.parametrize(("home", "fips"), PLACES)
@pytest.mark.parametrize("service", clients.SERVICES)
def test_a_call_goes_where_botocores_own_client_sends_it(service, home, fips, monkeypatch):
    for name, value in {"DEFAULT_REGION": home, "USE_FIPS_ENDPOINT": fips}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    ours, whole = clients.client(service), botocore.session.get_session().create_client(service)
    assert _sent(ours, *CALLS[service]) == _sent(whole, *CALLS[service])


def _sent(client, operation, arguments):
    """Where a call goes and whom its signature is for, without sending it."""
    sent = []

    def keep(request, **_):
        scope = request.headers["Authorization"].decode().split("/20")[-1].split(",")[0]
        sent.append((request.method, request.url, scope.partition("/")[2]))
        raise ConnectionAbortedError

    client.meta.events.register("before-send", keep)
    with pytest.raises(ConnectionAbortedError):
        getattr(client, operation)(**arguments)
    return sent
