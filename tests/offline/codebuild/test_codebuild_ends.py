"""A build ends when its time is over, and with the local cloud that runs it."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from local_cloud.codebuild.runner import Order, Runner
from local_cloud.launcher import ACCOUNT, RunningCloud

CREDENTIALS = {
    "aws_access_key_id": "ASIATEST",
    "aws_secret_access_key": "secret",
    "aws_session_token": "token",
}
RECORD: dict[str, Any] = {
    "id": "project:1",
    "arn": "arn:aws:codebuild:us-east-1:000000000000:build/project:1",
    "buildNumber": 1,
    "startTime": 0.0,
    "phases": [],
    "serviceRole": "arn:role",
    "environment": {"image": "image", "privilegedMode": False},
    "logs": {},
    "initiator": "test",
    "encryptionKey": "key",
    "source": {},
}


class OfflineRunner(Runner):
    """A runner that needs no role: nothing is fetched and nothing stored."""

    def _provision(self) -> dict[str, str]:
        return CREDENTIALS


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LOCAL_CLOUD_STATE", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    def build(commands: str, timeout_s: float) -> dict[str, Any]:
        text = f"version: 0.2\nphases: {{build: {{commands: {commands}}}}}\n"
        order = Order(text, None, None, None, {}, timeout_s, "us-east-1")
        runner = OfflineRunner({**RECORD, "phases": []}, order)
        runner.run()
        return runner.snapshot()

    return build


def test_a_build_that_takes_too_long_times_out(run: Any) -> None:
    started = time.monotonic()
    record = run("['sleep 60']", timeout_s=0.5)
    assert time.monotonic() - started < 20
    assert record["buildStatus"] == "TIMED_OUT"
    statuses = {phase["phaseType"]: phase.get("phaseStatus") for phase in record["phases"]}
    assert statuses["BUILD"] == "TIMED_OUT"
    assert "POST_BUILD" not in statuses


def test_a_build_within_its_time_is_left_alone(run: Any) -> None:
    assert run("['true']", timeout_s=60)["buildStatus"] == "SUCCEEDED"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_no_process_of_a_build_outlives_the_cloud(number: signal.Signals, tmp_path: Path) -> None:
    mark = f"sleep 61.{time.time_ns() % 10**9}"
    with RunningCloud(tmp_path / "cloud") as cloud:
        start_build(cloud, mark)
        wait_until(lambda: mark in processes(), "the build never started its command")
        assert cloud._process
        cloud._process.send_signal(number)
        wait_until(lambda: mark not in processes(), "the command outlived the cloud")


def start_build(cloud: RunningCloud, command: str) -> None:
    iam, codebuild = cloud.client("iam"), cloud.client("codebuild")
    trust = (
        '{"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
        '"Principal": {"Service": "codebuild.amazonaws.com"}}]}'
    )
    iam.create_role(RoleName="build", AssumeRolePolicyDocument=trust)
    codebuild.create_project(
        name="project",
        serviceRole=f"arn:aws:iam::{ACCOUNT}:role/build",
        source={
            "type": "NO_SOURCE",
            "buildspec": f"version: 0.2\nphases: {{build: {{commands: ['{command}']}}}}\n",
        },
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        logsConfig={"cloudWatchLogs": {"status": "DISABLED"}},
    )
    codebuild.start_build(projectName="project")


def processes() -> str:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def wait_until(true: Any, words: str) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, words
        time.sleep(0.1)
