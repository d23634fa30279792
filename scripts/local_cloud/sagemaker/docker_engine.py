"""The Docker engine: pulls from the local ECR as the role, and runs containers as SageMaker does.

Each program gets a network of its own, which the hosts of one training job share. With network
isolation that network has no way out, except to what this machine itself offers on every address.
Where a Docker engine has no networks, LOCAL_CLOUD_DOCKER_NETWORK=host puts containers on this
machine's own, and isolation is not enforced.

Not emulated: access to AWS from a container that is not isolated (the local cloud listens on
127.0.0.1, which is another one there), instance types, and GPUs.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cloud import engines, identity, images, state
from local_cloud.docker_cli.registry import Credentials
from local_cloud.engines import docker
from local_cloud.launcher import HOST
from local_cloud.sagemaker.container import Container
from local_cloud.sagemaker.engine import EngineError, ExecError, Program, PullError
from local_cloud.sagemaker.role_session import RoleSession
from local_cloud.warded import KILLED

ML_ROOT = "/opt/ml"
PORT = 8080  # at which SageMaker expects an answer
LAST_LINES_S = 10.0
NOT_EXECUTABLE = ("executable file not found", "permission denied", "no such file or directory")
ADDRESS = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"


@dataclass(frozen=True)
class Network:
    """What a program is connected to."""

    name: str
    isolated: bool

    @classmethod
    def of(cls, program: Program) -> Network:
        """Name the network of a program; the hosts of a training job come to the same one."""
        if engines.on_host_network():
            return cls("host", isolated=False)
        owner = program.host.job if program.host else f"port-{program.port}"
        return cls(f"{engines.LABEL}-{os.getpid()}-{owner}", program.isolated)

    @property
    def is_own(self) -> bool:
        """Whether it was made for the program."""
        return self.name != "host"

    def create(self, label: str) -> None:
        """Make it, unless another host of the job has."""
        if not self.is_own:
            return
        internal = ["--internal"] if self.isolated else []
        made = docker("network", "create", *internal, "--label", label, self.name)
        if made.returncode and "already exists" not in made.stderr:
            raise EngineError(
                f"Docker makes no network: {made.stderr.strip()}; {engines.NETWORK_VARIABLE}=host "
                "does without, and without isolation"
            )

    def remove(self) -> None:
        """Remove it; the last host of a job succeeds."""
        if self.is_own:
            docker("network", "rm", self.name)


class DockerContainer(Container):
    """A container that runs, removed once it has ended."""

    def __init__(self, name: str, log: Path, clear_away: Callable[[], None]) -> None:
        self.name = name
        self._and_clear_away = clear_away
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._output = subprocess.Popen(
                ["docker", "logs", "--follow", name], stdout=output, stderr=subprocess.STDOUT
            )
        super().__init__(
            subprocess.Popen(["docker", "wait", name], stdout=subprocess.PIPE, text=True), log
        )

    def terminate(self) -> None:
        """Send SIGTERM to the program."""
        if self.poll() is None:
            docker("kill", "--signal", "TERM", self.name)

    def kill(self) -> None:
        """End the program and everything that it started."""
        if self.poll() is None:
            docker("kill", self.name)
            self._process.wait()
            self._collect()

    def _clear_away(self) -> int:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._output.wait(LAST_LINES_S)
        told = self._process.communicate()[0].strip()
        self._and_clear_away()
        return int(told) if told else KILLED


class DockerEngine:
    """Runs images with the Docker engine of this machine."""

    def __init__(self, options: Sequence[str] = ()) -> None:
        self.options = options  # further ones of `docker create`

    @property
    def network_interface(self) -> str:
        """The interface of a container that its own network is at."""
        return "lo" if engines.on_host_network() else "eth0"

    def pull(self, image_uri: str, session: RoleSession) -> str:
        """Fetch an image as the role; return the name that Docker has for it."""
        registry = engines.registry(identity.endpoint_url())
        try:
            found = images.locate(image_uri, session.credentials, session.region)
        except images.ImageError as error:
            raise PullError(str(error)) from error
        name = f"{registry}/{found.repository}@{found.digest}"
        with tempfile.TemporaryDirectory() as folder:
            login = Credentials({"DOCKER_CONFIG": folder})
            login.write(registry, found.token)
            pulled = docker("--config", folder, "pull", "--quiet", name)
        if pulled.returncode:
            raise PullError(pulled.stderr.strip())
        return name

    def start(self, image: str, program: Program) -> Container:
        """Start a container as SageMaker does."""
        label = engines.label(state.root())
        network = Network.of(program)
        network.create(label)
        created = docker(*create_arguments(image, program, network, label, self.options))
        if created.returncode:
            network.remove()
            raise EngineError(f"Docker makes no container: {created.stderr.strip()}")
        name = created.stdout.strip()
        started = docker("start", name)
        if started.returncode:
            remove(name, network)
            raise _refusal(started.stderr.strip())

        def clear_away() -> None:
            remove(name, network)
            if not program.port:
                give_back(image, program.ml_root)

        container = DockerContainer(name, program.log, clear_away)
        if program.port:
            container.address = _address(name, network, program.port)
        return container


def create_arguments(
    image: str, program: Program, network: Network, label: str, options: Sequence[str] = ()
) -> list[str]:
    """Say how `docker create` makes the container that SageMaker would run."""
    variables = dict(program.environment)
    if program.port and not network.is_own:
        variables["SAGEMAKER_BIND_TO_PORT"] = str(program.port)
    return [
        *("create", "--label", label, "--log-driver", "json-file"),
        *_network_options(program, network),
        *("--mount", _mount(program)),
        *(word for pair in variables.items() for word in ("--env", "=".join(pair))),
        *options,
        image,
        *program.arguments,
    ]


def _network_options(program: Program, network: Network) -> list[str]:
    options = ["--network", network.name]
    if host := program.host:
        options += ["--hostname", host.name]
        if network.is_own:
            options += ["--network-alias", host.name]
        else:
            peers = enumerate(host.hosts, start=1)
            options += [f"--add-host={peer}:127.0.0.{number}" for number, peer in peers]
    if program.port and network.is_own and not network.isolated:
        options += ["--publish", f"{HOST}:{program.port}:{PORT}"]
    return options


def _mount(program: Program) -> str:
    """Give `train` all of /opt/ml, and `serve` the model, which it may not change."""
    if program.port:
        return f"type=bind,src={program.ml_root}/model,dst={ML_ROOT}/model,readonly"
    return f"type=bind,src={program.ml_root},dst={ML_ROOT}"


def _address(name: str, network: Network, port: int) -> tuple[str, int]:
    """Return where a container answers: nothing is published from an isolated network."""
    if not network.isolated:
        return HOST, port
    address = docker("inspect", "--format", ADDRESS, name).stdout.strip()
    return (address, PORT) if address else ("", 0)  # it has ended already


def remove(name: str, network: Network) -> None:
    """Remove a container, running or not, and its network."""
    docker("rm", "--force", "--volumes", name)
    network.remove()


def give_back(image: str, folder: Path) -> None:
    """Let what a container's root wrote belong to this process's user, who has to delete it."""
    owner = os.geteuid()
    if any(path.lstat().st_uid != owner for path in folder.rglob("*")):
        mount = ("--mount", f"type=bind,src={folder},dst={ML_ROOT}")
        plain = ("--rm", "--network", "none", "--user", "0", "--entrypoint", "chown")
        docker("run", *plain, *mount, image, "-R", f"{owner}:{os.getegid()}", ML_ROOT)


def _refusal(message: str) -> ExecError | EngineError:
    if any(reason in message for reason in NOT_EXECUTABLE):
        return ExecError(message)
    return EngineError(f"Docker starts no container: {message}")
