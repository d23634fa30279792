"""Starts and stops a local cloud as a child process, for `make demo` and for the tests."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
import botocore.session
import psutil
from botocore.config import Config

from local_cloud import engines

SCRIPTS = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
ACCOUNT = "000000000000"
HOST = "127.0.0.1"
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
# Requirements are installed as the user's pip would, by the engine that the user's docker would
# choose; LOCAL_CLOUD_ are our settings.
KEPT_PREFIXES = ("PIP_", "DOCKER_HOST", "LOCAL_CLOUD_")
PORTS = range(20000, 32000)
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LocalCloudError(RuntimeError):
    """The local cloud could not be started; says why and what to do."""


def free_port() -> int:
    """Return a port that nobody has now, and that no system gives away by itself.

    The ephemeral ports begin at 32768 with Linux and at 49152 elsewhere (RFC 6335, section 6): one
    of them may be given to another process before the caller binds it.
    """
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise LocalCloudError(f"no port from {PORTS[0]} to {PORTS[-1]} is free; see: ss -tln")


def scrubbed_environment(home: Path) -> dict[str, str]:
    """Return what of this process's environment the local cloud may see: no AWS credentials."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES)
    }
    return {
        **kept,
        "HOME": str(home),
        "PYTHONPATH": str(SCRIPTS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def deaf_session() -> botocore.session.Session:
    """Return a session to which neither AWS_ variables nor the files in ~/.aws say anything."""
    files = {"config_file": os.devnull, "credentials_file": os.devnull}
    settings = botocore.session.Session.SESSION_VARIABLES.items()
    return botocore.session.Session(
        {
            name: (None, None, files.get(name, default), cast)
            for name, (*_, default, cast) in settings
        }
    )


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Keep the signals that end this process until the end of the block.

    Their handlers are replaced, for a mask would not do: another thread, such as one of NumPy's,
    takes a signal that this one blocks, and Python then acts on it here. In any thread but the main
    one nothing interrupts, and nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    heeded = [n for n in INTERRUPTS if signal.getsignal(n) not in (signal.SIG_IGN, None)]
    handlers = {number: signal.getsignal(number) for number in heeded}
    try:
        for number in heeded:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for held in came:
            signal.raise_signal(held)


class RunningCloud:
    """A local cloud in a session of its own; use it as a context manager.

    It ends with this process, whatever ends that.
    """

    def __init__(self, state: Path, port: int | None = None) -> None:
        self.state = state.resolve()
        self.port = port or free_port()
        self.log = self.state / "local-cloud.log"
        self.access_key = "LOCALADMIN" + secrets.token_hex(5).upper()
        self.secret_key = secrets.token_hex(20)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The endpoint URL of every service."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> RunningCloud:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, timeout_s: float = 60) -> None:
        """Start the server and return once it answers; NoEngine without the engine asked for."""
        self.refuse_a_taken_port()
        if engines.chosen() == engines.DOCKER:
            engines.require_docker()
            engines.sweep(self.state)
        self.state.mkdir(parents=True, exist_ok=True)
        environment = scrubbed_environment(self.state) | {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }
        arguments = ["--port", str(self.port), "--state", str(self.state)]
        try:
            with self.log.open("ab") as log, uninterrupted():  # no process that stop() cannot know
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "local_cloud", *arguments],
                    env=environment,
                    cwd=self.state,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.PIPE,  # closes with this process, and so ends the server
                    start_new_session=True,
                )
            self._wait_until_ready(timeout_s)
        except BaseException:
            self.stop()
            raise

    def stop(self, timeout_s: float = 15) -> None:
        """End the server and every process it started, and return when they are gone."""
        with uninterrupted():
            process, self._process = self._process, None
            if process is None:
                return
            process.terminate()
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin:
                process.stdin.close()
            _end_session(process.pid, timeout_s)
            if engines.chosen() == engines.DOCKER:
                engines.sweep(self.state)

    def client(self, service: str, **options: Any) -> Any:
        """Return a boto3 client with the administrator's credentials of this local cloud."""
        session = boto3.session.Session(
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=REGION,
            botocore_session=deaf_session(),
        )
        config = Config(retries={"max_attempts": 2}, proxies={})
        return session.client(service, endpoint_url=self.url, config=config, **options)

    def environment(self) -> dict[str, str]:
        """Return the variables with which a child process reaches this cloud as administrator."""
        return scrubbed_environment(self.state) | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def refuse_a_taken_port(self) -> None:
        """Raise LocalCloudError if somebody listens on the port already."""
        with socket.socket() as probe:
            if probe.connect_ex((HOST, self.port)) == 0:
                raise LocalCloudError(
                    f"port {self.port} is taken: is another demo running? "
                    "Stop it, or choose another port with PORT="
                )

    def _wait_until_ready(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise LocalCloudError(
            f"the local cloud did not start on {self.url}; {self.log} ends:\n{tail}"
        )


def _end_session(leader: int, timeout_s: float) -> None:
    """Kill what the ended server's session still has, wardens and their programs, until it is gone.

    LocalCloudError if a process is there after `timeout_s`: one that the kernel cannot end.
    """
    deadline = time.monotonic() + timeout_s
    while left := [process for process in psutil.process_iter() if _session(process) == leader]:
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"processes {[process.pid for process in left]} of the local cloud do not end, "
                f"{timeout_s:g} s after SIGKILL; look at what they wait for: ps -o pid,wchan,args"
            )
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.01)


def _session(process: psutil.Process) -> int:
    """Return a process's session, 0 for a zombie: it has ended, and may never be waited for."""
    try:
        session = os.getsid(process.pid)
        return 0 if process.status() == psutil.STATUS_ZOMBIE else session
    except (OSError, psutil.Error):
        return 0
