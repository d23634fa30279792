"""Where a container's program runs: what an engine is, and the one that needs no Docker.

`docker_engine` is the other one; all else in this package is the same for both.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local_cloud import images, state
from local_cloud.launcher import HOST
from local_cloud.sagemaker.container import Container, ProcessContainer
from local_cloud.sagemaker.role_session import RoleSession


class PullError(RuntimeError):
    """The image cannot be had; says why."""


class EngineError(RuntimeError):
    """The engine cannot run this on this machine; says what to do."""


class ExecError(RuntimeError):
    """The image's program cannot be executed, in the container runtime's words."""


@dataclass(frozen=True)
class Host:
    """A host of a training job: its name, all hosts' names in order, and the job's name."""

    name: str
    hosts: tuple[str, ...]
    job: str


@dataclass(frozen=True)
class Program:
    """What to run in a container, and where its /opt/ml lies on this machine."""

    arguments: list[str]
    ml_root: Path
    environment: Mapping[str, str]
    log: Path
    host: Host | None = None  # of a training job
    port: int | None = None  # of this machine, for a program that serves
    isolated: bool = False  # EnableNetworkIsolation


class Engine(Protocol):
    """Pulls images and runs their programs."""

    @property
    def network_interface(self) -> str:
        """By which the hosts of a training job reach each other."""
        ...

    def pull(self, image_uri: str, session: RoleSession) -> Any:
        """Fetch an image as the role; PullError says why it cannot be had."""
        ...

    def start(self, image: Any, program: Program) -> Container:
        """Start a program of the image, its `address` set if it serves.

        ExecError if the image has no such program, EngineError if this machine cannot run it.
        """
        ...


class ProcessEngine:
    """Runs an image's files in its cached Python environment, without any container runtime."""

    network_interface = "lo"

    def pull(self, image_uri: str, session: RoleSession) -> Any:
        """Fetch and unpack an image as the role."""
        try:
            return images.unpack(image_uri, session.credentials, session.region)
        except images.ImageError as error:
            raise PullError(str(error)) from error

    def start(self, image: Any, program: Program) -> Container:
        """Start the program with ML_ROOT in place of /opt/ml."""
        try:
            argv, env, cwd = images.command(image, program.arguments, program.ml_root)
        except images.ImageError as error:
            raise ExecError(str(error)) from error
        if program.host and len(program.host.hosts) > 1:
            argv = _named_host(program.host, program.ml_root) + argv
        environment = {"HOME": str(program.ml_root), **env, **program.environment}
        if program.port:
            environment["SAGEMAKER_BIND_TO_PORT"] = str(program.port)
        container = ProcessContainer(argv, environment, cwd, program.log)
        container.address = (HOST, program.port or 0)
        return container


def _named_host(host: Host, ml_root: Path) -> list[str]:
    """Return the prefix that gives a process its host's name and its own view of the others'.

    All hosts share the loopback: algo-1 is 127.0.0.1, algo-2 is 127.0.0.2 and so on.
    """
    if not _can_name_hosts():
        raise EngineError(
            "the process engine gives each host its name by `unshare` (Linux, with user "
            "namespaces allowed); use InstanceCount 1 on this machine"
        )
    names = [f"127.0.0.{number} {name}" for number, name in enumerate(host.hosts, start=1)]
    hosts_file = ml_root / "hosts"
    hosts_file.write_text("\n".join(["127.0.0.1 localhost", *names, ""]))
    script = (
        'mount --bind "$0" /etc/hosts && echo "$1" > /proc/sys/kernel/hostname'
        ' && shift && exec "$@"'
    )
    return [*_unshare(), "sh", "-c", script, str(hosts_file), host.name]


def _unshare() -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", "--uts", *as_root]


@functools.cache
def _can_name_hosts() -> bool:
    if shutil.which("unshare") is None:
        return False
    probe = state.folder("sagemaker") / "probe"
    probe.touch()
    test = [*_unshare(), "mount", "--bind", str(probe), "/etc/hosts"]
    return subprocess.run(test, capture_output=True, check=False).returncode == 0
