"""Which engine builds and runs images: `process`, which needs no Docker, or `docker`.

The Docker engine must be of this machine: it reaches the local ECR as a registry on 127.0.0.1,
which Docker trusts without TLS. DOCKER_HOST names another than the default one.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

VARIABLE = "LOCAL_CLOUD_ENGINE"
NETWORK_VARIABLE = "LOCAL_CLOUD_DOCKER_NETWORK"
PROCESS, DOCKER = "process", "docker"
LABEL = "local-cloud"  # on what the Docker engine makes for us; its value is the state folder
# In a build, the local ECR goes by the name that ECR has on AWS.
PROGRAM = """#!/bin/sh
[ "$1" != build ] || {{ shift; set -- build {network} "$@"; }}
for word do
  shift
  case "$word" in
    [0-9]*.dkr.ecr.*.amazonaws.com*) word={registry}"${{word#*.amazonaws.com}}" ;;
  esac
  set -- "$@" "$word"
done
exec env {variables} {docker} "$@"
"""


class NoEngine(RuntimeError):
    """The engine that was asked for is not there; says what to do."""


def chosen() -> str:
    """Return the engine's name; NoEngine for one that nobody knows."""
    name = os.environ.get(VARIABLE) or PROCESS
    if name not in (PROCESS, DOCKER):
        raise NoEngine(f"{VARIABLE} is {name!r}, it must be {PROCESS} or {DOCKER}")
    return name


def on_host_network() -> bool:
    """Say whether containers share this machine's network, for engines that have no other."""
    return os.environ.get(NETWORK_VARIABLE) == "host"


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command of the Docker engine's own command line to its end."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True)


def require_docker() -> None:
    """Raise NoEngine unless a Docker engine answers."""
    if shutil.which("docker") is None:
        raise NoEngine("there is no program `docker`; install Docker, or leave the engine out")
    if (answer := docker("info", "--format", "{{.ServerVersion}}")).returncode:
        reason = (answer.stderr or answer.stdout).strip()
        raise NoEngine(f"no Docker engine answers; start it, or leave the engine out: {reason}")


def registry(endpoint: str) -> str:
    """Return the name under which Docker knows the ECR of the cloud at this URL."""
    return urlsplit(endpoint).netloc


def build_program(endpoint: str) -> str:
    """Write the `docker` of a build: Docker's own, the registry's name aside."""
    host = os.environ.get("DOCKER_HOST")
    return PROGRAM.format(
        network="--network=host" if on_host_network() else "",
        registry=shlex.quote(registry(endpoint)),
        variables=shlex.quote(f"DOCKER_HOST={host}") if host else "",
        docker=shlex.quote(shutil.which("docker") or "docker"),
    )


def label(state: Path) -> str:
    """Return the label of what belongs to the cloud with this state folder."""
    return f"{LABEL}={state}"


def sweep(state: Path) -> None:
    """Remove the containers and networks of a cloud that is gone."""
    mine = ("--quiet", "--filter", f"label={label(state)}")
    for listing, removal in (
        (("ps", "--all"), ("rm", "--force")),
        (("network", "ls"), ("network", "rm")),
    ):
        if left := docker(*listing, *mine).stdout.split():
            docker(*removal, *left)
