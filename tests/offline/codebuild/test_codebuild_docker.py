"""The offline docker on its command line: a tiny locked package is really installed and run."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from local_cloud.launcher import ACCOUNT, REGION, SCRIPTS, RunningCloud

Docker = Callable[..., subprocess.CompletedProcess[str]]
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
DOCKERFILE = """\
ARG BASE_IMAGE=python:3.13-slim
FROM ${BASE_IMAGE} AS base
ENV PATH=/opt/program:$PATH GREETING="good day"
WORKDIR /opt/program
COPY requirements.txt ./
RUN apt-get update && pip install --no-cache-dir --require-hashes -r requirements.txt

FROM base AS train
COPY train ./
RUN chmod 0755 train
CMD ["train", "by default"]

FROM train AS test
COPY more.txt ./
RUN pip install --require-hashes -r more.txt

FROM base AS broken
RUN pip check || false
"""
TRAIN = """\
#!/usr/bin/env python3
import os, sys, tiny_one
print(os.environ["GREETING"], tiny_one.NAME, sys.argv[1:])
open("made-by-a-run", "w").close()
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("tiny_one", "tiny_two"):
        write_wheel(folder, name)
    return folder


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Path:
    folder = tmp_path_factory.mktemp("context")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "train").write_text(TRAIN)
    (folder / "requirements.txt").write_text(locked(wheels, "tiny_one"))
    (folder / "more.txt").write_text(locked(wheels, "tiny_two"))
    return folder


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Docker:
    home = tmp_path_factory.mktemp("docker")
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(SCRIPTS),
        "LOCAL_CLOUD_DOCKER_ROOT": str(home / "docker"),
        "LOCAL_CLOUD_ENVIRONMENTS": str(home / "environments"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
    }

    def run(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "local_cloud.docker_cli", *arguments]
        return subprocess.run(
            command, env=variables | more, input=stdin, capture_output=True, text=True, cwd=home
        )

    return run


@pytest.fixture(scope="module")
def built(docker: Docker, context: Path) -> Iterator[str]:
    """The output of building the targets train and test."""
    train = docker("build", "--target", "train", "--tag", "tiny:train", str(context))
    test = docker("build", "--target", "test", "--tag", "tiny:test", str(context))
    assert train.returncode == test.returncode == 0, train.stderr + test.stderr
    return train.stdout


def write_wheel(folder: Path, name: str) -> None:
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"NAME = {name!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", tags)
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")


def locked(wheels: Path, name: str) -> str:
    content = (wheels / f"{name}-1.0-py3-none-any.whl").read_bytes()
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"


def test_what_was_not_executed_is_said(built: str) -> None:
    assert "not executed: RUN apt-get update" in built
    assert "not pulled: Python" in built


def test_the_images_program_runs_with_its_variables_and_packages(
    docker: Docker, built: str
) -> None:
    done = docker("run", "--rm", "tiny:train", "train", "fast")
    assert done.stdout == "good day tiny_one ['fast']\n", done.stderr
    assert "by default" in docker("run", "tiny:train").stdout
    own = docker("run", "-e", "GREETING=hello", "tiny:train", "train")
    assert own.stdout.startswith("hello ")


def test_a_run_leaves_the_image_as_it_was(docker: Docker, built: str) -> None:
    docker("run", "--rm", "tiny:train", "train")
    listing = docker("run", "--rm", "tiny:train", "ls")
    assert listing.stdout.split() == ["requirements.txt", "train"]


def test_a_child_stage_has_the_packages_of_its_parent(docker: Docker, built: str) -> None:
    script = "import tiny_one, tiny_two; print(tiny_one.NAME, tiny_two.NAME)"
    done = docker("run", "--rm", "tiny:test", "python3", "-c", script)
    assert done.stdout == "tiny_one tiny_two\n", done.stderr
    done = docker("run", "--rm", "tiny:train", "python3", "-c", script)
    assert "No module named 'tiny_two'" in done.stderr


def test_an_installed_environment_is_used_again(docker: Docker, context: Path, built: str) -> None:
    again = docker("build", "--target", "train", str(context), PIP_FIND_LINKS="/nowhere")
    assert again.returncode == 0, again.stderr


