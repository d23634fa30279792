"""Runs one training job: data in, the image's `train` on each host, model and checkpoints out."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_cloud import state
from local_cloud.sagemaker import channels, storage
from local_cloud.sagemaker.engine import Engine, EngineError, PullError
from local_cloud.sagemaker.log_stream import LogGroup, OnLines
from local_cloud.sagemaker.metrics import Reading
from local_cloud.sagemaker.role_session import RoleSession
from local_cloud.sagemaker.training_host import TrainingHost
from local_cloud.sagemaker.training_job import TrainingJob, algorithm_error
from local_cloud.warded import KILLED

logger = logging.getLogger("local_cloud")

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
STOP_GRACE_S = 120.0
POLL_S = 0.1
CHECKPOINT_INTERVAL_S = 5.0
OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of training "
    "data processed on an instance."
)


class JobFailed(RuntimeError):
    """The job ends as Failed; the message is its FailureReason."""


class Trainer:
    """The thread behind one training job."""

    def __init__(
        self, job: TrainingJob, engine: Engine, session: RoleSession, grace_s: float = STOP_GRACE_S
    ) -> None:
        self.job = job
        self.engine = engine
        self.session = session
        self.grace_s = grace_s
        self._stop = threading.Event()
        names = channels.host_names(job.request["ResourceConfig"]["InstanceCount"])
        folder = state.folder("sagemaker", "training", job.name)
        self.hosts = [TrainingHost(job.name, n, names, folder) for n in range(len(names))]

    @property
    def _isolated(self) -> bool:
        return bool(self.job.request.get("EnableNetworkIsolation", False))

    def stop(self) -> None:
        """End the job that became Stopping: SIGTERM, 120 s, SIGKILL; what it saved is kept."""
        self._stop.set()

    def run(self) -> None:
        """Take the job from Starting to its end; never raises."""
        try:
            self.job.end(self._run(), time.time())
        except (JobFailed, EngineError) as failure:
            self._fail(str(failure))
        except (ClientError, BotoCoreError) as error:
            self._fail(f"ClientError: {error}")
        except Exception as error:
            logger.exception("training job %s", self.job.name)
            self._fail(f"InternalServerError: the local cloud failed: {error}")
        finally:
            for host in self.hosts:
                host.end()
                host.clean()

    def _run(self) -> str:
        """Do the work; return the status that the job ends with."""
        if not self.job.proceed("Downloading", time.time()):
            return "Stopped"
        self._download()
        image = self._pull()
        if not self.job.proceed("Training", time.time()):
            return "Stopped"
        for host in self.hosts:
            environment, read = self._environment(), self._reader(host)
            host.start(self.engine, image, environment, self._isolated, read)
        ending = self._watch()
        self.job.enter("Uploading", time.time())
        self._upload()
        return ending

    def _download(self) -> None:
        request = self.job.request
        s3 = self.session.client("s3")
        try:
            for host in self.hosts:
                host.configure(request, self.engine.network_interface)
                for channel in request.get("InputDataConfig", []):
                    host.download(s3, channel)
                if config := request.get("CheckpointConfig"):
                    host.fetch_checkpoints(s3, config)
        except storage.StorageError as error:
            raise JobFailed(f"ClientError: Data download failed:{error}") from error

    def _pull(self) -> Any:
        uri = self.job.request["AlgorithmSpecification"]["TrainingImage"]
        try:
            return self.engine.pull(uri, self.session)
        except PullError as error:
            raise JobFailed(f"ClientError: Cannot pull the training image: {error}") from error

    def _environment(self) -> dict[str, str]:
        region = self.session.region
        place = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        return {
            **(place if self._isolated else self.session.environment()),
            "TRAINING_JOB_NAME": self.job.name,
            "TRAINING_JOB_ARN": self.job.arn,
            **self.job.request.get("Environment", {}),
        }

    def _reader(self, host: TrainingHost) -> OnLines:
        stream = f"{self.job.name}/{host.name}-{int(time.time())}"
        log_group = LogGroup(self.session, LOG_GROUP, stream)

        def read(lines: list[tuple[float, str]]) -> None:
            found = [reading for at, line in lines for reading in self.job.metrics.read(line, at)]
            log_group.write(lines)
            if found:
                self._publish(host.name, found)

        return read

    def _publish(self, host: str, readings: list[Reading]) -> None:
        dimensions = [{"Name": "Host", "Value": f"{self.job.name}/{host}"}]
        data = [
            {
                "MetricName": reading.name,
                "Dimensions": dimensions,
                "Timestamp": reading.at,
                "Value": reading.value,
            }
            for reading in readings
        ]
        try:
            self.session.client("cloudwatch").put_metric_data(
                Namespace="/aws/sagemaker/TrainingJobs", MetricData=data
            )
        except (ClientError, BotoCoreError) as error:
            logger.warning("no metrics of training job %s: %s", self.job.name, error)

    def _watch(self) -> str:
        """Wait for every host; return Completed, Stopped or MaxRuntimeExceeded."""
        limit = self.job.request["StoppingCondition"]["MaxRuntimeInSeconds"]
        deadline = time.monotonic() + limit
        next_checkpoint = time.monotonic() + CHECKPOINT_INTERVAL_S
        while not all(host.exit_code() == 0 for host in self.hosts):
            self._fail_if_one_failed()
            if self._stop.wait(POLL_S):
                return self._end_early("Stopped")
            if time.monotonic() > deadline:
                self.job.request_stop(time.time())
                return self._end_early("MaxRuntimeExceeded")
            if time.monotonic() > next_checkpoint:
                self._send_checkpoints()
                next_checkpoint = time.monotonic() + CHECKPOINT_INTERVAL_S
        self._end_hosts()
        return "Completed"

    def _fail_if_one_failed(self) -> None:
        for host in self.hosts:
            if code := host.exit_code():
                failure = host.failure()
                if code == KILLED and not failure:
                    raise JobFailed(OUT_OF_MEMORY)
                raise JobFailed(algorithm_error(failure, code))

    def _end_early(self, ending: str) -> str:
        for host in self.hosts:
            host.terminate()
        self._end_hosts(time.monotonic() + self.grace_s)
        return ending

    def _end_hosts(self, deadline: float = 0.0) -> None:
        for host in self.hosts:
            host.end(deadline)

    def _upload(self) -> None:
        key = self.job.request["OutputDataConfig"].get("KmsKeyId", "")
        models = [host.model for host in self.hosts]
        other = [host.output_data for host in self.hosts]
        folder = self.job.artifact.removesuffix("model.tar.gz")
        try:
            self._send_checkpoints()
            s3 = self.session.client("s3")
            storage.upload_archive(s3, models, self.job.artifact, key)
            storage.upload_archive(s3, other, f"{folder}output.tar.gz", key)
        except storage.StorageError as error:
            raise JobFailed(f"ClientError: Artifact upload failed:{error}") from error

    def _send_checkpoints(self) -> None:
        for host in self.hosts:
            host.send_checkpoints(self.session.client("s3"))

    def _fail(self, reason: str) -> None:
        self._end_hosts()
        self.job.fail(reason, time.time())
