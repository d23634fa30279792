"""The container's programs on both engines, started as SageMaker starts them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from local_cloud import engines, state, unpacked
from local_cloud.docker_cli.build import Builder
from local_cloud.docker_cli.store import Store
from local_cloud.launcher import free_port
from local_cloud.sagemaker.container import Container
from local_cloud.sagemaker.docker_engine import DockerContainer, DockerEngine
from local_cloud.sagemaker.engine import Engine, Host, ProcessEngine, Program

ROOT = Path(__file__).resolve().parents[2]
MODEL_CODE = ROOT / "model-code"
CHILDREN_OF_THE_FIRST = """
import pathlib
for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
    if stat.parent.exists() and stat.read_text().rsplit(") ", 1)[1].split()[1] == "1":
        print(stat.parent.name)
"""


class Images(Protocol):
    """An engine, and the images of the Dockerfile's targets that it runs."""

    engine: Engine
    host_names: tuple[str, str]  # of a training on two hosts

    def image(self, target: str) -> Any:
        """Build a target, once."""
        ...

    def user(self, target: str) -> str:
        """The user whom an image's programs run as; empty for root."""
        ...

    def workers(self, container: Container) -> list[int]:
        """The processes that a container's program has started."""
        ...

    def user_of(self, container: Container, worker: int) -> int:
        """The number of the user whom one of them is now."""
        ...

    def kill(self, container: Container, worker: int) -> None:
        """Send SIGKILL to one of them."""
        ...


class ProcessImages:
    """The process engine, with what the offline docker builds."""

    engine: Engine = ProcessEngine()
    host_names = ("127.0.0.1", "127.0.0.2")

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)
        self.built: dict[str, str] = {}

    def image(self, target: str) -> unpacked.UnpackedImage:
        return unpacked.read_unpacked(self._folder(target))

    def user(self, target: str) -> str:
        config = json.loads((self._folder(target) / "config.json").read_text())
        return config["config"].get("User", "")

    def workers(self, container: Container) -> list[int]:
        (program,) = children(container._process.pid)  # the warden's
        return children(program)

    def user_of(self, container: Container, worker: int) -> int:
        return Path(f"/proc/{worker}").stat().st_uid

    def kill(self, container: Container, worker: int) -> None:
        os.kill(worker, signal.SIGKILL)

    def _folder(self, target: str) -> Path:
        if target not in self.built:
            arguments = {"TORCH_INDEX_URL": os.environ.get("TORCH_INDEX_URL", "")}
            builder = Builder(self.store, MODEL_CODE, arguments)
            self.built[target] = builder.build(MODEL_CODE / "Dockerfile", target, ()).id
        return self.store.folder(self.built[target])


class DockerImages:
    """The Docker engine with real images, whose own file system is read-only here."""

    engine: Engine = DockerEngine(("--read-only", "--tmpfs", "/tmp"))  # noqa: S108
    host_names = ("algo-1", "algo-2")

    def __init__(self) -> None:
        self.built: dict[str, str] = {}

    def image(self, target: str) -> str:
        if target not in self.built:
            given = {name: os.environ.get(name) for name in ("BASE_IMAGE", "TORCH_INDEX_URL")}
            arguments = [f"--build-arg={name}={value}" for name, value in given.items() if value]
            tag = f"ethnicity-prediction:{target}"
            done = engines.docker(
                "build", "--target", target, "-t", tag, *arguments, str(MODEL_CODE)
            )
            assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
            self.built[target] = tag
        return self.built[target]

    def user(self, target: str) -> str:
        return engines.docker(
            "inspect", "--format", "{{.Config.User}}", self.image(target)
        ).stdout.strip()

    def workers(self, container: Container) -> list[int]:
        return [int(pid) for pid in self._python(container, CHILDREN_OF_THE_FIRST).split()]

    def user_of(self, container: Container, worker: int) -> int:
        return int(self._python(container, f"import os; print(os.stat('/proc/{worker}').st_uid)"))

    def kill(self, container: Container, worker: int) -> None:
        self._python(container, f"import os; os.kill({worker}, {signal.SIGKILL})")

    def _python(self, container: Container, script: str) -> str:
        assert isinstance(container, DockerContainer)
        done = engines.docker("exec", container.name, "python3", "-c", script)
        assert done.returncode == 0, done.stderr
        return done.stdout


def children(pid: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True
    )
    return [int(child) for child in listed.stdout.split()]


def lay_out(
    root: Path, images: Images, hyperparameters: dict[str, str] | None = None, **resources
) -> None:
    """Write the configuration files that SageMaker writes; the data is the caller's."""
    config = root / "input/config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters or {}))
    interface = images.engine.network_interface
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": interface}
    (config / "resourceconfig.json").write_text(json.dumps(hosts | resources))


def start(images: Images, command: list[str], root: Path, **more: Any) -> Container:
    """Start a program of the image that is named after it, or of `target`.

    What it prints goes to ROOT/<program>.log; other keywords are variables for it.
    """
    target = more.pop("target", command[0])
    settings = {name: more.pop(name) for name in ("port", "host") if name in more}
    variables = {"OMP_NUM_THREADS": "1"} | more
    log = root / f"{Path(command[0]).name}.log"
    program = Program(command, root, variables, log, isolated=True, **settings)
    return images.engine.start(images.image(target), program)


def train(images: Images, root: Path, **variables: str) -> int | None:
    """Train to the end; the exit code."""
    container = start(images, ["train"], root, **variables)
    try:
        return container.wait(240)
    finally:
        container.kill()


def host_of(images: Images, name: str, job: str) -> dict[str, Host]:
    """What tells `start` that a program is one of two hosts; processes share this machine's."""
    return {} if "." in name else {"host": Host(name, images.host_names, job)}


def log_of(root: Path, program: str) -> str:
    return (root / f"{program}.log").read_text()


def wait_for(text: str, root: Path, limit_s: float = 90) -> None:
    """Wait until `train` has printed this."""
    end = time.monotonic() + limit_s
    while text not in log_of(root, "train"):
        assert time.monotonic() < end, log_of(root, "train")
        time.sleep(0.05)


@dataclass
class Server:
    """A running `serve`."""

    images: Images
    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.container = start(self.images, ["serve"], self.root, port=self.port, **self.variables)
        self.wait_until_ready()

    def wait_until_ready(self, limit_s: float = 30) -> None:
        """Wait for the first 200 on /ping, as SageMaker does."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            assert self.container.poll() is None, log_of(self.root, "serve")
            try:
                if self.call("GET", "/ping")[0] == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise TimeoutError(log_of(self.root, "serve"))

    def call(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, str, bytes]:
        """Status, content type and body of the answer."""
        connection = http.client.HTTPConnection(*self.container.address, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("content-type", ""), answer.read()
        finally:
            connection.close()

    def invoke(
        self, body: bytes, content_type: str, accept: str | None = None
    ) -> tuple[int, str, bytes]:
        headers = {"content_type": content_type} | ({"accept": accept} if accept else {})
        return self.call("POST", "/invocations", body, **headers)

    def workers(self) -> list[int]:
        return self.images.workers(self.container)

    def stop(self, limit_s: float = 30) -> int | None:
        """SIGTERM, and the exit code within SageMaker's 30 s."""
        self.container.terminate()
        try:
            return self.container.wait(limit_s)
        finally:
            self.container.kill()


def require_docker() -> None:
    """Skip, and say why, unless a Docker engine answers."""
    try:
        engines.require_docker()
    except engines.NoEngine as reason:
        pytest.skip(str(reason))


def sweep() -> None:
    """Remove what a test that failed has left of its containers."""
    engines.sweep(state.root())
