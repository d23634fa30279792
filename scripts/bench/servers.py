"""Servers as processes: started, waited for, and ended."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cloud.launcher import free_port

from bench import watch
from bench.load import ADDRESS

MODEL_CODE = Path(__file__).resolve().parents[2] / "model-code"
START_S = 120.0
STOP_S = 30.0


@dataclass
class Server:
    """One that answers /ping and /invocations; `{port}` in its command is its port."""

    name: str
    command: Sequence[str]
    variables: dict[str, str]
    log: Path
    pid: int = 0
    start_s: float = 0.0

    def start(self) -> None:
        """Start it and wait for the first 200 on /ping."""
        self.port = free_port()
        begun = time.perf_counter()
        variables = {name: text.format(port=self.port) for name, text in self.variables.items()}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [part.format(port=self.port) for part in self.command],
                env={"PATH": os.environ["PATH"]} | variables,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.pid = self.process.pid
        while not self._answers():
            if self.process.poll() is not None or time.perf_counter() - begun > START_S:
                said = self.log.read_text()[-2000:]
                raise RuntimeError(f"{self.name} did not start; it said: …{said}")
            time.sleep(0.01)
        self.start_s = time.perf_counter() - begun

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=START_S)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """Return the processes that it started."""
        return watch.family(self.pid)[1:]

    def stop(self) -> int:
        """Tell it to leave; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            print(f"{self.name} does not leave: killed", file=sys.stderr)
            self.process.kill()
            return self.process.wait()
