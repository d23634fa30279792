"""Nothing that the local cloud started outlives it, however it ends."""

from __future__ import annotations

import io
import os
import signal
import time
import zipfile
from pathlib import Path

from local_cloud.launcher import RunningCloud

from .conftest import (
    Hosting,
    local_cloud,
    make_bucket,
    make_execution_role,
    make_image,
    make_role,
    until,
)


def programs(state: Path, variable: str = "ML_ROOT") -> list[int]:
    """Return the processes one of whose variables names a place in this state folder."""
    marker = f"{variable}={state}/".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_servers_end_with_the_local_cloud(tmp_path_factory):
    with local_cloud(tmp_path_factory.mktemp("ending")) as aws:
        sagemaker = aws.client("sagemaker")
        make_bucket(aws)
        image = make_image(aws, tmp_path_factory.mktemp("image"))
        hosting = Hosting(sagemaker, aws.client("s3"), image, make_execution_role(aws))
        name = hosting.endpoint(hosting.config({"version": "1"}))
        until(
            lambda: sagemaker.describe_endpoint(EndpointName=name),
            lambda endpoint: endpoint["EndpointStatus"] == "InService",
        )
        assert programs(aws.state)
        os.kill(aws._process.pid, signal.SIGTERM)
        wait_for_the_end_of(aws, "ML_ROOT")


def test_a_function_that_stands_still_ends_with_a_local_cloud_that_is_killed(tmp_path):
    with local_cloud(tmp_path) as aws:
        code = io.BytesIO()
        file = zipfile.ZipInfo("idle.py")
        file.external_attr = 0o644 << 16  # readable by Lambda
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr(file, "def handler(event, context): return event\n")
        client = aws.client("lambda")
        client.create_function(
            FunctionName="idle",
            Runtime="python3.13",
            Handler="idle.handler",
            Role=make_role(aws, "idle", "lambda.amazonaws.com", {}),
            Code={"ZipFile": code.getvalue()},
        )
        assert client.invoke(FunctionName="idle", Payload="1")["Payload"].read() == b"1"
        assert programs(aws.state, "TMPDIR")
        os.kill(aws._process.pid, signal.SIGKILL)
        wait_for_the_end_of(aws, "TMPDIR")


def wait_for_the_end_of(aws: RunningCloud, variable: str) -> None:
    deadline = time.monotonic() + 10
    while programs(aws.state, variable):
        assert time.monotonic() < deadline, "a program outlived the local cloud"
        time.sleep(0.05)
