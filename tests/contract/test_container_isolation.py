"""What SageMaker gives a container, and what it takes: user, files, network, sockets, endings."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.setup import HERE
from containers import (
    MODEL_CODE,
    DockerImages,
    Images,
    ProcessImages,
    Server,
    free_port,
    log_of,
    start,
)
from local_cloud import engines
from local_cloud.sagemaker.engine import ExecError, Program

NOBODY = 65534
ACCEPT_S = 0.25  # in which SageMaker wants a connection to be accepted
CONNECTIONS = 250
SERVE_PACKAGES_MB = 175


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def server(images: Images, trained_on_glyphs: Path) -> Iterator[Server]:
    running = Server(images, trained_on_glyphs)
    yield running
    running.stop()


def python(images: Images, target: str, script: str, folder: Path) -> tuple[int | None, str]:
    """The exit code of a script in an image, and what it printed."""
    container = start(images, ["python3", "-c", script], folder, target=target)
    try:
        return container.wait(60), log_of(folder, "python3")
    finally:
        container.kill()


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("target", ["train", "serve"])
def test_programs_start_as_root_as_sagemaker_expects(images: Images, target: str):
    assert images.user(target) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="a process that is not root stays who it is")
def test_what_reads_requests_is_nobody(images: Images, server: Server):
    workers = images.workers(server.container)
    assert workers
    assert {images.user_of(server.container, worker) for worker in workers} == {NOBODY}


def test_serving_writes_nothing_into_the_image(processes: ProcessImages, trained_on_glyphs: Path):
    root = processes.image("serve").root
    before = files(root)
    server = Server(processes, trained_on_glyphs)
    server.invoke(b"1 2 3", "text/csv")
    server.stop()
    assert files(root) == before


@pytest.mark.docker
@pytest.mark.parametrize("target", ["train", "serve"])
def test_all_these_tests_run_on_a_read_only_image(
    docker_images: DockerImages, folder: Path, target: str
):
    code, printed = python(docker_images, target, "open('/opt/program/x', 'w')", folder)
    assert code == 1
    assert "Read-only file system" in printed


@pytest.mark.docker
def test_the_packages_of_the_serving_image_stay_small(docker_images: DockerImages, folder: Path):
    measure = (HERE / "contest/packages.py").read_text()  # as `make bench` measures it
    code, printed = python(docker_images, "serve", measure, folder)
    version, size_mb = json.loads(printed)["python"], json.loads(printed)["image_mb"]
    named = re.search(r"python:(3\.\d+)", (MODEL_CODE / "Dockerfile").read_text())
    assert (code, bool(named)) == (0, True)
    if not version.startswith(f"{named[1]}."):
        pytest.skip(f"the limit is for Python {named[1]}; with {version} it is {size_mb} MB")
    assert size_mb <= SERVE_PACKAGES_MB


@pytest.mark.docker
def test_serve_may_read_its_model_and_not_change_it(docker_images: DockerImages, folder: Path):
    container = start(
        docker_images, ["touch", "/opt/ml/model/x"], folder, target="serve", port=8080
    )
    assert container.wait(60) == 1
    assert list((folder / "model").iterdir()) == []


@pytest.mark.docker
@pytest.mark.parametrize("isolated", [True, False])
def test_only_an_isolated_container_has_no_way_out(
    docker_images: DockerImages, folder: Path, isolated: bool
):
    program = Program(
        ["sleep", "60"], folder, {}, folder / "log", port=free_port(), isolated=isolated
    )
    container = docker_images.engine.start(docker_images.image("serve"), program)
    try:
        networks = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}"
        network = engines.docker("inspect", "-f", networks, container.name).stdout.strip()
        internal = engines.docker("network", "inspect", "-f", "{{.Internal}}", network).stdout
    finally:
        container.kill()
    assert internal.strip() == str(isolated).lower()


def test_connections_are_accepted_while_many_others_idle(server: Server):
    with contextlib.ExitStack() as opened:
        for _ in range(CONNECTIONS):
            connection = socket.create_connection(server.container.address, timeout=ACCEPT_S)
            opened.enter_context(connection)
        assert server.call("GET", "/ping")[0] == 200


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_the_programs(images: Images, folder: Path, code: int):
    assert python(images, "serve", f"raise SystemExit({code})", folder)[0] == code


@pytest.mark.parametrize(
    ("target", "says"),
    [("train", "no .csv file in the channel 'train'"), ("serve", "no model.json")],
)
def test_an_image_that_is_told_nothing_runs_its_own_program(
    images: Images, folder: Path, target: str, says: str
):
    port = free_port() if target == "serve" else None
    program = Program([], folder, {}, folder / "log", port=port, isolated=True)
    container = images.engine.start(images.image(target), program)
    try:
        assert container.wait(60) == 1
    finally:
        container.kill()
    assert says in (folder / "log").read_text()


def test_a_program_that_the_image_lacks_is_told_in_the_runtimes_words(images: Images, folder: Path):
    with pytest.raises(ExecError, match='exec: "fly": executable file not found'):
        start(images, ["fly"], folder, target="serve")
