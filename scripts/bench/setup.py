"""Where things are, and the processes that take part: made once for a run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import draw_glyphs
from local_cloud.docker_cli.prime import environment_of

from bench.servers import MODEL_CODE

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "scripts/bench"
SEED_PYTHON = ROOT / ".tools/bench/bin/python"
NGINX = ROOT / ".tools/bench-nginx"


@dataclass
class Bench:
    """One run: its scratch folder, how many rounds, and what was made for it."""

    scratch: Path
    rounds: int
    begun: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Tell how far it is."""
        print(f"{time.monotonic() - self.begun:5.0f} s  {text}", file=sys.stderr, flush=True)

    @cached_property
    def serve_environment(self) -> Path:
        return environment_of(MODEL_CODE / "Dockerfile", "serve", self._arguments)

    @cached_property
    def train_environment(self) -> Path:
        return environment_of(MODEL_CODE / "Dockerfile", "test", self._arguments)

    @property
    def _arguments(self) -> dict[str, str]:
        return {"TORCH_INDEX_URL": os.environ.get("TORCH_INDEX_URL", "")}

    def ours(self, script: str, *words: object, training: bool = False) -> list[str]:
        """Return the command of a contestant in the container's environment."""
        environment = self.train_environment if training else self.serve_environment
        return [str(environment / "bin/python"), str(HERE / "contest" / script), *map(str, words)]

    def seeds(self, script: str, *words: object) -> list[str]:
        """Return the command of a contestant in the seed's environment."""
        return [str(SEED_PYTHON), str(HERE / "seed" / script), *map(str, words)]

    def with_seeds_python(self, script: str) -> list[str]:
        """Return the command of a script of ours in the seed's environment."""
        return [str(SEED_PYTHON), str(HERE / "contest" / script)]

    def run(self, command: Sequence[str], **variables: str) -> str:
        """Run a command to its end; return what it printed."""
        done = subprocess.run(
            command, env=environment(**variables), stdout=subprocess.PIPE, check=True, text=True
        )
        return done.stdout

    def measured(self, command: Sequence[str], **variables: str) -> dict[str, float]:
        """Run a command that prints its measurement as JSON."""
        measured: dict[str, float] = json.loads(self.run(command, **variables).splitlines()[-1])
        return measured

    @cached_property
    def glyphs(self) -> Path:
        """The embedded data as a folder shaped like /opt/ml."""
        root = self.scratch / "own"
        draw_glyphs.write_data(root / "input/data", draw_glyphs.SEED, draw_glyphs.ROWS)
        return root

    @property
    def training_csv(self) -> Path:
        return self.glyphs / "input/data/train/train.csv"

    @cached_property
    def keras(self) -> Path:
        """The seed's network, trained a little: model.keras and weights.npz."""
        self.say("Keras trains the seed's network")
        folder = self.scratch / "keras"
        folder.mkdir()
        self.run(self.seeds("train.py", "make", self.training_csv, folder))
        return folder

    @cached_property
    def seed_network(self) -> Path:
        """The same network with the same weights as our artifact, in a folder like /opt/ml."""
        root = self.scratch / "seed-network"
        weights = self.keras / "weights.npz"
        self.run(self.ours("seed_network.py", weights, root / "model", training=True))
        return root

    @cached_property
    def own_network(self) -> Path:
        """Our network as `train` makes it by default, trained for one epoch."""
        self.say("our network is trained")
        config = self.glyphs / "input/config"
        config.mkdir()
        (config / "hyperparameters.json").write_text(json.dumps({"epochs": "1"}))
        program = [str(self.train_environment / "bin/python"), str(MODEL_CODE / "train")]
        self.run(program, ML_ROOT=str(self.glyphs))
        return self.glyphs

    @cached_property
    def nginx(self) -> str:
        """The program, as it is installed or unpacked from Debian's package; else empty."""
        found = shutil.which("nginx") or str(NGINX / "usr/sbin/nginx")
        try:
            works = subprocess.run([found, "-v"], capture_output=True).returncode == 0
        except OSError:
            works = False
        return found if works else ""


def environment(**variables: str) -> dict[str, str]:
    """Return what a contestant's process finds in its environment."""
    path = os.pathsep.join(map(str, (MODEL_CODE, ROOT / "scripts")))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": path} | quiet | variables


class Contestant:
    """A process that does one round for each line it is given, and prints what it measured."""

    def __init__(self, command: Sequence[str]) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environment(), text=True, **pipes)
        while self._line() != "ready":
            pass

    def _line(self) -> str:
        assert self.process.stdout  # noqa: S101  it is a pipe
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        return line.strip()

    def round(self, number: int = 1) -> dict[str, float]:
        """Do a round and return what it measured."""
        assert self.process.stdin  # noqa: S101  it is a pipe
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        while not (line := self._line()).startswith("{"):
            pass
        measured: dict[str, float] = json.loads(line)
        return measured

    def end(self) -> None:
        """Let it go."""
        self.process.kill()
        self.process.wait()
