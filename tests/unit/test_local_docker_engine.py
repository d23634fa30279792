"""The Docker engine's command lines, without an engine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from local_cloud import engines
from local_cloud.engines import NoEngine
from local_cloud.sagemaker import docker_engine
from local_cloud.sagemaker.docker_engine import DockerEngine, Network, create_arguments
from local_cloud.sagemaker.engine import EngineError, ExecError, Host, Program

ML = Path("/state/ml")
IMAGE = "127.0.0.1:4566/images@sha256:00"
TRAIN = Program(["train"], ML, {"A": "b c"}, Path("log"), host=Host("algo-1", ("algo-1",), "job-1"))
SERVE = Program(["serve"], ML, {}, Path("log"), port=5000)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOCAL_CLOUD_STATE", str(tmp_path))
    for name in (engines.VARIABLE, engines.NETWORK_VARIABLE, "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)


class Docker:
    """Answers in place of the command line: what a command prints, or how it fails."""

    def __init__(self, **failures: str) -> None:
        self.failures = failures
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        self.calls.append(arguments)
        refused = self.failures.get(arguments[0], "")
        return subprocess.CompletedProcess(arguments, bool(refused), "made\n", refused)


def command(program: Program, **changes: bool) -> str:
    changed = Program(**vars(program) | changes)
    return " ".join(create_arguments(IMAGE, changed, Network.of(changed), "local-cloud=/state"))


def test_train_gets_all_of_opt_ml_and_its_hosts_name() -> None:
    line = command(TRAIN)
    assert "--mount type=bind,src=/state/ml,dst=/opt/ml " in line
    assert "--hostname algo-1 --network-alias algo-1 " in line
    assert "--env A=b c " in line
    assert "--publish" not in line
    assert line.endswith(f"{IMAGE} train")


def test_serve_gets_the_model_read_only_and_is_published_on_this_machine_alone() -> None:
    line = command(SERVE)
    assert "--mount type=bind,src=/state/ml/model,dst=/opt/ml/model,readonly " in line
    assert "--publish 127.0.0.1:5000:8080 " in line
    assert "SAGEMAKER_BIND_TO_PORT" not in line


def test_nothing_is_published_from_an_isolated_network() -> None:
    assert "--publish" not in command(SERVE, isolated=True)


@pytest.mark.parametrize("isolated", [True, False])
def test_only_an_isolated_program_has_an_internal_network(
    monkeypatch: pytest.MonkeyPatch, isolated: bool
) -> None:
    docker = Docker()
    monkeypatch.setattr(docker_engine, "docker", docker)
    Network("mine", isolated).create("local-cloud=/state")
    assert ("--internal" in docker.calls[0]) == isolated


def test_the_hosts_of_a_job_share_a_network_and_jobs_do_not() -> None:
    names = {
        Network.of(Program(["train"], ML, {}, Path("log"), host=Host(name, (), job))).name
        for name, job in (("algo-1", "a"), ("algo-2", "a"), ("algo-1", "b"))
    }
    assert len(names) == 2


def test_on_the_host_network_ports_and_hosts_are_moved_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(engines.NETWORK_VARIABLE, "host")
    line = command(SERVE, isolated=True)
    assert "--network host " in line
    assert "--env SAGEMAKER_BIND_TO_PORT=5000 " in line
    pair = Host("algo-2", ("algo-1", "algo-2"), "job")
    line = command(Program(["train"], ML, {}, Path("log"), host=pair))
    assert "--add-host=algo-1:127.0.0.1 --add-host=algo-2:127.0.0.2 " in line
    assert "--network-alias" not in line
    assert DockerEngine().network_interface == "lo"


@pytest.mark.parametrize(
    ("step", "said", "error"),
    [
        ("network", "could not find an available address pool", EngineError),
        ("create", "Cannot connect to the Docker daemon", EngineError),
        ("start", 'exec: "train": executable file not found in $PATH', ExecError),
        ("start", "port is already allocated", EngineError),
    ],
)
def test_what_docker_refuses_is_told_and_cleared_away(
    monkeypatch: pytest.MonkeyPatch, step: str, said: str, error: type[Exception]
) -> None:
    docker = Docker(**{step: said})
    monkeypatch.setattr(docker_engine, "docker", docker)
    with pytest.raises(error, match=said.replace("$", r"\$")):
        DockerEngine().start(IMAGE, TRAIN)
    assert docker.calls[0][:2] == ("network", "create")
    if step != "network":
        assert docker.calls[-1][:2] == ("network", "rm")
    if step == "start":
        assert docker.calls[-2][:2] == ("rm", "--force")


@pytest.mark.parametrize("mine", [True, False])
def test_what_root_wrote_is_given_back_to_who_has_to_delete_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: bool
) -> None:
    docker = Docker()
    monkeypatch.setattr(docker_engine, "docker", docker)
    owner = os.geteuid()
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: owner if mine else owner + 1)
    docker_engine.give_back(IMAGE, tmp_path)
    assert [call[0] for call in docker.calls] == ([] if mine else ["run"])
    if not mine:
        assert docker.calls[0][-3:] == ("-R", f"{owner + 1}:{os.getegid()}", "/opt/ml")


def build_program(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = engines.build_program("http://127.0.0.1:4566")
    command = ["sh", "-c", program, "docker", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True)


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A docker that prints the host it was given, and its arguments."""
    program = tmp_path / "docker"
    program.write_text('#!/bin/sh\nprintf "%s|" "$DOCKER_HOST" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_HOST", "unix:///x y")


@pytest.mark.parametrize(
    ("given", "received"),
    [
        ("000000000000.dkr.ecr.us-east-1.amazonaws.com", "127.0.0.1:4566"),
        ("000000000000.dkr.ecr.us-east-1.amazonaws.com/a/b:1", "127.0.0.1:4566/a/b:1"),
        ("--tag=x y", "--tag=x y"),
        ("", ""),
        ("BASE_IMAGE=111122223333.dkr.ecr.us-east-1.amazonaws.com/python:3.13", None),
    ],
)
def test_a_builds_docker_finds_ecr_here(real: None, given: str, received: str | None) -> None:
    done = build_program("push", given)
    assert done.stdout == f"unix:///x y|push|{given if received is None else received}|"


def test_a_build_takes_the_host_network_where_containers_do(
    real: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--network" not in build_program("build", ".").stdout
    monkeypatch.setenv(engines.NETWORK_VARIABLE, "host")
    assert build_program("build", ".").stdout == "unix:///x y|build|--network=host|.|"
    assert "--network" not in build_program("run", "x").stdout


def test_an_engine_that_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engines.chosen() == "process"
    monkeypatch.setenv(engines.VARIABLE, "podman")
    with pytest.raises(NoEngine, match="'podman', it must be process or docker"):
        engines.chosen()


def test_a_docker_that_does_not_answer_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoEngine, match="install Docker"):
        engines.require_docker()
    (tmp_path / "docker").write_text("#!/bin/sh\necho no daemon >&2\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    with pytest.raises(NoEngine, match="start it, or leave the engine out: no daemon"):
        engines.require_docker()