def test_a_run_sees_nothing_of_the_callers_credentials(docker: Docker, built: str) -> None:
    done = docker("run", "tiny:train", "env", AWS_ACCESS_KEY_ID="AKIAUSER", SECRET="x")
    assert "AKIAUSER" not in done.stdout
    assert "SECRET" not in done.stdout


def test_an_install_that_fails_fails_the_build(
    docker: Docker, context: Path, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "requirements.txt").write_text("tiny_one==1.0 --hash=sha256:" + "0" * 64 + "\n")
    done = docker("build", "--target", "base", str(tmp_path))
    assert done.returncode == 1
    assert "pip install of requirements.txt failed" in done.stderr
    assert "HASHES" in done.stderr


def test_the_answer_of_pip_check_counts(docker: Docker, context: Path) -> None:
    assert docker("build", "--target", "broken", str(context)).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("run", "tiny:train", "evaluate"), 127, "executable file not found in $PATH"),
        (("run", "tiny:train", "./requirements.txt"), 126, "permission denied"),
        (("run", "nothing:here"), 1, "No such image: nothing:here"),
        (("push", "docker.io/tiny:1"), 1, "No such image"),
        (("run", "--volume", "/:/x", "tiny:train"), 125, "--volume"),
        (("compose", "up"), 125, "compose"),
        (("build", "--target", "nope", "{context}"), 1, "target stage 'nope'"),
        (("build", "--build-arg", "BASE_IMAGE=", "{context}"), 1, "should not be blank"),
        (("build", "--provenance=true", "{context}"), 125, "provenance"),
        (("build", "{context}/nowhere"), 1, "no such file or directory"),
        (("build", "-t", "Bad Name", "{context}"), 1, "invalid reference format"),
    ],
)
def test_what_docker_refuses_or_we_do_not_know_ends_clearly(
    docker: Docker, context: Path, built: str, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = docker(*(argument.format(context=context) for argument in arguments))
    assert done.returncode == status
    assert words in done.stdout + done.stderr


def test_without_a_daemon_docker_says_so(docker: Docker) -> None:
    done = docker("version", LOCAL_CLOUD_DOCKER_ROOT="")
    assert done.returncode == 1
    assert "Cannot connect to the Docker daemon" in done.stderr


def test_images_have_names_and_facts(docker: Docker, built: str) -> None:
    docker("tag", "tiny:train", "other:name")
    facts = json.loads(docker("image", "inspect", "other:name").stdout)[0]
    assert set(facts["RepoTags"]) == {"tiny:train", "other:name"}
    assert facts["Config"]["WorkingDir"] == "/opt/program"
    shown = docker("inspect", "--format", "{{.Id}}", "tiny:train").stdout.strip()
    assert shown == facts["Id"]
    assert docker("rmi", "other:name").returncode == 0
    assert docker("inspect", "other:name").returncode == 1


def test_a_push_needs_a_login_and_respects_tags(
    docker: Docker, built: str, cloud: RunningCloud
) -> None:
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName="tiny", imageTagMutability="IMMUTABLE")
    name = f"{REGISTRY}/tiny:1"
    docker("tag", "tiny:train", name)
    endpoint = {"AWS_ENDPOINT_URL": cloud.url}
    assert "no basic auth credentials" in docker("push", name, **endpoint).stderr
    login = ("login", "--username", "AWS", "--password-stdin", REGISTRY)
    refused = docker(*login, stdin="wrong", **endpoint)
    assert refused.returncode == 1
    assert "401 Unauthorized" in refused.stderr
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    password = base64.b64decode(token).decode().partition(":")[2]
    assert docker(*login, stdin=password, **endpoint).stdout == "Login Succeeded\n"
    pushed = docker("push", name, **endpoint)
    image = ecr.describe_images(repositoryName="tiny", imageIds=[{"imageTag": "1"}])
    digest = image["imageDetails"][0]["imageDigest"]
    assert f"1: digest: {digest}" in pushed.stdout
    assert "Layer already exists" in docker("push", name, **endpoint).stdout
    docker("tag", "tiny:test", name)
    other = docker("push", name, **endpoint)
    assert other.returncode == 1
    assert "cannot be overwritten because the tag is immutable" in other.stderr
    unknown = f"{REGISTRY}/unknown:1"
    docker("tag", "tiny:train", unknown)
    assert "name unknown" in docker("push", unknown, **endpoint).stderr
