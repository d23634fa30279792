"""Nothing that the local cloud started outlives it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from .conftest import Hosting, local_cloud, make_bucket, make_execution_role, make_image, until


def programs(state: Path) -> list[int]:
    """Return the processes whose ML_ROOT lies in this state folder."""
    marker = f"ML_ROOT={state}/".encode()
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
        deadline = time.monotonic() + 10
        while programs(aws.state):
            assert time.monotonic() < deadline, "a program outlived the local cloud"
            time.sleep(0.05)
