"""The container's programs as processes, started as SageMaker starts them."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL_CODE = ROOT / "model-code"


def lay_out(root: Path, hyperparameters: dict[str, str] | None = None, **resources) -> None:
    """Write the configuration files that SageMaker writes; the data is the caller's."""
    config = root / "input/config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters or {}))
    hosts = {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
    (config / "resourceconfig.json").write_text(json.dumps(hosts | resources))


def start(
    python: Path, program: str, root: Path, prefix: Sequence[str] = (), **variables: str
) -> subprocess.Popen[str]:
    """Start `train` or `serve`; what it prints goes to ROOT/<program>.log."""
    environ = {"PATH": os.environ["PATH"], "ML_ROOT": str(root), "OMP_NUM_THREADS": "1"}
    with (root / f"{program}.log").open("a") as log:
        return subprocess.Popen(
            [*prefix, str(python), str(MODEL_CODE / program)],
            env=environ | variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )


def train(python: Path, root: Path, **variables: str) -> int:
    """Train to the end; the exit code."""
    return start(python, "train", root, **variables).wait(timeout=240)


def log_of(root: Path, program: str) -> str:
    return (root / f"{program}.log").read_text()


def wait_for(text: str, root: Path, limit_s: float = 90) -> None:
    """Wait until `train` has printed this."""
    end = time.monotonic() + limit_s
    while text not in log_of(root, "train"):
        assert time.monotonic() < end, log_of(root, "train")
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Server:
    """A running `serve`."""

    python: Path
    root: Path
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        variables = {"SAGEMAKER_BIND_TO_PORT": str(self.port)}
        self.process = start(self.python, "serve", self.root, **variables)
        self.wait_until_ready()

    def wait_until_ready(self, limit_s: float = 30) -> None:
        """Wait for the first 200 on /ping, as SageMaker does."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            assert self.process.poll() is None, log_of(self.root, "serve")
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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
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
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True
        )
        return [int(pid) for pid in listed.stdout.split()]

    def stop(self, limit_s: float = 30) -> int:
        """SIGTERM, and the exit code within SageMaker's 30 s."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=limit_s)
