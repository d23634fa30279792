"""Nobody gets in unsigned, nothing listens to the network, nothing of the user's leaks."""

from __future__ import annotations

import io
import json
import os
import socket
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from local_cloud import launcher
from local_cloud.launcher import ACCOUNT, REGION, RunningCloud

POISON = "POISONED-BY-THE-TEST"


def client(cloud: RunningCloud, service: str, key: str, secret: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=cloud.url,
        region_name=REGION,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"max_attempts": 1}),
    )


@pytest.mark.parametrize("key", ["test", "000000000000", "AKIAUNKNOWN000000000"])
@pytest.mark.parametrize("service", ["s3", "iam", "codecommit", "ecr"])
def test_keys_that_nobody_was_given_open_nothing(cloud, key, service):
    calls = {"s3": "list_buckets", "iam": "list_roles", "codecommit": "list_repositories"}
    call = calls.get(service, "describe_repositories")
    with pytest.raises(ClientError):
        getattr(client(cloud, service, key, "test"), call)()


@pytest.mark.parametrize("service", ["s3", "iam", "codecommit"])
def test_the_administrators_key_needs_its_secret(cloud, service, refusal):
    calls = {"s3": "list_buckets", "iam": "list_roles", "codecommit": "list_repositories"}
    forged = client(cloud, service, cloud.access_key, "not-the-secret")
    _, code, _ = refusal(getattr(forged, calls[service]))
    assert code in {"SignatureDoesNotMatch", "InvalidSignatureException"}


def test_an_unsigned_request_is_refused(cloud):
    request = urllib.request.Request(cloud.url + "/", data=b"Action=ListRoles&Version=2010-05-08")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 403


def test_a_log_stream_is_a_resource_of_its_own(cloud, acting_as, allow, refusal):
    cloud.client("logs").create_log_group(logGroupName="/strict/streams")
    group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/strict/streams"
    stream = {"logGroupName": "/strict/streams", "logStreamName": "s"}
    bare = acting_as("names-the-group", allow("logs:CreateLogStream", group))("logs")
    assert refusal(bare.create_log_stream, **stream)[1] == "AccessDeniedException"
    whole = acting_as("names-its-streams", allow("logs:CreateLogStream", f"{group}:*"))("logs")
    whole.create_log_stream(**stream)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/sqs/messages?QueueUrl=any"),
        ("GET", "/_ministack/ses/messages"),
        ("GET", "/_ministack/sns/sms-messages"),
    ],
)
def test_a_back_door_of_the_emulator_is_shut(cloud, method, path):
    request = urllib.request.Request(cloud.url + path, method=method)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code in {403, 404, 405}


def test_it_listens_on_the_loopback_address_alone(cloud):
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    listening = Path("/proc/net/tcp")
    if listening.exists():
        port = f":{cloud.port:04X}"
        rows = [line.split() for line in listening.read_text().splitlines()[1:]]
        heard = {row[1] for row in rows if row[3] == "0A" and row[1].endswith(port)}
        assert heard == {f"0100007F{port}"}
    for address in addresses - {"127.0.0.1", "::1"}:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.settimeout(1)
            assert probe.connect_ex((address, cloud.port)) != 0


def test_credentials_of_the_user_reach_no_process(tmp_path, monkeypatch):
    """Plant credentials in every way that boto3 knows, then look into server and function."""
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    planted = f"[{POISON}]\naws_access_key_id = {POISON}\naws_secret_access_key = {POISON}\n"
    (home / ".aws" / "credentials").write_text(planted)
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_ROLE_ARN",
        "GITHUB_TOKEN",
    ):
        monkeypatch.setenv(name, POISON)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / ".aws" / "credentials"))
    monkeypatch.setenv("HOME", str(home))
    with RunningCloud(tmp_path / "state") as cloud:
        seen = what_a_function_sees(cloud)
        assert POISON not in json.dumps(seen)
        assert str(home) not in json.dumps(seen)
        assert seen["home"] == []
        process = cloud._process
        assert process is not None
        environment = Path(f"/proc/{process.pid}/environ")
        if environment.exists():
            assert POISON.encode() not in environment.read_bytes()
    assert POISON not in json.dumps(launcher.scrubbed_environment(tmp_path))
    assert os.environ["AWS_PROFILE"] == POISON


def what_a_function_sees(cloud: RunningCloud) -> dict[str, Any]:
    source = (
        "import os, pathlib, boto3\n"
        "def handler(event, context):\n"
        "    keys = boto3.Session().get_credentials()\n"
        "    home = [str(p) for p in pathlib.Path.home().iterdir()]\n"
        "    return {'variables': dict(os.environ), 'key': keys.access_key,\n"
        "            'method': keys.method, 'home': home,\n"
        "            'profiles': boto3.Session().available_profiles}\n"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        entry = zipfile.ZipInfo("looks.py")
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, source)
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = cloud.client("iam").create_role(RoleName="looks", AssumeRolePolicyDocument=document)
    functions = cloud.client("lambda")
    functions.create_function(
        FunctionName="looks",
        Runtime="python3.13",
        Handler="looks.handler",
        Role=role["Role"]["Arn"],
        Code={"ZipFile": buffer.getvalue()},
        Timeout=20,
    )
    answer = json.loads(functions.invoke(FunctionName="looks")["Payload"].read())
    assert answer["method"] == "env"
    assert answer["profiles"] == []
    return dict(answer)
