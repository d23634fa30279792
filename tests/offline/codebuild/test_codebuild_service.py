"""CodeBuild by its API: phases, variables, artifacts, and every way to fail."""

from __future__ import annotations

import io
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from local_cloud.launcher import SCRIPTS, RunningCloud

AWS_CLI = SCRIPTS.parent / ".tools" / "aws" / "bin" / "aws"
pytestmark = pytest.mark.skipif(not AWS_CLI.exists(), reason="no AWS CLI (make setup)")
Build = Callable[..., dict[str, Any]]
BUCKET = "codebuild-tests"


@pytest.fixture(scope="module")
def codebuild(cloud: RunningCloud) -> Any:
    return cloud.client("codebuild")


@pytest.fixture(scope="module")
def role(make_role: Callable[..., str], allow: Callable[..., dict[str, Any]]) -> str:
    return make_role(
        "codebuild-tests",
        allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{BUCKET}/*"),
        allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "*"),
        trusts="codebuild.amazonaws.com",
    )


@pytest.fixture(scope="module")
def make_project(cloud: RunningCloud, codebuild: Any, role: str) -> Callable[..., str]:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET)

    def make(buildspec: str, privileged: bool = False, **changes: Any) -> str:
        name = f"project-{uuid.uuid4().hex[:8]}"
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as source:
            source.writestr("buildspec.yml", buildspec)
            source.writestr("other.yml", "version: 0.2\nphases: {build: {commands: [echo other]}}")
        s3.put_object(Bucket=BUCKET, Key=f"{name}.zip", Body=archive.getvalue())
        codebuild.create_project(
            **{
                "name": name,
                "serviceRole": role,
                "source": {"type": "S3", "location": f"{BUCKET}/{name}.zip"},
                "artifacts": {"type": "S3", "location": BUCKET, "path": "out", "name": name},
                "environment": {
                    "type": "LINUX_CONTAINER",
                    "image": "aws/codebuild/standard:7.0",
                    "computeType": "BUILD_GENERAL1_SMALL",
                    "privilegedMode": privileged,
                    "environmentVariables": [{"name": "FROM_PROJECT", "value": "project"}],
                },
                **changes,
            }
        )
        return name

    return make


@pytest.fixture(scope="module")
def build(codebuild: Any, make_project: Callable[..., str]) -> Build:
    """Run a buildspec in a project of its own and return the build when it has ended."""

    def run(buildspec: str, start: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        name = make_project(buildspec, **changes)
        started = codebuild.start_build(projectName=name, **(start or {}))["build"]
        assert started["buildStatus"] == "IN_PROGRESS"
        return wait(codebuild, started["id"])

    return run


def wait(codebuild: Any, build_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found: dict[str, Any] = codebuild.batch_get_builds(ids=[build_id])["builds"][0]
        if found["buildComplete"]:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{build_id} does not end")


def phases(build: dict[str, Any]) -> dict[str, str]:
    return {p["phaseType"]: p.get("phaseStatus", "") for p in build["phases"]}


def context(build: dict[str, Any], phase: str) -> dict[str, str]:
    found = next(p for p in build["phases"] if p["phaseType"] == phase)
    first: dict[str, str] = found["contexts"][0]
    return first


def log_of(cloud: RunningCloud, build: dict[str, Any]) -> str:
    logs = build["logs"]
    events = cloud.client("logs").get_log_events(
        logGroupName=logs["groupName"], logStreamName=logs["streamName"]
    )["events"]
    return "".join(event["message"] for event in events)


def spec(build: str, **phases: str) -> str:
    listed = {"build": build, **phases}
    lines = "".join(f"  {name}: {{commands: {commands}}}\n" for name, commands in listed.items())
    return f"version: 0.2\nphases:\n{lines}artifacts: {{files: ['**/*.txt']}}\n"


def test_a_green_build_hands_its_files_on(cloud: RunningCloud, build: Build) -> None:
    done = build(spec("['echo $FROM_PROJECT > a.txt']"))
    assert done["buildStatus"] == "SUCCEEDED"
    assert list(phases(done)) == [
        *("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD"),
        *("BUILD", "POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED"),
    ]
    body = cloud.client("s3").get_object(Bucket=BUCKET, Key=f"out/{done['projectName']}")["Body"]
    with zipfile.ZipFile(io.BytesIO(body.read())) as archive:
        assert archive.read("a.txt") == b"project\n"


def test_the_newest_word_on_a_variable_wins(cloud: RunningCloud, build: Build) -> None:
    text = "version: 0.2\nenv: {variables: {A: buildspec, FROM_PROJECT: buildspec}}\n"
    commands = "['echo $A $FROM_PROJECT $B', 'test -n \"$CODEBUILD_BUILD_ARN\"']"
    override = {"environmentVariablesOverride": [{"name": "B", "value": "start"}]}
    done = build(f"{text}phases: {{build: {{commands: {commands}}}}}\n", start=override)
    assert "buildspec project start\n" in log_of(cloud, done)
    assert done["buildStatus"] == "SUCCEEDED"


def test_the_role_is_who_the_cli_says_and_the_user_is_nowhere(
    cloud: RunningCloud, build: Build
) -> None:
    done = build(spec("['aws sts get-caller-identity --query Arn --output text', env]"))
    log = log_of(cloud, done)
    assert "assumed-role/codebuild-tests/AWSCodeBuild" in log
    assert cloud.access_key not in log


def test_a_failed_build_still_runs_post_build_and_uploads(
    cloud: RunningCloud, build: Build
) -> None:
    done = build(
        spec(
            "['echo x > a.txt', 'exit 3', 'echo never > b.txt']",
            post_build="['echo after $CODEBUILD_BUILD_SUCCEEDING']",
        )
    )
    assert done["buildStatus"] == "FAILED"
    assert phases(done)["BUILD"] == "FAILED"
    assert phases(done)["POST_BUILD"] == phases(done)["UPLOAD_ARTIFACTS"] == "SUCCEEDED"
    assert context(done, "BUILD") == {
        "statusCode": "COMMAND_EXECUTION_ERROR",
        "message": "Error while executing command: exit 3. Reason: exit status 3",
    }
    assert "after 0\n" in log_of(cloud, done)


def test_a_failed_install_ends_the_build(build: Build) -> None:
    done = build(spec("['echo never']", install="['false']"))
    assert done["buildStatus"] == "FAILED"
    assert list(phases(done))[-3:] == ["INSTALL", "FINALIZING", "COMPLETED"]


def test_finally_runs_after_a_failure(cloud: RunningCloud, build: Build) -> None:
    done = build("version: 0.2\nphases: {build: {commands: ['false'], finally: ['echo last']}}\n")
    assert done["buildStatus"] == "FAILED"
    assert "\nlast\n" in log_of(cloud, done)


def test_missing_artifacts_fail_the_upload(build: Build) -> None:
    done = build(spec("['true']"))
    assert phases(done)["UPLOAD_ARTIFACTS"] == "FAILED"
    assert context(done, "UPLOAD_ARTIFACTS")["message"] == "no matching artifact paths found"


@pytest.mark.parametrize(
    ("buildspec", "words"),
    [
        ("version: 0.1\nphases: {}", "0.2 is needed"),
        ("phases: [", "not YAML"),
        ("version: 0.2\nphases: {build: {commands: [x], run-as: me}}", "run-as"),
    ],
)
def test_a_buildspec_that_cannot_be_followed_fails_before_it_runs(
    build: Build, buildspec: str, words: str
) -> None:
    done = build(buildspec)
    assert phases(done)["DOWNLOAD_SOURCE"] == "FAILED"
    assert context(done, "DOWNLOAD_SOURCE")["statusCode"] == "YAML_FILE_ERROR"
    assert words in context(done, "DOWNLOAD_SOURCE")["message"]


def test_another_buildspec_can_be_chosen_at_the_start(cloud: RunningCloud, build: Build) -> None:
    done = build("not read", start={"buildspecOverride": "other.yml"})
    assert "\nother\n" in log_of(cloud, done)


def test_a_build_can_be_stopped(codebuild: Any, make_project: Callable[..., str]) -> None:
    name = make_project(spec("['sleep 60']"))
    started = codebuild.start_build(projectName=name)["build"]["id"]
    deadline = time.monotonic() + 60
    while codebuild.batch_get_builds(ids=[started])["builds"][0]["currentPhase"] != "BUILD":
        assert time.monotonic() < deadline, "the build never came to its commands"
        time.sleep(0.05)
    codebuild.stop_build(id=started)
    stopped = wait(codebuild, started)
    assert stopped["buildStatus"] == "STOPPED"
    assert phases(stopped)["BUILD"] == "STOPPED"
    assert "POST_BUILD" not in phases(stopped)


def test_docker_needs_privileged_mode(cloud: RunningCloud, build: Build) -> None:
    done = build(spec("['docker version']"))
    assert done["buildStatus"] == "FAILED"
    assert "Cannot connect to the Docker daemon" in log_of(cloud, done)
    assert build(spec("['docker version > a.txt']"), privileged=True)["buildStatus"] == "SUCCEEDED"


def test_without_logs_rights_the_build_does_not_begin(
    build: Build, make_role: Callable[..., str], allow: Callable[..., dict[str, Any]]
) -> None:
    silent = make_role("codebuild-silent", allow("s3:*", "*"), trusts="codebuild.amazonaws.com")
    done = build(spec("['true']"), serviceRole=silent)
    assert phases(done)["PROVISIONING"] == "FAILED"
    assert context(done, "PROVISIONING")["statusCode"] == "ACCESS_DENIED"
    assert "logs:CreateLogStream" in context(done, "PROVISIONING")["message"]


def test_a_role_that_does_not_trust_codebuild_cannot_build(
    build: Build, make_role: Callable[..., str], allow: Callable[..., dict[str, Any]]
) -> None:
    other = make_role("codebuild-other", allow("*", "*"), trusts="lambda.amazonaws.com")
    done = build(spec("['true']"), serviceRole=other)
    assert phases(done)["PROVISIONING"] == "FAILED"
    assert "sts:AssumeRole" in context(done, "PROVISIONING")["message"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vpcConfig": {"vpcId": "vpc-1"}}, "vpcConfig"),
        ({"source": {"type": "GITHUB", "location": "x"}}, "GITHUB"),
        ({"cache": {"type": "S3"}}, "S3"),
        ({"logsConfig": {"s3Logs": {"status": "ENABLED"}}}, "ENABLED"),
        ({"badgeEnabled": True}, "badgeEnabled"),
    ],
)
def test_what_a_build_would_ignore_is_refused_by_name(
    make_project: Callable[..., str], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ClientError, match=words) as refused:
        make_project("x", **changes)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_project_of_a_pipeline_is_started_by_its_pipeline_only(
    codebuild: Any, make_project: Callable[..., str]
) -> None:
    name = make_project("x", source={"type": "CODEPIPELINE"}, artifacts={"type": "CODEPIPELINE"})
    with pytest.raises(ClientError, match="by its pipeline only"):
        codebuild.start_build(projectName=name)


def test_builds_are_listed_newest_first(codebuild: Any, make_project: Callable[..., str]) -> None:
    name = make_project(spec("['true']"))
    builds = [codebuild.start_build(projectName=name)["build"] for _ in range(2)]
    assert [b["buildNumber"] for b in builds] == [1, 2]
    listed = codebuild.list_builds_for_project(projectName=name)["ids"]
    assert listed == [b["id"] for b in builds[::-1]]
    for one in builds:
        wait(codebuild, one["id"])
