"""One variant's model server: the image's `serve`, healthy, watched and restarted."""

from __future__ import annotations

import contextlib
import http.client
import logging
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.background import spawn
from local_cloud.launcher import HOST, free_port
from local_cloud.sagemaker import storage
from local_cloud.sagemaker.container import Container
from local_cloud.sagemaker.engine import Engine, EngineError, ExecError, Program, PullError
from local_cloud.sagemaker.hosting_rules import DEFAULT_HEALTH_TIMEOUT_S
from local_cloud.sagemaker.log_stream import LogFollower, LogGroup
from local_cloud.sagemaker.role_session import RoleSession

logger = logging.getLogger("local_cloud")

PING_TIMEOUT_S = 2.0
PING_INTERVAL_S = 0.1
WATCH_INTERVAL_S = 1.0
STOP_GRACE_S = 30.0
DRAIN_S = 60.0
LOG_GROUPS = "/aws/sagemaker/Endpoints"


class Unhealthy(RuntimeError):
    """The server did not come up; the message is the endpoint's FailureReason."""


class TooManyRequests(RuntimeError):
    """A serverless variant is at its MaxConcurrency."""


@dataclass(frozen=True)
class Variant:
    """What a model server is made from: its place in an endpoint, and the model."""

    endpoint: str
    definition: dict[str, Any]  # of the endpoint configuration
    model: dict[str, Any]  # as CreateModel had it

    @property
    def name(self) -> str:
        """The variant's name."""
        name: str = self.definition["VariantName"]
        return name

    @property
    def max_concurrency(self) -> int | None:
        """The limit of a serverless variant."""
        limit: int | None = self.definition.get("ServerlessConfig", {}).get("MaxConcurrency")
        return limit

    @property
    def isolated(self) -> bool:
        """Whether the container is kept off every network."""
        return bool(self.model.get("EnableNetworkIsolation", False))


class ModelServer:
    """The container behind one variant of one fleet."""

    def __init__(
        self, variant: Variant, engine: Engine, session: RoleSession, folder: Path
    ) -> None:
        self.variant = variant
        self.engine = engine
        self.session = session
        self.ml_root = folder / "ml"
        self.log = folder / "log.txt"
        self.port = free_port()
        instance = f"i-{uuid.uuid4().hex[:17]}"
        self.log_group = f"{LOG_GROUPS}/{variant.endpoint}"
        self.log_stream = f"{variant.name}/{instance}"
        self._image: Any = None
        self._container: Container | None = None
        self._follower: LogFollower | None = None
        self._ending = threading.Event()
        self._restarting = threading.Lock()
        self._idle = threading.Condition()
        self._in_flight = 0

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the program that runs now."""
        return self._container.address if self._container else (HOST, self.port)

    def start(self) -> None:
        """Pull, unpack, run and wait until /ping answers 200; Unhealthy says why it does not."""
        container = self.variant.model["PrimaryContainer"]
        name = self.variant.name
        (self.ml_root / "model").mkdir(parents=True, exist_ok=True)
        try:
            self._image = self.engine.pull(container["Image"], self.session)
            if url := container.get("ModelDataUrl"):
                s3 = self.session.client("s3")
                storage.download_archive(s3, url, self.ml_root / "model")
        except PullError as error:
            raise Unhealthy(
                f"Failed to pull the image of the primary container for production variant "
                f"{name}: {error}"
            ) from error
        except storage.StorageError as error:
            raise Unhealthy(
                f"Failed to download model data for container primary, production variant "
                f"{name}: {error}"
            ) from error
        group = LogGroup(self.session, self.log_group, self.log_stream)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._follower = LogFollower(self.log, group.write)
        self._run()
        self._await_health()
        spawn(f"watch {self.log_stream}", self._watch)

    def answers(self) -> bool:
        """Say whether the server is healthy now."""
        return self._container is not None and self._container.poll() is None and self._ping()

    def enter(self) -> None:
        """Count a request in; TooManyRequests if a serverless variant is full."""
        limit = self.variant.max_concurrency
        with self._idle:
            if limit is not None and self._in_flight >= limit:
                raise TooManyRequests(self.variant.endpoint)
            self._in_flight += 1

    def leave(self) -> None:
        """Count a request out."""
        with self._idle:
            self._in_flight -= 1
            self._idle.notify_all()

    def stop(self) -> None:
        """Let the requests in flight end, then SIGTERM, 30 s, SIGKILL."""
        with self._idle:
            self._idle.wait_for(lambda: self._in_flight == 0, DRAIN_S)
        with self._restarting:
            self._ending.set()
        if self._container:
            self._container.stop(STOP_GRACE_S)
        if self._follower:
            self._follower.finish()

    def _run(self) -> None:
        program = Program(
            ["serve"],
            self.ml_root,
            self._environment(),
            self.log,
            port=self.port,
            isolated=self.variant.isolated,
        )
        try:
            self._container = self.engine.start(self._image, program)
        except (ExecError, EngineError) as error:
            with self.log.open("a") as log:
                log.write(f"{error}\n")

    def _environment(self) -> dict[str, str]:
        region = self.session.region
        place = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        return {
            **(place if self.variant.isolated else self.session.environment()),
            **self.variant.model["PrimaryContainer"].get("Environment", {}),
        }

    def _await_health(self) -> None:
        limit = self.variant.definition.get(
            "ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_HEALTH_TIMEOUT_S
        )
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if self._container is None or self._container.poll() is not None:
                break
            if self._ping():
                return
            time.sleep(PING_INTERVAL_S)
        raise Unhealthy(
            f"The primary container for production variant {self.variant.name} did not pass the "
            "ping health check. Please check CloudWatch logs for this endpoint."
        )

    def _ping(self) -> bool:
        connection = http.client.HTTPConnection(*self.address, timeout=PING_TIMEOUT_S)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _watch(self) -> None:
        """Start the program again whenever it ends by itself, as SageMaker does."""
        while not self._ending.wait(WATCH_INTERVAL_S):
            with self._restarting:
                code = self._container.poll() if self._container else None
                if code is None or self._ending.is_set():
                    continue
                logger.warning("%s ended with code %s; restarted", self.log_stream, code)
                with contextlib.suppress(OSError):
                    self._run()
