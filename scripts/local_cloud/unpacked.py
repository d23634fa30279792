"""An image on this machine: how it lies in a folder, and how its programs run as processes."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ENVIRONMENT_LABEL = "local-cloud.environment"
SYSTEM_PATH = ("/usr/bin", "/bin")
# Half of the cores: the rest run the cloud itself, and threads that wait for a taken core spin.
# On two busy cores PyTorch trains twice as fast with one thread as with two.
THREADS = max(1, (os.cpu_count() or 2) // 2)


class ImageError(Exception):
    """An image cannot be fetched or run; says which and why."""


@dataclass(frozen=True)
class UnpackedImage:
    """An image's files and configuration on this machine."""

    root: Path  # its file system
    env: dict[str, str] = field(repr=False)
    workdir: str
    cmd: list[str]
    entrypoint: list[str]
    environment: Path  # the Python environment that stands for its base image and its packages


def read_unpacked(folder: Path) -> UnpackedImage:
    """Read an image that `write_unpacked` laid out."""
    config = json.loads((folder / "config.json").read_text()).get("config", {})
    environment = (config.get("Labels") or {}).get(ENVIRONMENT_LABEL)
    if environment is None:
        raise ImageError(
            f"{folder.name} has no label {ENVIRONMENT_LABEL}: it was not built by the local "
            "cloud's docker, so there is nothing to run it with here"
        )
    if not Path(environment).is_dir():
        raise ImageError(f"the Python environment {environment} of {folder.name} was deleted")
    return UnpackedImage(
        root=folder / "root",
        env=dict(entry.split("=", 1) for entry in config.get("Env") or []),
        workdir=config.get("WorkingDir") or "/",
        cmd=config.get("Cmd") or [],
        entrypoint=config.get("Entrypoint") or [],
        environment=Path(environment),
    )


def write_unpacked(folder: Path, config: bytes, layers: Iterable[bytes]) -> None:
    """Lay out an image: `config.json`, and the layers over one another under `root`."""
    root = folder / "root"
    root.mkdir(parents=True)
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as archive:
            archive.extractall(root, filter="tar")
    (folder / "config.json").write_bytes(config)


def command(
    image: UnpackedImage, args: list[str], ml_root: Path | None = None
) -> tuple[list[str], dict[str, str], Path]:
    """Say how to run `docker run IMAGE args…` as a process: (argv, environment, folder).

    Paths of the image in its variables become paths of the unpacked tree; the base image's
    Python is the image's environment. The caller adds its own variables (credentials, ports).
    """
    env = {name: _inside(image, value) for name, value in image.env.items()}
    own = env.get("PATH", "").split(os.pathsep)
    folders = [p for p in own if p.startswith(str(image.root))]
    path = [*folders, str(image.environment / "bin"), *SYSTEM_PATH]
    env["PATH"] = os.pathsep.join(path)
    env["VIRTUAL_ENV"] = str(image.environment)
    env.setdefault("LANG", "C.UTF-8")
    env.setdefault("OMP_NUM_THREADS", str(THREADS))
    if ml_root is not None:
        env["ML_ROOT"] = str(ml_root)
    argv = [*image.entrypoint, *(args or image.cmd)]
    if not argv:
        raise ImageError("no command specified: the image has neither CMD nor ENTRYPOINT")
    cwd = image.root / image.workdir.lstrip("/")
    cwd.mkdir(parents=True, exist_ok=True)
    return [_executable(image, argv[0], path, cwd), *argv[1:]], env, cwd


def _executable(image: UnpackedImage, program: str, path: list[str], cwd: Path) -> str:
    """Find a program as exec would in the container; ImageError in the runtime's own words."""
    if PurePosixPath(program).is_absolute():
        inside = image.root / program.lstrip("/")
        candidates = [inside if inside.exists() else Path(program)]
    elif "/" in program:
        candidates = [cwd / program]
    else:
        candidates = [Path(folder) / program for folder in path]
    present = [candidate for candidate in candidates if candidate.is_file()]
    for candidate in present:
        if os.access(candidate, os.X_OK):
            return str(candidate)
    reason = "permission denied" if present else "executable file not found in $PATH"
    raise ImageError(f'exec: "{program}": {reason}: unknown')


def _inside(image: UnpackedImage, value: str) -> str:
    """Rewrite each absolute path in a variable that the image holds."""
    parts = value.split(os.pathsep)
    return os.pathsep.join(
        str(image.root / part.lstrip("/"))
        if part.startswith("/") and part != "/" and (image.root / part.lstrip("/")).exists()
        else part
        for part in parts
    )
