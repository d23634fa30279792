"""Runs one build from PROVISIONING to COMPLETED and keeps its record as BatchGetBuilds shows it."""

from __future__ import annotations

import contextlib
import copy
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud import identity
from local_cloud.codebuild import artifacts, machine
from local_cloud.codebuild.buildspec import Buildspec, BuildspecError, Phase, next_phase, parse
from local_cloud.codebuild.logs import BuildLog
from local_cloud.codebuild.machine import Machine, MachineError
from local_cloud.codebuild.shell import Interrupted, Shell
from local_cloud.errors import ApiError

logger = logging.getLogger("local_cloud")


@dataclass(frozen=True)
class Order:
    """What is built from what, and where the result goes; names buckets and keys."""

    buildspec: str | None  # a path in the source, or the text itself
    source: tuple[str, str] | None  # (bucket, key) of a ZIP
    target: tuple[str, str] | None  # (bucket, key) of the artifact
    encryption_key: str | None  # KMS key of the artifact; None leaves it to the bucket
    variables: dict[str, str]  # of the project and of StartBuild
    timeout_s: float
    region: str


class PhaseFailed(Exception):
    """A phase failed; the code and the message of its context."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Runner:
    """One build. `record` is its description in AWS's shape, changed in place as it goes on."""

    def __init__(self, record: dict[str, Any], order: Order) -> None:
        self.record = record
        self.order = order
        self.machine = Machine.of(record["id"])
        self._shell: Shell | None = None
        self._log = BuildLog(self.machine.log, None, "", "")
        self._spec: Buildspec | None = None
        self._end = "SUCCEEDED"
        self._interrupt: str | None = None  # STOPPED or TIMED_OUT
        self._lock = threading.Lock()

    def snapshot(self) -> dict[str, Any]:
        """Return the record as it is now."""
        with self._lock:
            return copy.deepcopy(self.record)

    def run(self) -> None:
        """Run to the end; whatever happens, the record says how it ended."""
        timer = threading.Timer(self.order.timeout_s, self.interrupt, ["TIMED_OUT"])
        timer.daemon = True
        timer.start()
        try:
            self._run_phases()
        except PhaseFailed:
            self._end = "FAILED"
        except Interrupted:
            self._end = self._interrupt or "STOPPED"
        except Exception:
            logger.exception("build %s broke", self.record["id"])
            self._end = "FAULT"
        finally:
            timer.cancel()
            self._finish()

    def interrupt(self, status: str = "STOPPED") -> None:
        """End the build before its time."""
        self._interrupt = self._interrupt or status
        if self._shell:
            self._shell.interrupt()

    def _run_phases(self) -> None:
        with self._phase("PROVISIONING"):
            credentials = self._provision()
        with self._phase("DOWNLOAD_SOURCE"):
            self._spec = self._download(credentials)
            self._shell = self._open_shell(self._spec, credentials)
        phase = "INSTALL"
        while phase not in ("UPLOAD_ARTIFACTS", "FINALIZING"):
            succeeded = self._commands(phase, self._shell)
            phase = next_phase(self._spec, phase, succeeded)
        self._export(self._spec, self._shell)
        if phase == "UPLOAD_ARTIFACTS":
            with self._phase(phase):
                self._upload(credentials)

    def _provision(self) -> dict[str, str]:
        role = self.record["serviceRole"]
        service = "codebuild.amazonaws.com"
        try:
            credentials = identity.assume_service_role(role, service, "AWSCodeBuild")
            self.machine.install_programs(self.record["environment"]["privilegedMode"])
        except (ApiError, MachineError) as error:
            message = error.message if isinstance(error, ApiError) else str(error)
            raise PhaseFailed("CLIENT_ERROR", message) from error
        logs = self.record["logs"]
        if "groupName" in logs:
            client = identity.client("logs", credentials, self.order.region)
            group, stream = logs["groupName"], logs["streamName"]
            log = BuildLog(self.machine.log, client, group, stream)
            try:
                log.open()
            except ClientError as error:
                raise PhaseFailed(
                    "ACCESS_DENIED",
                    f"Service role {role} does not allow AWS CodeBuild to create Amazon CloudWatch "
                    f"Logs log streams for build {self.record['arn']}. Error message: "
                    f"{error.response['Error']['Message']}",
                ) from error
            self._log = log
        return credentials

    def _download(self, credentials: dict[str, str]) -> Buildspec:
        if self.order.source:
            bucket, key = self.order.source
            s3 = identity.client("s3", credentials, self.order.region)
            try:
                body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except ClientError as error:
                version = f"arn:aws:s3:::{bucket}/{key}"
                message = f"{error} for primary source and source version {version}"
                raise PhaseFailed("CLIENT_ERROR", message) from error
            artifacts.unpack(body, self.machine.source)
        try:
            return parse(self._buildspec())
        except BuildspecError as error:
            raise PhaseFailed("YAML_FILE_ERROR", str(error)) from error

    def _buildspec(self) -> str:
        given = self.order.buildspec or "buildspec.yml"
        if "\n" in given:
            return given
        path = self.machine.source / given
        if not path.is_file():
            raise BuildspecError(f"stat {path}: no such file or directory")
        return path.read_text()

    def _open_shell(self, spec: Buildspec, credentials: dict[str, str]) -> Shell:
        for note in spec.notes:
            self._log.agent(f"local cloud: {note}")
        own = machine.variables(self.machine, self.record, credentials, self.order.region)
        chosen = spec.variables | self.order.variables
        scratch, source = self.machine.scratch, self.machine.source
        posix = spec.shell == "sh"
        return Shell(scratch, source, own | chosen, self._log.write, posix)

    def _commands(self, name: str, shell: Shell) -> bool:
        """Run a phase's commands and its `finally`; True if all of them succeeded."""
        phase = (self._spec.phases if self._spec else {}).get(name, Phase())
        try:
            with self._phase(name):
                try:
                    self._run_all(phase.commands, shell)
                finally:
                    self._run_all(phase.last, shell)
        except PhaseFailed:
            self._end = "FAILED"
            shell.set("CODEBUILD_BUILD_SUCCEEDING", "0")
            return False
        return True

    def _run_all(self, commands: tuple[str, ...], shell: Shell) -> None:
        for command in commands:
            self._log.agent(f"Running command {command}")
            status = shell.run(command)
            if status:
                reason = f"exit status {status}"
                self._log.agent(f"Command did not exit successfully {command} {reason}")
                raise PhaseFailed(
                    "COMMAND_EXECUTION_ERROR",
                    f"Error while executing command: {command}. Reason: {reason}",
                )

    def _export(self, spec: Buildspec, shell: Shell) -> None:
        known = shell.variables() if spec.exported else {}
        exported = [{"name": name, "value": known.get(name, "")} for name in spec.exported]
        with self._lock:
            self.record["exportedEnvironmentVariables"] = exported

    def _upload(self, credentials: dict[str, str]) -> None:
        if self.order.target is None or self._spec is None or self._spec.artifacts is None:
            return
        bucket, key = self.order.target
        encryption = {}
        if self.order.encryption_key:
            encryption = {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": self.order.encryption_key,
            }
        s3 = identity.client("s3", credentials, self.order.region)
        try:
            body = artifacts.pack(self.machine.source, self._spec.artifacts)
            s3.put_object(Bucket=bucket, Key=key, Body=body, **encryption)
        except (artifacts.ArtifactError, ClientError, BotoCoreError) as error:
            raise PhaseFailed("CLIENT_ERROR", str(error)) from error

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Keep the record of one phase; an exception in it says how it ended, and goes on."""
        if self._interrupt:
            raise Interrupted
        phase: dict[str, Any] = {"phaseType": name, "startTime": time.time()}
        with self._lock:
            self.record["phases"].append(phase)
            self.record["currentPhase"] = name
        self._log.agent(f"Entering phase {name}")
        status, context = "SUCCEEDED", {"statusCode": "", "message": ""}
        try:
            yield
        except PhaseFailed as failed:
            status, context = "FAILED", {"statusCode": failed.code, "message": failed.message}
            raise
        except Interrupted:
            status = self._interrupt or "STOPPED"
            raise
        finally:
            end = time.time()
            duration = int(end - phase["startTime"])
            with self._lock:
                phase.update(phaseStatus=status, endTime=end, durationInSeconds=duration)
                phase["contexts"] = [context]
            code, message = context["statusCode"], context["message"]
            self._log.agent(f"Phase complete: {name} State: {status}")
            self._log.agent(f"Phase context status code: {code} Message: {message}")

    def _finish(self) -> None:
        now = time.time()
        done = {"startTime": now, "endTime": now, "durationInSeconds": 0}
        finalizing = {"phaseType": "FINALIZING", "phaseStatus": "SUCCEEDED", "contexts": [], **done}
        self._log.close()
        if self._end == "SUCCEEDED":
            for folder in (self.machine.source, self.machine.docker_root, self.machine.scratch):
                shutil.rmtree(folder, ignore_errors=True)
        with self._lock:
            completed = {"phaseType": "COMPLETED", "startTime": now}
            self.record["phases"] += [finalizing, completed]
            self.record.update(
                currentPhase="COMPLETED", buildStatus=self._end, endTime=now, buildComplete=True
            )
