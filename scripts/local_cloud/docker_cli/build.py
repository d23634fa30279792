"""`docker build`: which stages a target needs, and the image that its last one makes."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from local_cloud.docker_cli import environments
from local_cloud.docker_cli.context import CopyError, IgnoreRules
from local_cloud.docker_cli.dockerfile import (
    Dockerfile,
    DockerfileError,
    Instruction,
    needed_stages,
    pairs,
    parse,
    stage_number,
    substitute,
    words,
)
from local_cloud.docker_cli.run_lines import RunError
from local_cloud.docker_cli.stage import Built, configure, copy_files, run
from local_cloud.docker_cli.store import Image, Store
from local_cloud.unpacked import ENVIRONMENT_LABEL

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
PREDEFINED = {
    name
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (proxy, proxy.lower())
}


class BuildError(Exception):
    """The image cannot be built; says at which line and why."""


class Builder:
    """Builds from one context folder, with the build arguments of the command line."""

    def __init__(self, store: Store, context: Path, build_arguments: dict[str, str]) -> None:
        self.store = store
        self.context = context
        self.given = build_arguments
        ignore = context / ".dockerignore"
        self.rules = IgnoreRules(ignore.read_text() if ignore.is_file() else "")

    def build(self, path: Path, target: str | None, names: Iterable[str]) -> Image:
        """Build a target and name the image; raises BuildError."""
        try:
            dockerfile = parse(path.read_text())
            with tempfile.TemporaryDirectory(prefix="docker-build-") as scratch:
                built = self._stages(dockerfile, target, Path(scratch))
                image = self.store.add(_config(built), list(built.layers))
        except (DockerfileError, CopyError, RunError, environments.InstallError) as error:
            raise BuildError(str(error)) from error
        for name in names:
            self.store.tag(name, image.id)
        return image

    def _stages(self, dockerfile: Dockerfile, target: str | None, scratch: Path) -> Built:
        arguments = self._global_arguments(dockerfile)
        bases = {n: substitute(s.base, arguments) for n, s in enumerate(dockerfile.stages)}
        self._report_unused(dockerfile)
        done: dict[int, Built] = {}
        for number in sorted(needed_stages(dockerfile, target, bases)):
            stage = dockerfile.stages[number]
            if not bases[number]:
                raise stage.origin.fail(f"base name ({stage.base}) should not be blank")
            print(f"[{stage.name}] FROM {bases[number]}", flush=True)
            parent = stage_number(dockerfile, bases[number], before=number)
            built = self._start(done[parent] if parent is not None else None, scratch, number)
            for instruction in stage.instructions:
                print(f"[{stage.name}] {instruction.keyword} {instruction.value}", flush=True)
                built = self._follow(built, instruction, arguments, dockerfile, done)
            done[number] = built
        return done[max(done)]

    def _global_arguments(self, dockerfile: Dockerfile) -> dict[str, str]:
        known: dict[str, str] = {}
        for instruction in dockerfile.arguments:
            known |= self._argument(instruction, known, {})
        return known

    def _argument(
        self, instruction: Instruction, known: dict[str, str], inherited: dict[str, str]
    ) -> dict[str, str]:
        """Read ARG: the command line wins, then its own default, then the ARG above FROM."""
        found: dict[str, str] = {}
        for word in words(instruction, known | found):
            name, has_default, default = word.partition("=")
            value = self.given.get(name, default if has_default else inherited.get(name))
            if value is not None:
                found[name] = value
        return found

    def _report_unused(self, dockerfile: Dockerfile) -> None:
        stages = (i for stage in dockerfile.stages for i in stage.instructions)
        declared = {
            word.partition("=")[0]
            for i in (*dockerfile.arguments, *stages)
            if i.keyword == "ARG"
            for word in i.value.split()
        }
        if unused := sorted(self.given.keys() - declared - PREDEFINED):
            print(f"[Warning] One or more build-args {unused} were not consumed")

    def _start(self, parent: Built | None, scratch: Path, number: int) -> Built:
        root = scratch / f"stage-{number}"
        if parent is None:
            root.mkdir()
            python = platform.python_version()
            print(f" ---> not pulled: Python {python} of this machine stands in for it")
            return Built(root, environments.base())
        shutil.copytree(parent.root, root, symlinks=True)
        return replace(parent, root=root, arguments={})

    def _follow(
        self,
        built: Built,
        instruction: Instruction,
        arguments: dict[str, str],
        dockerfile: Dockerfile,
        done: dict[int, Built],
    ) -> Built:
        match instruction.keyword:
            case "ARG":
                found = self._argument(instruction, built.known, arguments)
                return replace(built, arguments=built.arguments | found)
            case "ENV":
                found = pairs(instruction, built.known)
                return replace(built, variables=built.variables | found)
            case "COPY":
                origin, rules = self._source(instruction, dockerfile, done)
                return copy_files(built, instruction, origin, rules)
            case "RUN":
                return run(built, instruction)
            case _:
                return configure(built, instruction)

    def _source(
        self, instruction: Instruction, dockerfile: Dockerfile, done: dict[int, Built]
    ) -> tuple[Path, IgnoreRules]:
        """Return where COPY copies from: the context, or an earlier stage's file system."""
        name = instruction.flags.get("from")
        if name is None:
            return self.context, self.rules
        number = stage_number(dockerfile, name)
        if number is None or number not in done:
            raise instruction.fail(f"no earlier stage {name!r}; images are not pulled here")
        return done[number].root, IgnoreRules("")


def _config(built: Built) -> dict[str, Any]:
    """Write the image's configuration, the Python environment as a label."""
    created = datetime.now(UTC).isoformat()
    labels = built.config.get("Labels", {}) | {ENVIRONMENT_LABEL: str(built.environment)}
    env = [f"{name}={value}" for name, value in built.variables.items()]
    return {
        "created": created,
        "architecture": MACHINES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {**built.config, "Env": env, "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in built.layers]},
        "history": [{"created": created, "created_by": layer.created_by} for layer in built.layers],
    }
