"""A stage of a build: its state, and what each instruction makes of it."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from local_cloud.docker_cli import environments
from local_cloud.docker_cli.context import IgnoreRules, copy
from local_cloud.docker_cli.dockerfile import Instruction, command, pairs, words
from local_cloud.docker_cli.layers import Layer, pack
from local_cloud.docker_cli.run_lines import Chmod, Pip, PipCheck, Skipped, steps

BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Built:
    """A stage under construction; each instruction makes the next one."""

    root: Path  # the file system so far
    environment: Path
    layers: tuple[Layer, ...] = ()
    variables: dict[str, str] = field(default_factory=lambda: {"PATH": BASE_PATH})  # ENV
    arguments: dict[str, str] = field(default_factory=dict)  # ARG, for this stage only
    config: dict[str, Any] = field(default_factory=lambda: {"Cmd": ["python3"]})

    @property
    def known(self) -> dict[str, str]:
        """What variables stand for: ENV wins over ARG."""
        return self.arguments | self.variables

    @property
    def workdir(self) -> str:
        """The folder that relative paths start from."""
        return str(self.config.get("WorkingDir", "/"))


class LayerStep:
    """Collects the files of a step, then puts them into the stage as one layer."""

    def __init__(self, built: Built, instruction: Instruction) -> None:
        self.built = built
        self.created_by = f"{instruction.keyword} {instruction.value}"

    def __enter__(self) -> LayerStep:
        self.folder = Path(tempfile.mkdtemp(dir=self.built.root.parent, prefix="layer-"))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            layer = pack(self.folder, self.created_by)
            shutil.copytree(self.folder, self.built.root, symlinks=True, dirs_exist_ok=True)
            self.built = replace(self.built, layers=(*self.built.layers, layer))
        shutil.rmtree(self.folder, ignore_errors=True)


def copy_files(built: Built, instruction: Instruction, origin: Path, rules: IgnoreRules) -> Built:
    """Follow COPY from a folder that stands for the context or for another stage."""
    _check_flags(instruction, {"from", "chmod", "chown", "link"})
    *sources, target = words(instruction, built.known)
    if not sources:
        raise instruction.fail("COPY requires at least two arguments")
    if "chown" in instruction.flags:
        print(" ---> --chown ignored: there are no other users here")
    with LayerStep(built, instruction) as step:
        copy(origin, sources, _absolute(target, built.workdir), step.folder, built.root, rules)
        if mode := instruction.flags.get("chmod"):
            for path in filter(Path.is_file, step.folder.rglob("*")):
                path.chmod(int(mode, 8))
    return step.built


def configure(built: Built, instruction: Instruction) -> Built:
    """Follow an instruction that only changes the image's configuration, or makes a folder."""
    _check_flags(instruction, set())
    config = dict(built.config)
    match instruction.keyword:
        case "WORKDIR":
            given = " ".join(words(instruction, built.known))
            config["WorkingDir"] = _absolute(given, built.workdir).rstrip("/") or "/"
            return _make_workdir(replace(built, config=config), instruction)
        case "LABEL":
            config["Labels"] = config.get("Labels", {}) | pairs(instruction, built.known)
        case "EXPOSE":
            ports = (p if "/" in p else f"{p}/tcp" for p in words(instruction, built.known))
            config["ExposedPorts"] = config.get("ExposedPorts", {}) | {port: {} for port in ports}
        case "USER":
            config["User"] = " ".join(words(instruction, built.known))
            print(" ---> recorded: programs run as the user of this machine here")
        case "STOPSIGNAL":
            config["StopSignal"] = " ".join(words(instruction, built.known))
        case "CMD":
            config["Cmd"] = command(instruction)
        case "ENTRYPOINT":
            config["Entrypoint"] = command(instruction)
            config["Cmd"] = []
    return replace(built, config=config)


def _make_workdir(built: Built, instruction: Instruction) -> Built:
    if (built.root / built.workdir.lstrip("/")).is_dir():
        return built
    with LayerStep(built, instruction) as step:
        (step.folder / built.workdir.lstrip("/")).mkdir(parents=True)
    return step.built


def run(built: Built, instruction: Instruction) -> Built:
    """Perform the parts of a RUN line that are understood, and print the others."""
    succeeded = True
    for step in steps(instruction, built.known):
        if not step.follows(succeeded):
            continue
        succeeded = True
        match step.action:
            case Pip(requirements, options):
                files = [_inside(built, name, instruction) for name in requirements]
                extended = environments.extend(built.environment, files, options)
                built = replace(built, environment=extended)
            case PipCheck():
                succeeded = environments.is_complete(built.environment)
            case Chmod() as chmod:
                built = _chmod(built, chmod, instruction)
            case Skipped(text):
                print(f" ---> not executed: RUN {text}", flush=True)
    if not succeeded:
        raise instruction.fail("the command returned a non-zero code: 1")
    return built


def _chmod(built: Built, action: Chmod, instruction: Instruction) -> Built:
    with LayerStep(built, instruction) as step:
        for name in action.paths:
            path = _inside(built, name, instruction)
            copied = step.folder / path.relative_to(built.root)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copied)
            copied.chmod(action.mode(copied.stat().st_mode))
    return step.built


def _inside(built: Built, name: str, instruction: Instruction) -> Path:
    path = built.root / _absolute(name, built.workdir).lstrip("/")
    if not path.is_file():
        raise instruction.fail(f"{name}: no such file in the image; was it copied before?")
    return path


def _absolute(path: str, workdir: str) -> str:
    """Make a path of an image absolute; a trailing / stays, for it means a folder."""
    joined = os.path.normpath(path if path.startswith("/") else f"{workdir}/{path}")
    is_folder = path.endswith("/") or path in (".", "..")
    return f"{joined}/" if is_folder and joined != "/" else joined


def _check_flags(instruction: Instruction, known: set[str]) -> None:
    if unknown := sorted(instruction.flags.keys() - known):
        raise instruction.fail(f"flag --{unknown[0]} is not supported by the local docker")
