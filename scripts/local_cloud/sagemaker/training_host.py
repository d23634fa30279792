"""One host of a training job: its /opt/ml, its container and its log."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from local_cloud.sagemaker import channels, storage
from local_cloud.sagemaker.arns import split_s3
from local_cloud.sagemaker.container import Container
from local_cloud.sagemaker.engine import Engine, ExecError, Host, Program
from local_cloud.sagemaker.log_stream import LogFollower, OnLines
from local_cloud.warden import NOT_EXECUTABLE, NOT_FOUND

CHECKPOINTS = "/opt/ml/checkpoints"


class TrainingHost:
    """Prepared, started and ended by the job's trainer."""

    def __init__(self, job: str, number: int, names: list[str], folder: Path) -> None:
        self.job = job
        self.number = number
        self.names = names
        self.name = names[number]
        self.ml_root = folder / self.name / "ml"
        self.log = folder / self.name / "log.txt"
        self.model = self.ml_root / "model"
        self.output_data = self.ml_root / "output" / "data"
        self._container: Container | None = None
        self._exec_failure: int | None = None
        self._follower: LogFollower | None = None
        self._checkpoints: storage.Mirror | None = None

    def configure(self, request: dict[str, Any], interface: str) -> None:
        """Make the folders and the configuration files that a container finds."""
        config = self.ml_root / "input" / "config"
        for folder in (config, self.ml_root / "input" / "data", self.model, self.output_data):
            folder.mkdir(parents=True, exist_ok=True)
        instance_type = request["ResourceConfig"]["InstanceType"]
        resources = channels.resource_config(self.name, self.names, instance_type, interface)
        files = {
            "hyperparameters": request.get("HyperParameters", {}),
            "inputdataconfig": channels.input_data_config(request.get("InputDataConfig", [])),
            "resourceconfig": resources,
        }
        for name, content in files.items():
            (config / f"{name}.json").write_text(json.dumps(content))

    def download(self, s3: Any, channel: dict[str, Any]) -> None:
        """Bring this host's share of a channel."""
        source = channel["DataSource"]["S3DataSource"]
        bucket, prefix = split_s3(source["S3Uri"])
        listed = storage.keys_under(s3, source["S3Uri"])
        keys = [key for key in listed if channels.local_name(key, prefix)]
        folder = self.ml_root / "input" / "data" / channel["ChannelName"]
        folder.mkdir(parents=True, exist_ok=True)
        distribution = source.get("S3DataDistributionType", channels.FULLY_REPLICATED)
        for key in channels.share(keys, distribution, self.number, len(self.names)):
            if name := channels.local_name(key, prefix):
                storage.download(s3, bucket, key, folder / name)

    def fetch_checkpoints(self, s3: Any, config: dict[str, Any]) -> None:
        """Bring the checkpoints of an earlier job, and keep S3 in step from now on."""
        local = config.get("LocalPath", CHECKPOINTS).removeprefix("/opt/ml/")
        self._checkpoints = storage.Mirror(self.ml_root / local, config["S3Uri"])
        self._checkpoints.fetch(s3)

    def send_checkpoints(self, s3: Any) -> None:
        """Send the checkpoints that have changed."""
        if self._checkpoints:
            self._checkpoints.send(s3)

    def start(
        self,
        engine: Engine,
        image: Any,
        environment: dict[str, str],
        isolated: bool,
        on_lines: OnLines,
    ) -> None:
        """Start `train`; an image without it ends with code 127 or 126, as in a shell."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._follower = LogFollower(self.log, on_lines)
        named = Host(self.name, tuple(self.names), self.job)
        program = Program(
            ["train"], self.ml_root, environment, self.log, host=named, isolated=isolated
        )
        try:
            self._container = engine.start(image, program)
        except ExecError as error:
            self.log.write_text(f"{error}\n")
            denied = "permission denied" in str(error)
            self._exec_failure = NOT_EXECUTABLE if denied else NOT_FOUND

    def exit_code(self) -> int | None:
        """Return the program's exit code, None while it runs."""
        return self._container.poll() if self._container else self._exec_failure

    def failure(self) -> str:
        """Return what the program left in /opt/ml/output/failure."""
        path = self.ml_root / "output" / "failure"
        return path.read_text(errors="replace") if path.is_file() else ""

    def terminate(self) -> None:
        """Send SIGTERM to the program."""
        if self._container:
            self._container.terminate()

    def end(self, deadline: float = 0.0) -> None:
        """Wait for the program until the deadline (monotonic), kill it, read its last lines."""
        if self._container:
            self._container.wait(max(0.0, deadline - time.monotonic()))
            self._container.kill()
        if self._follower:
            self._follower.finish()
            self._follower = None

    def clean(self) -> None:
        """Free the disk: data and model are in S3, the log stays to be read."""
        shutil.rmtree(self.ml_root, ignore_errors=True)
