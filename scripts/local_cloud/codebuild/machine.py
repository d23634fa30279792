"""What a build finds on its machine: folders, programs on PATH, and variables."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud import engines, identity, state
from local_cloud.docker_cli import environments
from local_cloud.docker_cli.__main__ import ROOT_VARIABLE

SCRIPTS = Path(__file__).resolve().parents[2]
AWS_CLI = SCRIPTS.parent / ".tools" / "aws" / "bin" / "aws"


class MachineError(Exception):
    """Something that a build needs is missing here; says what to do."""


@dataclass(frozen=True)
class Machine:
    """The folders of one build."""

    root: Path

    @classmethod
    def of(cls, build_id: str) -> Machine:
        """Make the folders of a build, `project:uuid`."""
        machine = cls(state.folder("codebuild", build_id.replace(":", "-")))
        for folder in (machine.source, machine.programs, machine.home, machine.scratch):
            folder.mkdir(exist_ok=True)
        return machine

    @property
    def source(self) -> Path:
        """CODEBUILD_SRC_DIR."""
        return self.root / "src"

    @property
    def programs(self) -> Path:
        """First on PATH."""
        return self.root / "bin"

    @property
    def home(self) -> Path:
        """HOME."""
        return self.root / "home"

    @property
    def scratch(self) -> Path:
        """TMPDIR and the shell's own files."""
        return self.root / "tmp"

    @property
    def docker_root(self) -> Path:
        """What this build's docker daemon keeps."""
        return self.root / "docker"

    @property
    def log(self) -> Path:
        """The whole log."""
        return self.root / "build.log"

    def install_programs(self, privileged: bool) -> None:
        """Put docker, aws and python3 where the build finds them first.

        Without privileged mode there is no docker daemon, and docker says so. Raises MachineError.
        """
        if not AWS_CLI.exists():
            raise MachineError(f"the AWS CLI is missing from {AWS_CLI}; run `make setup`")
        docker = self.programs / "docker"
        if privileged and engines.chosen() == engines.DOCKER:
            docker.write_text(engines.build_program(identity.endpoint_url()))
        else:
            docker.write_text(self._front_end(privileged))
        docker.chmod(0o755)
        (self.programs / "aws").symlink_to(AWS_CLI)
        plain_python = Path(getattr(sys, "_base_executable", sys.executable))
        for name in ("python", "python3"):
            (self.programs / name).symlink_to(plain_python)

    def _front_end(self, privileged: bool) -> str:
        """Write the offline docker, without a daemon's folder where the build has no daemon."""
        variables = {
            "PYTHONPATH": str(SCRIPTS),
            "PYTHONDONTWRITEBYTECODE": "1",
            environments.CACHE_VARIABLE: str(environments.cache_folder()),
            **({ROOT_VARIABLE: str(self.docker_root)} if privileged else {}),
        }
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        python = shlex.quote(sys.executable)
        return f'#!/bin/sh\nexec env {settings} {python} -m local_cloud.docker_cli "$@"\n'


def variables(
    machine: Machine, record: dict[str, Any], credentials: dict[str, str], region: str
) -> dict[str, str]:
    """Return the variables that CodeBuild gives every build, and the role's credentials."""
    scrubbed = identity.environment(credentials, region)
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    cloudwatch = record["logs"]
    return {
        **pip,
        **scrubbed,
        "PATH": os.pathsep.join([str(machine.programs), scrubbed["PATH"]]),
        "HOME": str(machine.home),
        "TMPDIR": str(machine.scratch),
        "CODEBUILD_CI": "true",
        "CODEBUILD_BUILD_ARN": record["arn"],
        "CODEBUILD_BUILD_ID": record["id"],
        "CODEBUILD_BUILD_IMAGE": record["environment"]["image"],
        "CODEBUILD_BUILD_NUMBER": str(record["buildNumber"]),
        "CODEBUILD_BUILD_SUCCEEDING": "1",
        "CODEBUILD_INITIATOR": record["initiator"],
        "CODEBUILD_KMS_KEY_ID": record["encryptionKey"],
        "CODEBUILD_LOG_PATH": cloudwatch.get("streamName", ""),
        "CODEBUILD_RESOLVED_SOURCE_VERSION": record.get("resolvedSourceVersion", ""),
        "CODEBUILD_SOURCE_REPO_URL": record["source"].get("location", ""),
        "CODEBUILD_SOURCE_VERSION": record.get("sourceVersion", ""),
        "CODEBUILD_SRC_DIR": str(machine.source),
        "CODEBUILD_START_TIME": str(int(record["startTime"] * 1000)),
    }
